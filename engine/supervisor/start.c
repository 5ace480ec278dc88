/* The start: validation, dependencies, the first health round. */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/keep.h"
#include "base/exits.h"
#include "base/str.h"
#include "supervisor/from_plan.h"
#include "supervisor/impl.h"

void supervisor_phase_begin(struct supervisor *s, int phase) {
  static const char *const names[PHASES] = {"validation", "dependencies", "health", "processes"};
  s->phase_started_ns[phase] = clock_mono_ns();
  s->phases[phase] = (struct report_phase){
      .name = names[phase], .started_real_ns = clock_real_ns(), .duration_ns = -1, .result = "running"};
}

void supervisor_phase_end(struct supervisor *s, int phase, const char *result) {
  s->phases[phase].duration_ns = clock_mono_ns() - s->phase_started_ns[phase];
  s->phases[phase].result = result;
  s->startup_ns = clock_mono_ns() - s->begun_ns;
}

/* --- validation -------------------------------------------------------------------------------------------------- */

void supervisor_open_journal(struct supervisor *s) {
  if (s->journal || !s->log_dir[0]) return;
  struct err err = ERR_INIT;
  s->journal = journal_new(s->o.loop, s->o.children, s->o.sink, &(struct journal_options){.dir = s->log_dir}, &err);
  if (!s->journal) sink_say(s->o.sink, EVENT_NOTICE, LEVEL_WARNING, "no events.jsonl: %s", err.msg);
}

/* Memory that a stop will need: nobody waits for it now. */
enum { STOP_BYTES = 16 * 1024 };

/* What loading and the start have needed is most of what there is. Once more before the part of HTTP is loaded: what
 * that allocates would lie all over what is free, and keep it. */
void supervisor_give_back(void *arg) {
  struct supervisor *s = arg;
  if (s->o.policy) s->o.policy->collect(s->o.policy->self);
  if (!s->busy) machine_give_back(s->machine);
  malloc_trim(STOP_BYTES);
}

void supervisor_settle(void *arg) {
  struct supervisor *s = arg;
  s->settled = true;
  supervisor_keep_policy(s); /* which needs no more what the flow file returned */
  supervisor_give_back(s);
  supervisor_open_journal(s);
  cleanup_prepare(&s->cleanup_env, s->o.plan);
  supervisor_note_run(s);
  supervisor_measure(s);
  supervisor_watch_lag(s);
  supervisor_keep_sockets(s);
  if (s->o.keep) keep_ready(s->o.keep, STOP_BYTES);
  reload_begin(s->reload);
  /* what came on disk while there was no engine */
  if (s->o.revival && !s->o.revival->safe && settings_choice(s->o.settings, SET_RELOAD) == 0)
    reload_ask(s->reload, RELOAD_WATCH);
}

static void plan_settling(struct supervisor *s, const struct validate_result *found) {
  if (s->disks || s->unnamed) return; /* not the first start */
  if (found->log_dir) str_copy(s->log_dir, sizeof s->log_dir, settings_str(s->o.settings, SET_LOG_DIR));
  supervisor_watch_disks(s, found);
  timer_after(s->settle_timer, SETTLE_DELAY_NS);
}

static void tell_validation(struct supervisor *s, const struct validate_result *r, const struct problems *all,
                            int64_t started_ns) {
  auto_buf struct buf b = {0};
  struct json j = JSON_INIT(&b);
  json_object(&j, NULL);
  validate_json(r, all, &j);
  json_object_end(&j);
  size_t errors = problems_errors(all);
  auto_buf struct buf message = {0};
  for (size_t i = 0; i < all->n; i++) {
    if (all->items[i].warning && errors) continue;
    if (message.len) buf_str(&message, "; ");
    problem_text(&all->items[i], &message);
  }
  sink_emit(s->o.sink, EVENT_VALIDATION_COMPLETED,
            &(struct sink_event){.level = errors   ? LEVEL_CRITICAL
                                          : all->n ? LEVEL_WARNING
                                                   : LEVEL_INFO,
                                 .message = message.len ? buf_cstr(&message) : NULL,
                                 .details = buf_cstr(&b),
                                 .timed = true,
                                 .duration_ns = clock_mono_ns() - started_ns + s->o.loaded_ns});
}

void supervisor_validate(struct supervisor *s) {
  int64_t started = clock_mono_ns();
  supervisor_phase_begin(s, PHASE_VALIDATION);
  /* what loading told stays; the rest is found anew at each start */
  struct problems all = {0};
  for (size_t i = 0; i < s->o.problems->n; i++) problems_add(&all, &s->o.problems->items[i]);
  struct validate_result result = {0};
  size_t errors = from_plan_validate(s->o.plan, s->o.settings, false, &all, &result);
  s->validation_checks = VALIDATE_FLOW_FILE; /* the specification's six; the flow file was read before */
  plan_settling(s, &result);
  tell_validation(s, &result, &all, started);
  if (result.without.len) sink_say(s->o.sink, EVENT_NOTICE, LEVEL_INFO, "%s", buf_cstr(&result.without));
  supervisor_phase_end(s, PHASE_VALIDATION, errors ? "failed" : "ok");
  struct machine_input answer = {.kind = IN_VALIDATED,
                                 .ok = errors == 0,
                                 .can_pass = errors && problems_can_pass(&all),
                                 .exit_code = problems_exit_code(&all)};
  validate_result_free(&result);
  problems_free(&s->invalid);
  for (size_t i = 0; i < all.n; i++)
    if (!all.items[i].warning) problems_add(&s->invalid, &all.items[i]);
  problems_free(&all);
  supervisor_feed(s, &answer);
}

/* --- dependencies ------------------------------------------------------------------------------------------------ */

static void settled(struct supervisor *s, bool ok) {
  supervisor_phase_end(s, PHASE_DEPENDENCIES, ok ? "ok" : "failed");
  if (ok) {
    supervisor_hook_start(s);
  } else {
    supervisor_health_take(s);
    supervisor_feed(s, &(struct machine_input){.kind = IN_DEPENDENCIES, .ok = false, .exit_code = EXIT_DEPENDENCY});
  }
}

static void on_dependencies(void *arg, const struct dependency_outcome *o) { settled(arg, o->ok); }

void supervisor_check_dependencies(struct supervisor *s, bool only_bad) {
  supervisor_phase_begin(s, PHASE_DEPENDENCIES);
  s->only_bad = only_bad;
  if (s->o.plan->dependencies_n == 0)
    settled(s, true);
  else
    dependencies_run(s->dependencies, only_bad, on_dependencies, s);
}

void supervisor_cancel_start(struct supervisor *s) {
  dependencies_stop(s->dependencies);
  supervisor_cancel_start_hook(s);
}

/* --- what it had to wait for ------------------------------------------------------------------------------------- */

static void step(struct supervisor *s, int64_t duration_ns, const char *what, const char *name) {
  if (s->n_steps == STEPS) return;
  struct report_wait *new = &s->steps[s->n_steps++];
  new->duration_ns = duration_ns;
  snprintf(new->what, sizeof new->what, "%s %s", what, name);
}

/* The dependency that was settled last. */
static void slowest_dependency(struct supervisor *s) {
  struct dependency_view d, slowest = {0};
  for (size_t i = 0; dependencies_at(s->dependencies, i, &d); i++)
    if (d.state != DEPENDENCY_IDLE && (!slowest.name || d.duration_ns > slowest.duration_ns)) slowest = d;
  if (slowest.name) step(s, slowest.duration_ns, "dependency", slowest.name);
}

static int64_t started_ns(const struct supervisor *s, unsigned process) {
  return s->slots[machine_slot(s->machine, process, 0)].started_ns;
}

/* From what main was started after, the last one each time, to main; `up_ns` is when the next of the chain could go on.
 */
static void chain_to(struct supervisor *s, unsigned process, int64_t up_ns, unsigned depth) {
  const struct plan_process *p = &s->o.plan->processes[process];
  int64_t before_ns = s->phase_started_ns[PHASE_PROCESSES];
  unsigned last = process;
  for (size_t i = 0; i < p->after_n; i++)
    if (last == process || started_ns(s, p->after[i]) > started_ns(s, last)) last = p->after[i];
  if (last != process && depth < STEPS) chain_to(s, last, started_ns(s, process), depth + 1);
  if (last != process) before_ns = started_ns(s, process);
  step(s, up_ns - before_ns, "process", p->name);
}

void supervisor_note_critical_path(struct supervisor *s) {
  s->n_steps = 0;
  if (s->phases[PHASE_VALIDATION].name)
    step(s, s->phases[PHASE_VALIDATION].duration_ns, "validation", "of the container");
  slowest_dependency(s);
  chain_to(s, s->o.plan->main, clock_mono_ns(), 0);
}
