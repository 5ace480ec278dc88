/* Remedies: what they ask of the machine and the processes, and what operators ask of them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "supervisor/pools.h"
#include "supervisor/impl.h"

/* --- what remedies ask for --------------------------------------------------------------------------------------- */

typedef bool slot_fn(struct supervisor *s, uint32_t slot, const struct instance_view *v, void *arg);

/* How many instances of a process fn says yes to. */
static unsigned each_slot(struct supervisor *s, unsigned process, slot_fn *fn, void *arg) {
  unsigned n = 0;
  int64_t now = clock_mono_ns();
  for (uint32_t i = 0; i < s->n_slots; i++) {
    if (machine_slot_process(s->machine, i) != process) continue;
    struct instance_view v;
    machine_instance(s->machine, i, now, &v);
    n += fn(s, i, &v, arg);
  }
  return n;
}

static bool can_restart(struct supervisor *s, uint32_t slot, const struct instance_view *v, void *arg) {
  (void)s;
  (void)slot;
  *(uint64_t *)arg += v->runs;
  return v->state == INSTANCE_UP || v->state == INSTANCE_STARTING || v->state == INSTANCE_STOPPING ||
         v->state == INSTANCE_BACKOFF;
}

/* mark: so many runs of all its instances together mean that each was started anew. */
static bool restart(void *arg, unsigned process, uint64_t *mark) {
  struct supervisor *s = arg;
  uint64_t runs = 0;
  unsigned n = each_slot(s, process, can_restart, &runs);
  *mark = runs + n;
  for (uint32_t i = 0; n && i < s->n_slots; i++)
    if (machine_slot_process(s->machine, i) == process)
      supervisor_feed(s, &(struct machine_input){.kind = IN_CHECK_FAILED, .slot = i});
  return n > 0;
}

void supervisor_restart_process(struct supervisor *s, unsigned process) {
  uint64_t mark;
  restart(s, process, &mark);
}

struct restarted {
  uint64_t runs;
  bool failed;
};

static bool is_not_back(struct supervisor *s, uint32_t slot, const struct instance_view *v, void *arg) {
  struct restarted *x = arg;
  (void)s;
  (void)slot;
  x->runs += v->runs;
  x->failed |= v->state == INSTANCE_FAILED;
  bool back = v->state == INSTANCE_UP || v->state == INSTANCE_INTERVAL || v->state == INSTANCE_DONE;
  return !v->spare && !back;
}

static int restarted(void *arg, unsigned process, uint64_t mark) {
  struct supervisor *s = arg;
  struct restarted x = {0};
  unsigned missing = each_slot(s, process, is_not_back, &x);
  if (x.failed) return REMEDY_RESTART_NO;
  return !missing && x.runs >= mark ? REMEDY_RESTART_DONE : REMEDY_RESTART_WAIT;
}

static void fail(void *arg) { supervisor_feed(arg, &(struct machine_input){.kind = IN_FAIL}); }

struct to_send {
  int signal, instance; /* instance below 0: all */
  bool group;
};

static bool send_one(struct supervisor *s, uint32_t slot, const struct instance_view *v, void *arg) {
  const struct to_send *what = arg;
  if (what->instance >= 0 && machine_slot_instance(s->machine, slot) != (unsigned)what->instance) return false;
  if ((v->state != INSTANCE_UP && v->state != INSTANCE_STARTING) || !s->slots[slot].child) return false;
  children_kill(s->o.children, s->slots[slot].child, what->signal, what->group ? KILL_GROUP : KILL_MAIN);
  return true;
}

static unsigned send_signal(void *arg, unsigned process, int signal, bool group) {
  return each_slot(arg, process, send_one, &(struct to_send){signal, -1, group});
}

int supervisor_signal(struct supervisor *s, const char *process, int instance, int signal, bool group) {
  int i = plan_find_process(s->o.plan, process);
  if (i < 0) return -ENOENT;
  return (int)each_slot(s, (unsigned)i, send_one, &(struct to_send){signal, instance, group});
}

/* --- what scale rules ask for ------------------------------------------------------------------------------------ */

static bool is_asked_for(struct supervisor *s, uint32_t slot, const struct instance_view *v, void *arg) {
  (void)s;
  (void)slot;
  *(bool *)arg |= v->held;
  return !v->spare;
}

static unsigned count_asked(void *arg, unsigned process) {
  const struct supervisor *s = arg;
  bool held = remedies_in_maintenance(s->remedies, NULL);
  unsigned n = each_slot(arg, process, is_asked_for, &held);
  return held ? 0 : n;
}

static void set_count(void *arg, unsigned process, unsigned count) {
  supervisor_feed(arg, &(struct machine_input){.kind = IN_SCALE, .process = process, .count = count});
}

static int reset_pool(void *arg, const char *database, char *detail, size_t size) {
  const struct supervisor *s = arg;
  int n = pools_reset(s->o.settings, database);
  if (n == -ENOENT)
    snprintf(detail, size, "there is no database \"%s\" in the settings", database);
  else if (n < 0)
    snprintf(detail, size, "tend has made no connection yet");
  else
    snprintf(detail, size, "%d connections of %s are made anew", n, database);
  return n == -ENOENT ? n : 0;
}

int supervisor_remedies_new(struct supervisor *s, struct err *err) {
  s->remedies = remedies_new(&(struct remedies_env){.loop = s->o.loop,
                                                    .children = s->o.children,
                                                    .sink = s->o.sink,
                                                    .metrics = s->o.metrics,
                                                    .policy = s->o.policy,
                                                    .health = s->checks,
                                                    .plan = s->o.plan,
                                                    .simple = s->o.simple,
                                                    .arg = s,
                                                    .restart = restart,
                                                    .restarted = restarted,
                                                    .fail = fail,
                                                    .signal = send_signal},
                             err);
  if (s->remedies) remedies_on_reset(s->remedies, reset_pool, s);
  bool asks = s->o.plan->hooks[PLAN_HOOK_UNHEALTHY].n > 0;
  if (s->remedies && asks &&
      remedies_set_gate(s->remedies, supervisor_hook_unhealthy, supervisor_forget_unhealthy, s)) {
    err_set(err, -ENOMEM, "no memory for hooks");
    return -1;
  }
  s->scaling = s->remedies ? scaling_new(&(struct scaling_env){.loop = s->o.loop,
                                                               .sink = s->o.sink,
                                                               .metrics = s->o.metrics,
                                                               .policy = s->o.policy,
                                                               .plan = s->o.plan,
                                                               .arg = s,
                                                               .count = count_asked,
                                                               .set = set_count},
                                         err)
                           : NULL;
  return s->scaling ? 0 : -1;
}

void supervisor_remedies_follow(struct supervisor *s) {
  struct machine_view m;
  machine_view(s->machine, &m);
  bool ended = m.state == STATE_STOPPING || m.state == STATE_STOPPED || m.state == STATE_FAILED;
  remedies_follow(s->remedies, m.state == STATE_RUNNING, ended);
  scaling_follow(s->scaling, m.state == STATE_RUNNING);
}

/* --- operators --------------------------------------------------------------------------------------------------- */

static void answer_text(struct control_reply *r, const char *text) {
  auto_buf struct buf b = {0};
  struct json j = JSON_INIT(&b);
  json_object(&j, NULL);
  json_str(&j, "message", text);
  json_object_end(&j);
  control_answer_buf(r, &b);
}

/* Who waits for the end of a run. */
struct asker {
  struct supervisor *s;
  struct control_reply *reply;
};

/* What a step said may hold a secret, as any output. */
static void on_remedied(void *arg, bool ok, const char *text) {
  struct asker *a = arg;
  auto_buf struct buf b = {0};
  buf_str(&b, text);
  settings_redact(a->s->o.settings, &b);
  if (ok)
    answer_text(a->reply, buf_cstr(&b));
  else
    control_refuse(a->reply, "%s", buf_cstr(&b));
  free(a);
}

void supervisor_remediate(void *arg, const struct control_request *q, struct control_reply *r) {
  struct supervisor *s = arg;
  const char *action = control_arg_str(q, "action", NULL);
  if (!action) {
    control_refuse(r, "an action is missing: the name of a remedy or of one of its steps");
    return;
  }
  bool wait = control_arg_bool(q, "wait", true), dry_run = control_arg_bool(q, "dry_run", false);
  struct asker *a = wait ? malloc(sizeof *a) : NULL;
  if (wait && !a) {
    control_refuse(r, "out of memory");
    return;
  }
  if (a) *a = (struct asker){s, r};
  struct err err = ERR_INIT;
  if (remedies_ask(s->remedies, action, dry_run, wait ? on_remedied : NULL, a, &err)) {
    free(a);
    control_refuse(r, "%s", err.msg);
  } else if (!wait) {
    control_answer(r, "\"asked\"");
  }
}

void supervisor_maintain(void *arg, const struct control_request *q, struct control_reply *r) {
  struct supervisor *s = arg;
  bool on = control_arg_bool(q, "on", true);
  const char *text = control_arg_str(q, "for", NULL);
  int64_t for_ns = TIME_NEVER;
  if (text && (str_duration(text, NS_PER_S, &for_ns) || for_ns <= 0)) {
    control_refuse(r, "expected a duration like 90, 30m or 2h, not %s", text);
    return;
  }
  remedies_maintain(s->remedies, on, on ? for_ns : TIME_NEVER);
  answer_text(r, on ? "maintenance is on: checks run, remedies do not" : "maintenance is off");
}
