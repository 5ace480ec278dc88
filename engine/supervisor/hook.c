/* Where the flow's hooks are called, and what comes of their choices. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/str.h"
#include "supervisor/impl.h"

#define HOOK_TIMEOUT_NS (10 * NS_PER_S)      /* of a hook that names none */
#define DECISION_TIMEOUT_NS (2 * NS_PER_S)   /* the same, where something waits for what it decides */
#define DECISIONS_TIMEOUT_NS (10 * NS_PER_S) /* and of all of them together, whatever they name */

static struct hook_call call_of(struct supervisor *s, enum plan_hook_kind kind, hook_done_fn *done, void *arg) {
  return (struct hook_call){.policy = &s->o.policy,
                            .sink = s->o.sink,
                            .plan = s->o.plan,
                            .kind = kind,
                            .deadline_ns = TIME_NEVER,
                            .each_ns = HOOK_TIMEOUT_NS,
                            .done = done,
                            .arg = arg};
}

/* The same for a decision that something waits for. */
static struct hook_call decision_of(struct supervisor *s, enum plan_hook_kind kind, hook_done_fn *done, void *arg) {
  struct hook_call call = call_of(s, kind, done, arg);
  call.each_ns = DECISION_TIMEOUT_NS;
  call.deadline_ns = clock_mono_ns() + DECISIONS_TIMEOUT_NS;
  return call;
}

static void tell_choice(struct supervisor *s, enum plan_hook_kind kind, const struct hook_answer *a, const char *what) {
  auto_buf struct buf details = {0}, message = {0};
  struct json j = JSON_INIT(&details);
  json_object(&j, NULL);
  json_str(&j, "hook", hook_point_name(kind));
  json_str(&j, "name", a->by);
  json_str(&j, "decision", a->word);
  if (*a->reason) json_str(&j, "reason", a->reason);
  json_object_end(&j);
  buf_fmt(&message, "%s: %s%s%s", a->by, what, *a->reason ? ": " : "", a->reason);
  sink_emit(s->o.sink, EVENT_HOOK_DECIDED,
            &(struct sink_event){.level = LEVEL_INFO, .message = buf_cstr(&message), .details = buf_cstr(&details)});
}

/* Members of a table, as hook_call.about takes them: what is between the braces. */
static const char *members(struct buf *object) {
  if (object->failed || object->len < 2) return NULL;
  object->data[object->len - 1] = 0;
  return object->data + 1;
}

/* --- at the start ------------------------------------------------------------------------------------------------ */

static void go_on(struct supervisor *s, bool good) {
  if (!good) supervisor_health_take(s);
  supervisor_feed(s, &(struct machine_input){.kind = IN_DEPENDENCIES, .ok = good});
}

static void on_start(void *arg, const struct hook_answer *a) {
  struct supervisor *s = arg;
  s->start_hook = NULL;
  bool good = STR_EQ(a->word, "start");
  if (!good) tell_choice(s, PLAN_HOOK_START, a, "the start fails");
  go_on(s, good);
}

void supervisor_hook_start(struct supervisor *s) {
  struct hook_call call = call_of(s, PLAN_HOOK_START, on_start, s);
  call.choices[0] = "start";
  call.choices[1] = "fail";
  s->start_hook = hooks_run(&call);
  if (!s->start_hook) go_on(s, true);
}

void supervisor_cancel_start_hook(struct supervisor *s) {
  hooks_cancel(s->start_hook);
  s->start_hook = NULL;
}

static void on_running(void *arg, const struct hook_answer *a) {
  (void)a;
  ((struct supervisor *)arg)->running_hook = NULL;
}

void supervisor_hook_running(struct supervisor *s) {
  if (s->running_hook) return; /* those of the start before still run */
  struct hook_call call = call_of(s, PLAN_HOOK_RUNNING, on_running, s);
  s->running_hook = hooks_run(&call);
}

/* --- before the stop signals ------------------------------------------------------------------------------------- */

static const enum plan_hook_kind stop_hooks[] = {PLAN_HOOK_DRAIN, PLAN_HOOK_STOP};

static void next_hook(struct supervisor *s);

static void on_stop(void *arg, const struct hook_answer *a) {
  struct supervisor *s = arg;
  s->stop_hook = NULL;
  if (STR_EQ(a->word, "skip")) {
    tell_choice(s, PLAN_HOOK_DRAIN, a, "no drain");
    s->skip_drain = true;
  }
  s->hook++;
  next_hook(s);
}

static void next_hook(struct supervisor *s) {
  struct machine_view m;
  machine_view(s->machine, &m);
  for (; s->hook < ARRAY_LEN(stop_hooks); s->hook++) {
    auto_buf struct buf about = {0};
    struct json j = JSON_INIT(&about);
    json_object(&j, NULL);
    json_str(&j, "cause", machine_cause_name(m.cause));
    double left = (double)(s->hooks_deadline_ns - clock_mono_ns()) / (double)NS_PER_S;
    json_num(&j, "seconds_left", left > 0 ? left : 0);
    json_object_end(&j);
    struct hook_call call = call_of(s, stop_hooks[s->hook], on_stop, s);
    call.deadline_ns = s->hooks_deadline_ns;
    call.about = members(&about);
    if (call.kind == PLAN_HOOK_DRAIN) {
      call.choices[0] = "drain";
      call.choices[1] = "skip";
    }
    s->stop_hook = hooks_run(&call);
    if (s->stop_hook) return;
  }
  supervisor_feed(s, &(struct machine_input){.kind = IN_HOOKS_DONE, .skip_drain = s->skip_drain});
}

void supervisor_hooks(struct supervisor *s, int64_t deadline_ns) {
  s->hook = 0;
  s->skip_drain = false;
  s->hooks_deadline_ns = deadline_ns;
  next_hook(s);
}

void supervisor_cancel_hooks(struct supervisor *s) {
  hooks_cancel(s->stop_hook);
  s->stop_hook = NULL;
}

/* --- ends of processes ------------------------------------------------------------------------------------------- */

/* An end that the machine has not heard of yet. */
struct held_exit {
  struct supervisor *s;
  struct held_exit *next;
  struct hook_run *run;
  struct machine_input input;
  int64_t since_ns;
};

static const struct {
  enum restart_verdict verdict;
  const char *word;
} verdicts[] = {{VERDICT_AGAIN, "again"},
                {VERDICT_DONE, "stop"},
                {VERDICT_RESTART, "restart"},
                {VERDICT_RESTART_ALL, "restart_all"},
                {VERDICT_FINAL, "fail"}};

static const char *word_of(enum restart_verdict verdict) {
  for (size_t i = 0; i < ARRAY_LEN(verdicts); i++)
    if (verdicts[i].verdict == verdict) return verdicts[i].word;
  return "fail";
}

static void release(struct held_exit *h) {
  struct held_exit **p = &h->s->held_exits;
  while (*p != h) p = &(*p)->next;
  *p = h->next;
  h->input.late_ns = clock_mono_ns() - h->since_ns;
  struct machine_input input = h->input;
  struct supervisor *s = h->s;
  free(h);
  supervisor_feed(s, &input);
}

static void on_exit_decided(void *arg, const struct hook_answer *a) {
  struct held_exit *h = arg;
  for (size_t i = 0; i < ARRAY_LEN(verdicts) && *a->by; i++) {
    if (!STR_EQ(verdicts[i].word, a->word)) continue;
    h->input.decided = true;
    h->input.verdict = verdicts[i].verdict;
    h->input.delay_ns = a->delay_ns;
    tell_choice(h->s, PLAN_HOOK_EXIT, a, verdicts[i].word);
  }
  release(h);
}

static void write_exit(const struct supervisor *s, const struct machine_input *in, const struct machine_preview *p,
                       struct buf *out) {
  const struct slot_end *end = supervisor_end_of(&s->slots[in->slot]);
  const struct restart_config *c = &s->lifecycle->process[machine_slot_process(s->machine, in->slot)].how->restart;
  char name[16];
  struct json j = JSON_INIT(out);
  json_object(&j, NULL);
  json_str(&j, "process", supervisor_process(s, in->slot)->name);
  json_int(&j, "instance", machine_slot_instance(s->machine, in->slot));
  json_int(&j, "exit_code", end->exit.code);
  if (end->exit.signal) json_str(&j, "signal", str_signal_name(end->exit.signal, name, sizeof name));
  json_str(&j, "reason", end_reason_name(p->reason));
  json_bool(&j, "oom", in->oom);
  json_num(&j, "seconds", (double)end->exit.duration_ns / (double)NS_PER_S);
  json_num(&j, "delay", (double)p->delay_ns / (double)NS_PER_S);
  json_int(&j, "restarts", p->n);
  json_int(&j, "restarts_in_window", p->in_window);
  json_int(&j, "max_restarts", c->max_attempts);
  json_object_end(&j);
}

bool supervisor_hook_exit(struct supervisor *s, const struct machine_input *in) {
  struct machine_preview p;
  if (!s->o.plan->hooks[PLAN_HOOK_EXIT].n || !machine_preview_exit(s->machine, in, clock_mono_ns(), &p)) return false;
  struct held_exit *h = calloc(1, sizeof *h);
  if (!h) return false;
  *h = (struct held_exit){.s = s, .input = *in, .since_ns = clock_mono_ns()};
  auto_buf struct buf about = {0};
  write_exit(s, in, &p, &about);
  struct hook_call call = decision_of(s, PLAN_HOOK_EXIT, on_exit_decided, h);
  call.about = members(&about);
  bool daemon = s->lifecycle->process[machine_slot_process(s->machine, in->slot)].how->mode == MODE_DAEMON;
  size_t n = 0;
  call.choices[n++] = word_of(p.verdict);
  for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
    enum restart_verdict v = verdicts[i].verdict;
    bool again = v == VERDICT_RESTART || v == VERDICT_RESTART_ALL;
    if (v == p.verdict || (again && s->o.simple) || (v == VERDICT_AGAIN && !daemon)) continue;
    call.choices[n++] = verdicts[i].word;
  }
  h->run = hooks_run(&call);
  if (!h->run) {
    free(h);
    return false;
  }
  h->next = s->held_exits;
  s->held_exits = h;
  return true;
}

/* --- health ------------------------------------------------------------------------------------------------------ */

/* A check whose remedy waits. */
struct held_check {
  struct supervisor *s;
  struct held_check *next;
  struct hook_run *run;
  size_t check;
};

static void forget(struct held_check *h) {
  struct held_check **p = &h->s->held_checks;
  while (*p != h) p = &(*p)->next;
  *p = h->next;
  free(h);
}

static void on_unhealthy_decided(void *arg, const struct hook_answer *a) {
  struct held_check *h = arg;
  struct supervisor *s = h->s;
  size_t check = h->check;
  forget(h);
  bool remedy = !*a->by || STR_EQ(a->word, "remedy");
  if (*a->by) tell_choice(s, PLAN_HOOK_UNHEALTHY, a, a->word);
  remedies_pass(s->remedies, check, remedy);
  struct health_view v;
  if (remedy || !health_at(s->checks, check, &v)) return;
  if (STR_EQ(a->word, "restart"))
    supervisor_restart_process(
        s, v.process ? (unsigned)plan_find_process(s->o.plan, v.process) : (unsigned)s->o.plan->main);
  else if (STR_EQ(a->word, "fail"))
    supervisor_feed(s, &(struct machine_input){.kind = IN_FAIL});
}

bool supervisor_hook_unhealthy(void *arg, const struct health_news *news) {
  struct supervisor *s = arg;
  if (!s->o.plan->hooks[PLAN_HOOK_UNHEALTHY].n) return false;
  struct held_check *h = calloc(1, sizeof *h);
  if (!h) return false;
  *h = (struct held_check){.s = s, .check = news->check->index, .next = s->held_checks};
  auto_buf struct buf about = {0};
  struct json j = JSON_INIT(&about);
  json_object(&j, NULL);
  json_str(&j, "check", news->check->name);
  json_str(&j, "role", check_role_names[news->check->spec->role]);
  if (news->check->process) json_str(&j, "process", news->check->process);
  json_str(&j, "reason", news->result->reason);
  json_str(&j, "detail", news->result->detail);
  json_int(&j, "failures", news->change->failures);
  json_object_end(&j);
  struct hook_call call = decision_of(s, PLAN_HOOK_UNHEALTHY, on_unhealthy_decided, h);
  call.about = members(&about);
  size_t n = 0;
  call.choices[n++] = "remedy";
  call.choices[n++] = "ignore";
  if (!s->o.simple) call.choices[n++] = "restart";
  call.choices[n++] = "fail";
  h->run = hooks_run(&call);
  if (!h->run) {
    free(h);
    return false;
  }
  s->held_checks = h;
  return true;
}

void supervisor_forget_unhealthy(void *arg, size_t check) {
  struct supervisor *s = arg;
  struct held_check *h = s->held_checks;
  while (h && h->check != check) h = h->next;
  if (!h) return;
  hooks_cancel(h->run);
  forget(h);
}

/* --- the end of asking ------------------------------------------------------------------------------------------- */

void supervisor_settle_hooks(struct supervisor *s) {
  while (s->held_exits) {
    hooks_cancel(s->held_exits->run);
    release(s->held_exits);
  }
  while (s->held_checks) {
    struct held_check *h = s->held_checks;
    size_t check = h->check;
    hooks_cancel(h->run);
    forget(h);
    remedies_pass(s->remedies, check, true);
  }
}

void supervisor_hooks_free(struct supervisor *s) {
  hooks_cancel(s->start_hook);
  hooks_cancel(s->running_hook);
  hooks_cancel(s->stop_hook);
  while (s->held_exits) {
    struct held_exit *h = s->held_exits;
    s->held_exits = h->next;
    hooks_cancel(h->run);
    free(h);
  }
  while (s->held_checks) {
    hooks_cancel(s->held_checks->run);
    forget(s->held_checks);
  }
}

/* --- reload ------------------------------------------------------------------------------------------------------ */

struct hook_run *supervisor_hook_reload(struct supervisor *s, const struct policy *const *policy,
                                        const struct plan *plan, const char *about, hook_done_fn *done, void *arg) {
  struct hook_call call = decision_of(s, PLAN_HOOK_RELOAD, done, arg);
  call.policy = policy;
  call.plan = plan;
  call.about = about;
  call.choices[0] = "accept";
  call.choices[1] = "refuse";
  return hooks_run(&call);
}
