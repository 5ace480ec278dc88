/* Dependencies on the real loop. The test plays the functions of a flow: each has a list of answers, the last one
 * stays. */
#ifndef TESTS_DEPENDENCY_SCENE_H
#define TESTS_DEPENDENCY_SCENE_H

#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "health/dependency.h"

#define MS NS_PER_MS

static struct probe_env env;
static struct sink *sink;
static struct dependencies *deps;
static struct timer *stopper;
static int stop_at; /* the loop stops after that many answers of one function; 0: it does not */

enum { FUNCTIONS = 4 };

static struct function {
  const char *answers[8]; /* values as JSON; "!text" raises; "-" never ends; NULL: the one before stays */
  int calls, cancelled;
  policy_done_fn *done;
  void *arg;
  char about[64];
} functions[FUNCTIONS];

static void answer(void *arg) {
  struct function *f = arg;
  if (!f->done) return;
  int i = f->calls > (int)ARRAY_LEN(f->answers) ? (int)ARRAY_LEN(f->answers) - 1 : f->calls - 1;
  while (i > 0 && !f->answers[i]) i--;
  const char *text = f->answers[i];
  policy_done_fn *done = f->done;
  if (STR_EQ(text, "-")) return;
  if (f->calls == stop_at) loop_stop(env.loop);
  f->done = NULL;
  if (*text == '!') {
    struct err err = ERR_INIT;
    err_set(&err, -EINVAL, "%s", text + 1);
    done(f->arg, POLICY_ERROR, NULL, &err);
    return;
  }
  auto_json cJSON *values = cJSON_Parse(text);
  assert_non_null(values);
  done(f->arg, POLICY_OK, values, NULL);
}

static uint64_t call(void *self, int ref, const char *task_name, const char *arg_json, int64_t deadline_ns,
                     policy_done_fn *done, void *arg, struct err *err) {
  (void)self;
  (void)task_name;
  (void)err;
  assert_true(deadline_ns > 0);
  struct function *f = &functions[ref];
  f->calls++;
  f->done = done;
  f->arg = arg;
  str_copy(f->about, sizeof f->about, arg_json);
  assert_int_equal(loop_defer(env.loop, answer, f), 0);
  return (uint64_t)ref + 1;
}

static void cancel(void *self, uint64_t token) {
  (void)self;
  functions[token - 1].cancelled++;
  functions[token - 1].done = NULL;
}

static const struct policy policy = {.call = call, .cancel = cancel};

static struct {
  int calls;
  struct dependency_outcome o;
  char name[64], reason[32], detail[256];
} got;

static void on_done(void *arg, const struct dependency_outcome *o) {
  (void)arg;
  got.calls++;
  got.o = *o;
  str_copy(got.name, sizeof got.name, o->name);
  str_copy(got.reason, sizeof got.reason, o->reason);
  str_copy(got.detail, sizeof got.detail, o->detail);
  loop_stop(env.loop);
}

static void stop(void *arg) {
  (void)arg;
  loop_stop(env.loop);
}

static void run_for(int64_t ns) {
  timer_after(stopper, ns);
  loop_run(env.loop);
  timer_stop(stopper);
}

static void run(bool only_bad) {
  memset(&got, 0, sizeof got);
  dependencies_run(deps, only_bad, on_done, NULL);
  assert_int_equal(got.calls, 0);
  run_for(5 * NS_PER_S);
  assert_int_equal(got.calls, 1);
}

static void make(const struct dependency_spec *specs, size_t n) {
  struct err err = ERR_INIT;
  deps = dependencies_new(&env, &policy, sink, specs, n, &err);
  if (!deps) fail_msg("%s", err.msg);
}

static struct dependency_spec function_spec(const char *name, int fn, bool required) {
  return (struct dependency_spec){
      .name = name, .fn = fn, .required = required, .timeout_ns = 2 * NS_PER_S, .interval_ns = 10 * MS};
}

static struct dependency_view view(size_t i) {
  struct dependency_view v;
  assert_true(dependencies_at(deps, i, &v));
  return v;
}

/* "name name …" of all events so far, with the level's first letter: "waiting:I ready:I". */
static const char *events(void) {
  static char text[512];
  text[0] = 0;
  const struct event *e;
  for (uint64_t seq = 1; (e = event_ring_from(sink_ring(sink), seq)); seq = e->seq + 1) {
    size_t n = strlen(text);
    snprintf(text + n, sizeof text - n, "%s%s:%c", n ? " " : "", event_name(e->kind) + strlen("dependency_"),
             level_name(e->level)[0]);
  }
  return text;
}

static int setup(void **state) {
  (void)state;
  memset(functions, 0, sizeof functions);
  memset(&got, 0, sizeof got);
  stop_at = 0;
  env = (struct probe_env){.loop = loop_new()};
  probe_env_init(&env);
  stopper = timer_new(env.loop, stop, NULL);
  struct sink_options o = {.fd = open("/dev/null", O_WRONLY | O_CLOEXEC), .level = LEVEL_INFO, .who = {"c", "f"}};
  sink = sink_new(env.loop, &o);
  deps = NULL;
  return stopper && sink ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  dependencies_free(deps);
  sink_free(sink);
  timer_free(stopper);
  loop_free(env.loop);
  return 0;
}

#endif
