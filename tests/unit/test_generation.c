/* What goes from one generation of scripts to the next, and what a generation that is not in force leaves alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/str.h"
#include "loop/script_state.h"
#include "lua/l.h"

struct fixture {
  struct loop *loop;
  struct sched *sched;
  struct settings *settings;
  struct sink *sink;
  struct timer *timer;
  struct script_state state;
  unsigned kept;
  char dir[64], path[96];
};

static void keep(void *arg, const char *text, size_t n) {
  struct fixture *f = arg;
  assert_int_equal(strlen(text), n);
  f->kept++;
}

static int setup(void **state) {
  struct fixture *f = calloc(1, sizeof *f);
  str_copy(f->dir, sizeof f->dir, "/tmp/tend-generation-XXXXXX");
  assert_non_null(mkdtemp(f->dir));
  snprintf(f->path, sizeof f->path, "%s/flow.lua", f->dir);
  f->loop = loop_new();
  f->settings = settings_new();
  f->sched = sched_new(f->loop, NULL);
  f->sink =
      sink_new(f->loop, &(struct sink_options){.fd = open("/dev/null", O_WRONLY | O_CLOEXEC), .level = LEVEL_INFO});
  f->timer = timer_new(f->loop, (loop_fn *)loop_stop, f->loop);
  f->state = (struct script_state){.keep = keep, .arg = f};
  *state = f;
  return 0;
}

static int teardown(void **state) {
  struct fixture *f = *state;
  timer_free(f->timer);
  sched_free(f->sched);
  sink_free(f->sink);
  settings_free(f->settings);
  loop_free(f->loop);
  script_state_free(&f->state);
  unlink(f->path);
  rmdir(f->dir);
  free(f);
  return 0;
}

/* A generation that has run its flow file. */
static struct vm *generation(struct fixture *f, const char *text, bool paused) {
  const struct vm_host host = {
      .sched = f->sched, .loop = f->loop, .settings = f->settings, .sink = f->sink, .state = &f->state, .flow = "x"};
  struct err err = ERR_INIT;
  auto_json cJSON *plan = NULL;
  auto_file FILE *file = fopen(f->path, "w");
  assert_true(file && fputs(text, file) >= 0 && fflush(file) == 0);
  struct vm *vm = vm_new(&host, &err);
  assert_non_null(vm);
  vm->paused = paused;
  if (vm_load_flow(vm, f->path, &plan, &err)) fail_msg("%s", err.msg);
  return vm;
}

static void spend(struct fixture *f, int64_t ns) {
  timer_after(f->timer, ns);
  loop_run(f->loop);
}

static void test_state(void **arg) {
  struct fixture *f = *arg;
  struct vm *a = generation(
      f, "state.n = 1 timer.after(0, function() state.n = 2 state.t = { 'x', { y = false } } end) return {}", false);
  for (int i = 0; i < 100 && !f->kept; i++) spend(f, 20 * NS_PER_MS);
  assert_string_equal(buf_cstr(&f->state.text), "{\"n\": 2, \"t\": [\"x\", {\"y\": false}]}");
  /* one that is refused leaves nothing */
  struct vm *b = generation(f, "assert(state.n == 2 and state.t[2].y == false) state.n = 3 return {}", true);
  vm_state_touched(b);
  spend(f, 300 * NS_PER_MS);
  vm_free(b);
  assert_string_equal(buf_cstr(&f->state.text), "{\"n\": 2, \"t\": [\"x\", {\"y\": false}]}");
  /* one that is taken keeps what its file wrote */
  b = generation(f, "state.n = state.n + 1 return {}", true);
  vm_state_move(a, b);
  a->paused = true;
  b->paused = false;
  vm_state_save(b);
  assert_string_equal(buf_cstr(&f->state.text), "{\"n\": 3, \"t\": [\"x\", {\"y\": false}]}");
  /* and back again */
  vm_state_move(b, a);
  b->paused = true;
  a->paused = false;
  vm_state_save(a);
  assert_string_equal(buf_cstr(&f->state.text), "{\"n\": 3, \"t\": [\"x\", {\"y\": false}]}");
  vm_free(b);
  vm_free(a);
}

static void test_what_cannot_be_kept(void **arg) {
  struct fixture *f = *arg;
  static const char *const bad[] = {"state.f = print", "state.s = state", "state.long = ('x'):rep(70000)",
                                    "state[1] = 1", "state.nan = 0/0"};
  for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
    char text[128];
    snprintf(text, sizeof text, "state.good = %zu return {}", i);
    struct vm *vm = generation(f, text, false);
    vm_state_save(vm);
    vm_free(vm);
    snprintf(text, sizeof text, "%s return {}", bad[i]);
    vm = generation(f, text, false);
    uint64_t before = event_ring_last(sink_ring(f->sink));
    vm_state_save(vm);
    vm_state_save(vm); /* told once */
    assert_int_equal(event_ring_last(sink_ring(f->sink)) - before, 1);
    assert_int_equal(event_ring_from(sink_ring(f->sink), before + 1)->kind, EVENT_SCRIPT_ERROR);
    snprintf(text, sizeof text, "{\"good\": %zu}", i);
    assert_string_equal(buf_cstr(&f->state.text), text);
    vm_free(vm);
  }
}

static const char counting[] =
    "local function n(k) state[k] = (state[k] or 0) + 1 end\n"
    "cron.every('* * * * * *', function() n 'cron' end)\n"
    "event.subscribe('notice', function(e) n(e.message) end) return {}";

static void test_paused(void **arg) {
  struct fixture *f = *arg;
  struct vm *vm = generation(f, counting, true);
  sink_say(f->sink, EVENT_NOTICE, LEVEL_INFO, "early");
  spend(f, 1100 * NS_PER_MS);
  vm->paused = false;
  cron_pause(vm);
  events_pause(vm);
  sink_say(f->sink, EVENT_NOTICE, LEVEL_INFO, "now");
  spend(f, 50 * NS_PER_MS);
  vm_state_save(vm);
  assert_non_null(strstr(buf_cstr(&f->state.text), "\"now\": 1"));
  assert_null(strstr(buf_cstr(&f->state.text), "early"));
  for (int i = 0; i < 40 && !strstr(buf_cstr(&f->state.text), "cron"); i++) spend(f, 50 * NS_PER_MS);
  assert_non_null(strstr(buf_cstr(&f->state.text), "\"cron\": "));
  vm_free(vm);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_state, setup, teardown),
      cmocka_unit_test_setup_teardown(test_what_cannot_be_kept, setup, teardown),
      cmocka_unit_test_setup_teardown(test_paused, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
