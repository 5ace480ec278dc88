#include "supervisor/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/revival.h"
#include "base/str.h"
#include "supervisor/from_plan.h"
#include "supervisor/impl.h"

static void count_state(struct supervisor *s, const struct machine_action *a) {
  int64_t now = clock_mono_ns();
  if (a->from == STATE_RUNNING && s->running_since_ns) {
    s->running_total_ns += now - s->running_since_ns;
    s->running_since_ns = 0;
  }
  if (a->to == STATE_RUNNING) s->running_since_ns = now;
  s->plan_stale = true;
}

static void remember_stop(struct supervisor *s, bool on) {
  struct err err = ERR_INIT;
  if (s->state.fd >= 0 && state_mark_stopped(&s->state, on, &err))
    sink_say(s->o.sink, EVENT_NOTICE, LEVEL_WARNING, "the stop is not remembered: %s", err.msg);
}

void supervisor_carry_out(struct supervisor *s, const struct machine_action *a) {
  switch (a->kind) {
    case ACT_STATE:
      count_state(s, a);
      break;
    case ACT_EVENT:
      supervisor_tell(s, a);
      break;
    case ACT_VALIDATE:
      supervisor_validate(s);
      break;
    case ACT_CHECK_DEPENDENCIES:
      supervisor_check_dependencies(s, a->on);
      break;
    case ACT_CANCEL_DEPENDENCIES:
      supervisor_cancel_start(s);
      break;
    case ACT_SPAWN:
      supervisor_spawn(s, a->slot);
      break;
    case ACT_START_CHECK:
      health_reset(s->checks, (size_t)s->slots[a->slot].startup);
      health_start(s->checks, (size_t)s->slots[a->slot].startup);
      break;
    case ACT_CANCEL_CHECK:
      health_stop(s->checks, (size_t)s->slots[a->slot].startup);
      break;
    case ACT_KILL:
      supervisor_kill(s, a);
      break;
    case ACT_SWEEP:
      supervisor_sweep(s, a->signal);
      break;
    case ACT_HOOKS:
      supervisor_hooks(s, a->deadline_ns);
      break;
    case ACT_CANCEL_HOOKS:
      supervisor_cancel_hooks(s);
      break;
    case ACT_CLEANUP:
      supervisor_cleanup(s, a->deadline_ns);
      break;
    case ACT_CANCEL_CLEANUP:
      if (s->cleanup) cleanup_cancel(s->cleanup);
      break;
    case ACT_REPORT:
      supervisor_note_end(s, a);
      supervisor_report(s, a->deadline_ns);
      break;
    case ACT_REMEMBER_STOP:
      remember_stop(s, a->on);
      break;
    case ACT_EXIT:
      supervisor_exit(s, a);
      break;
    case ACTIONS:
      break;
  }
}

/* Once a turn: of a thousand processes that start at once each would change it. */
static void tell_init(void *arg) {
  struct supervisor *s = arg;
  s->plan_due = false;
  if (!s->ended) supervisor_tell_init(s);
}

void supervisor_no_memory(struct supervisor *s) {
  sink_say(s->o.sink, EVENT_NOTICE, LEVEL_CRITICAL, "out of memory");
  abort();
}

void supervisor_feed_later(struct supervisor *s, const struct machine_input *in) {
  if (s->queue_n == s->queue_cap) {
    size_t cap = s->queue_cap ? s->queue_cap * 2 : 64;
    struct machine_input *p = realloc(s->queue, cap * sizeof *p);
    if (!p) supervisor_no_memory(s); /* an input lost is a lie to the machine */
    s->queue = p;
    s->queue_cap = cap;
  }
  s->queue[s->queue_n++] = *in;
}

/* What init is to do: it goes there before anything is told, so that nobody waits for words. */
static bool is_for_init(const struct machine_action *a) { return a->kind == ACT_SPAWN || a->kind == ACT_KILL; }

/* Inputs that arise while one is carried out wait for their own step. */
void supervisor_judge(struct supervisor *s) {
  if (s->busy || !s->queue_n) return;
  s->busy = true;
  for (size_t i = 0; i < s->queue_n; i++) {
    struct machine_input input = s->queue[i];
    struct machine_out out;
    bool process = input.kind == IN_STARTED || input.kind == IN_EXITED;
    input.more = process && i + 1 < s->queue_n && s->queue[i + 1].kind == input.kind;
    machine_step(s->machine, &input, loop_update_now(s->o.loop), &out);
    for (unsigned k = 0; k < out.n; k++)
      if (is_for_init(&out.action[k])) supervisor_carry_out(s, &out.action[k]);
    for (unsigned k = 0; k < out.n; k++)
      if (!is_for_init(&out.action[k])) supervisor_carry_out(s, &out.action[k]);
  }
  s->queue_n = 0;
  s->busy = false;
  supervisor_put(s);
  if (s->ended) return;
  if (s->plan_stale && !s->plan_due) s->plan_due = loop_defer(s->o.loop, tell_init, s) == 0;
  supervisor_health_follow(s);
  supervisor_remedies_follow(s);
  timer_at(s->due, machine_due_ns(s->machine));
  supervisor_answer_waiters(s);
  reload_follow(s->reload);
}

/* What decides about everything does not wait for hooks that decide about one thing. */
static bool is_above_hooks(enum machine_input_kind kind) {
  return kind == IN_STOP || kind == IN_OPERATOR_STOP || kind == IN_OPERATOR_START || kind == IN_OPERATOR_RESTART ||
         kind == IN_FAIL;
}

void supervisor_feed(struct supervisor *s, const struct machine_input *in) {
  if (is_above_hooks(in->kind)) supervisor_settle_hooks(s);
  supervisor_feed_later(s, in);
  supervisor_judge(s);
}

void supervisor_feed_others(struct supervisor *s, enum machine_input_kind kind) {
  if (s->queue_n && s->queue[s->queue_n - 1].kind != kind) supervisor_judge(s);
}

void supervisor_speak(struct supervisor *s) {
  if (!s->silent) return;
  s->silent = false;
  timer_stop(s->speak_timer);
  sink_release(s->o.sink);
}

static void on_silence_over(void *arg) { supervisor_speak(arg); }

/* Who was asked for needs a processor more than the words about it do: they wait until init tells that it has begun, or
 * for a moment. Of a stop that is over in a moment all words go out together, with its report. */
static void be_silent(struct supervisor *s) {
  if (s->silent) return;
  s->silent = true;
  sink_hold(s->o.sink);
  timer_after(s->speak_timer, SILENCE_NS);
}

static void on_told(void *arg) {
  struct supervisor *s = arg;
  sink_hold(s->o.sink);
  s->spawned = false;
  supervisor_judge(s);
  if (s->begun) supervisor_speak(s);
  s->begun = false;
  if (s->spawned) be_silent(s);
  sink_release(s->o.sink);
}

static void on_due(void *arg) { supervisor_feed(arg, &(struct machine_input){.kind = IN_TICK}); }

static void on_signal(void *arg, int sig, int level, bool begun) {
  struct supervisor *s = arg;
  if (level) be_silent(s);
  if (level)
    supervisor_feed(s, &(struct machine_input){.kind = IN_STOP,
                                               .level = (enum stop_level)level,
                                               .cause = sig == SIGHUP ? CAUSE_TERMINAL : CAUSE_SIGNAL,
                                               .signal = sig,
                                               .begun = begun});
  else if (sig == SIGHUP)
    reload_ask(s->reload, RELOAD_SIGNAL);
}

static void open_state(struct supervisor *s) {
  struct err err = ERR_INIT;
  const char *flow = settings_str(s->o.settings, SET_FLOW_NAME);
  s->unnamed = !flow || !plan_flow_name_valid(flow);
  if (s->unnamed) return;
  const char *root = settings_given(s->o.settings, SET_STATE_DIR) ? settings_str(s->o.settings, SET_STATE_DIR) : NULL;
  int rc = state_open(&s->state, root, s->o.plan->name, s->o.pid, &err);
  if (rc == 0) {
    s->control = control_new(s->o.loop, s->o.sink, &s->state, revival_fd(s->o.revival, "control"), &err);
    control_add(s->control, supervisor_ops, s);
    control_scripts(s->control, &s->o.policy);
    if (!s->control)
      sink_say(s->o.sink, EVENT_NOTICE, LEVEL_WARNING, "no control socket, tend goes on without: %s", err.msg);
    const char *group = settings_str(s->o.settings, SET_CONTROL_GROUP);
    if (s->control && group && control_group(s->control, group, &err))
      sink_say(s->o.sink, EVENT_SETTING, LEVEL_WARNING, "CONTAINER_CONTROL_GROUP: %s", err.msg);
  } else if (rc == -EBUSY || root) {
    s->unnamed = rc == -EBUSY;
    struct setting_view view = {0};
    settings_view(s->o.settings, "CONTAINER_STATE_DIR", &view);
    problems_add(s->o.problems, &(struct problem){.class = PROBLEM_PERMISSION,
                                                  .check = "directories",
                                                  .name = "CONTAINER_STATE_DIR",
                                                  .value = root,
                                                  .source = root ? view.origin : "default",
                                                  .allowed = rc == -EBUSY ? "one engine of a flow at a time"
                                                                          : "a directory that is ours, or can be made",
                                                  .fix = err.msg});
  } else {
    sink_say(s->o.sink, EVENT_NOTICE, LEVEL_WARNING, "no state directory, tend goes on without: %s", err.msg);
  }
}

int supervisor_make_dependencies(struct supervisor *s, struct err *err) {
  struct dependency_spec *specs = from_plan_dependencies(s->o.plan, s->o.settings);
  if (!specs) return err_set(err, -ENOMEM, "out of memory");
  s->dependencies = dependencies_new(s->o.probes, s->o.policy, s->o.sink, specs, s->o.plan->dependencies_n, err);
  free(specs);
  return s->dependencies ? 0 : -EINVAL;
}

static int make_alert(struct supervisor *s, struct err *err) {
  const char *url = settings_str(s->o.settings, SET_ALERT_URL);
  if (!url) return 0;
  const struct alert_options options = {
      .loop = s->o.loop,
      .sink = s->o.sink,
      .probes = s->o.probes,
      .url = url,
      .level = (enum level)(LEVEL_INFO + settings_choice(s->o.settings, SET_ALERT_LEVEL)),
  };
  s->alert = alert_new(&options, err);
  return s->alert ? 0 : -ENOMEM;
}

struct supervisor *supervisor_new(const struct supervisor_options *options, struct err *err) {
  struct supervisor *s = calloc(1, sizeof *s);
  if (!s) goto memory;
  s->o = *options;
  s->state = (struct state_dir)STATE_DIR_INIT;
  s->begun_ns = clock_mono_ns();
  s->begun_real_ns = clock_real_ns();
  s->startup_result = "in progress";
  s->lifecycle = lifecycle_new(options->plan, options->settings, options->simple, options->tty);
  if (!s->lifecycle) goto memory;
  s->machine = machine_new(&s->lifecycle->config, (uint64_t)s->begun_real_ns ^ (uint64_t)getpid() << 32);
  s->due = timer_new(options->loop, on_due, s);
  s->settle_timer = timer_new(options->loop, supervisor_settle, s);
  s->put_timer = timer_new(options->loop, supervisor_put_late, s);
  s->speak_timer = timer_new(options->loop, on_silence_over, s);
  if (!s->machine || !s->due || !s->settle_timer || !s->put_timer || !s->speak_timer) goto memory;
  s->n_slots = machine_slots(s->machine);
  s->slots = calloc(s->n_slots, sizeof *s->slots);
  if (!s->slots) goto memory;
  for (uint32_t i = 0; i < s->n_slots; i++) s->slots[i] = (struct slot){.sup = s, .index = i};
  s->cleanup_env = (struct cleanup_env){options->loop, options->children, options->sink, options->policy, NULL};
  if (supervisor_make_dependencies(s, err) || supervisor_health_new(s, err) || supervisor_remedies_new(s, err) ||
      make_alert(s, err) ||
      (options->generations && !(s->reload = reload_new(s, options->generation, options->generations, err)))) {
    supervisor_free(s);
    return NULL;
  }
  return s;
memory:
  supervisor_free(s);
  err_set(err, -ENOMEM, "out of memory");
  return NULL;
}

void supervisor_free(struct supervisor *s) {
  if (!s) return;
  s->o.probes->process = NULL;
  reload_free(s->reload);
  supervisor_answer_all(s);
  children_on_told(s->o.children, NULL, NULL);
  loop_cancel(s->o.loop, tell_init, s);
  loop_cancel(s->o.loop, supervisor_keep_sockets, s);
  loop_cancel(s->o.loop, supervisor_sample, s);
  scaling_free(s->scaling);
  remedies_free(s->remedies);
  supervisor_drop_tails(s);
  ends_free(&s->ends);
  loop_on_lag(s->o.loop, NULL, NULL);
  web_free(s->web);
  trend_free(&s->trend);
  control_free(s->control);
  journal_free(s->journal);
  alert_free(s->alert);
  disks_free(s->disks);
  buf_free(&s->previous_run);
  problems_free(&s->invalid);
  timer_free(s->settle_timer);
  timer_free(s->put_timer);
  timer_free(s->speak_timer);
  cleanup_free(s->cleanup);
  attendant_free(s->cleanup_env.ready);
  dependencies_free(s->dependencies);
  supervisor_hooks_free(s);
  supervisor_health_free(s);
  for (uint32_t i = 0; s->slots && i < s->n_slots; i++) free(s->slots[i].end);
  free(s->slots);
  timer_free(s->due);
  machine_free(s->machine);
  lifecycle_free(s->lifecycle);
  state_close(&s->state);
  free(s->queue);
  free(s);
}

struct generation *supervisor_generation(const struct supervisor *s) {
  return s->reload ? reload_in_force(s->reload) : s->o.generation;
}

void supervisor_begin(struct supervisor *s) {
  children_on_signal(s->o.children, on_signal, s);
  children_on_told(s->o.children, on_told, s);
  if (s->o.revival) children_revive(s->o.children, s->o.revival->last_number);
  bool revived = s->o.revival && supervisor_revive(s);
  open_state(s);
  if (!s->o.revival) supervisor_find_previous(s);
  supervisor_open_web(s);
  if (revived) {
    supervisor_go_on(s);
    return;
  }
  bool mark = s->state.fd >= 0 && state_is_stopped(&s->state);
  supervisor_feed(s, &(struct machine_input){.kind = IN_BEGIN, .stopped_mark = mark});
  if (s->spawned) be_silent(s);
}

struct control *supervisor_control(struct supervisor *s) {
  return s->control;
}

int supervisor_ask(void *arg, const char *what, struct buf *out) {
  struct supervisor *s = arg;
  if (STR_EQ(what, "metrics"))
    supervisor_metrics_json(s, out);
  else if (STR_EQ(what, "report"))
    supervisor_report_json(s, out);
  else if (STR_EQ(what, "status"))
    supervisor_status_json(s, false, out);
  else
    return -EINVAL;
  return out->failed ? -ENOMEM : 0;
}
