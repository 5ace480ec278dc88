#include "health/ask.h"

#include <errno.h>

#include "base/clock.h"
#include "probes/judge.h"

static void finish(struct ask *a, struct probe_result *r) {
  r->duration_ns = clock_mono_ns() - a->started_ns;
  probe_done_fn *done = a->done;
  void *arg = a->arg;
  a->probe = NULL;
  a->task = 0;
  done(arg, r);
}

static void on_probe(void *arg, const struct probe_result *result) {
  struct probe_result r = *result;
  finish(arg, &r);
}

static void on_function(void *arg, enum policy_status status, const cJSON *values, const struct err *err) {
  struct probe_result r;
  if (status == POLICY_OK)
    probe_judge(values, &r);
  else
    probe_say(&r, PROBE_UNKNOWN, status == POLICY_TIMEOUT ? "timeout" : "script", err ? err->msg : "");
  finish(arg, &r);
}

/* One of a kind that is written in Lua gets the kind's parameters, any other what there is to say about this attempt.
 */
static void start_function(struct ask *a, const struct ask_what *what, const char *about, int64_t deadline_ns,
                           struct err *err) {
  if (!what->policy) {
    err_set(err, -EINVAL, "it is a function, and there are no scripts");
    return;
  }
  auto_buf struct buf params = {0};
  struct json j = JSON_INIT(&params);
  if (what->kind && what->params) json_value(&j, NULL, what->params);
  if (params.failed)
    err_set(err, -ENOMEM, "no memory for its parameters");
  else
    a->task = what->policy->call(what->policy->self, what->fn, what->name, what->kind ? buf_cstr(&params) : about,
                                 deadline_ns, on_function, a, err);
}

int ask_start(struct ask *a, const struct ask_what *what, const char *about, int64_t deadline_ns, probe_done_fn *done,
              void *arg, struct probe_result *failed) {
  struct err err = ERR_INIT;
  *a = (struct ask){.policy = what->policy, .started_ns = clock_mono_ns(), .done = done, .arg = arg};
  bool probe = what->kind && !what->fn;
  if (probe)
    a->probe = probe_start(what->probes, what->kind, what->params, deadline_ns, on_probe, a, &err);
  else
    start_function(a, what, about, deadline_ns, &err);
  if (ask_runs(a)) return 0;
  probe_say(failed, PROBE_UNKNOWN, probe ? "config" : "script", err.msg);
  return -EINVAL;
}

bool ask_runs(const struct ask *a) { return a->probe || a->task; }

void ask_cancel(struct ask *a) {
  if (a->probe) probe_cancel(a->probe);
  if (a->task) a->policy->cancel(a->policy->self, a->task);
  a->probe = NULL;
  a->task = 0;
}
