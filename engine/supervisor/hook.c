/* The flow's hooks: functions called at points of the lifecycle. One that fails or is late is told and passed over. */
#include "base/clock.h"
#include "base/str.h"
#include "supervisor/impl.h"

#define HOOK_TIMEOUT_NS (10 * NS_PER_S) /* of a hook that names none */

static const char *const names[PLAN_HOOKS_N] = {
#define P(id, key, doc) [PLAN_HOOK_##id] = key,
    PLAN_HOOKS(P)
#undef P
};

static void tell_failure(struct supervisor *s, enum plan_hook_kind kind, const struct err *err) {
  sink_say(s->o.sink, EVENT_SCRIPT_ERROR, LEVEL_ERROR, "hook %s: %s", names[kind], err->msg);
}

/* Calls it where the flow has one and there is time; the task's token, else 0. */
static uint64_t call(struct supervisor *s, enum plan_hook_kind kind, int64_t deadline_ns, policy_done_fn *done) {
  const struct plan_hook *h = &s->o.plan->hooks[kind];
  int64_t now = clock_mono_ns();
  if (h->fn == PLAN_NO_FN || !s->o.policy || now >= deadline_ns) return 0;
  int64_t due = now + (h->timeout_ns == PLAN_UNSET ? HOOK_TIMEOUT_NS : h->timeout_ns);
  if (due > deadline_ns) due = deadline_ns;
  struct err err = ERR_INIT;
  uint64_t task = s->o.policy->call(s->o.policy->self, h->fn, names[kind], NULL, due, done, s, &err);
  if (!task) tell_failure(s, kind, &err);
  return task;
}

/* --- at the start ------------------------------------------------------------------------------------------------ */

static void go_on(struct supervisor *s) {
  supervisor_phase_begin(s, PHASE_PROCESSES);
  supervisor_feed(s, &(struct machine_input){.kind = IN_DEPENDENCIES, .ok = true});
}

static void on_start(void *arg, enum policy_status status, const cJSON *result, const struct err *err) {
  struct supervisor *s = arg;
  (void)result;
  s->start_hook_task = 0;
  if (status != POLICY_OK) tell_failure(s, PLAN_HOOK_START, err);
  go_on(s);
}

void supervisor_hook_start(struct supervisor *s) {
  s->start_hook_task = call(s, PLAN_HOOK_START, TIME_NEVER, on_start);
  if (!s->start_hook_task) go_on(s);
}

static void on_running(void *arg, enum policy_status status, const cJSON *result, const struct err *err) {
  (void)result;
  if (status != POLICY_OK) tell_failure(arg, PLAN_HOOK_RUNNING, err);
}

void supervisor_hook_running(struct supervisor *s) { call(s, PLAN_HOOK_RUNNING, TIME_NEVER, on_running); }

/* --- before the stop signals ------------------------------------------------------------------------------------- */

static const enum plan_hook_kind stop_hooks[] = {PLAN_HOOK_DRAIN, PLAN_HOOK_STOP};

static void next_hook(struct supervisor *s);

static void on_stop(void *arg, enum policy_status status, const cJSON *result, const struct err *err) {
  struct supervisor *s = arg;
  (void)result;
  s->hook_task = 0;
  if (status != POLICY_OK) tell_failure(s, stop_hooks[s->hook], err);
  s->hook++;
  next_hook(s);
}

static void next_hook(struct supervisor *s) {
  for (; s->hook < ARRAY_LEN(stop_hooks); s->hook++) {
    s->hook_task = call(s, stop_hooks[s->hook], s->hooks_deadline_ns, on_stop);
    if (s->hook_task) return;
  }
  supervisor_feed(s, &(struct machine_input){.kind = IN_HOOKS_DONE});
}

void supervisor_hooks(struct supervisor *s, int64_t deadline_ns) {
  s->hook = 0;
  s->hooks_deadline_ns = deadline_ns;
  next_hook(s);
}

void supervisor_cancel_hooks(struct supervisor *s) {
  if (s->hook_task) s->o.policy->cancel(s->o.policy->self, s->hook_task);
  s->hook_task = 0;
}
