#include "health/remedies.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/keep.h"
#include "base/str.h"
#include "health/remedies_impl.h"

/* --- asking a check ---------------------------------------------------------------------------------------------- */

static void on_answer(void *arg, const struct probe_result *result) {
  struct question *q = arg;
  struct remedies *r = q->r;
  uint32_t run = q->run;
  uint16_t check = q->check;
  if (!r) { /* the end */
    free(q);
    return;
  }
  for (struct question **p = &r->questions; *p; p = &(*p)->next)
    if (*p == q) {
      *p = q->next;
      break;
    }
  free(q);
  bool good = result->status == PROBE_OK || result->status == PROBE_WARN;
  struct health_view v;
  bool unsettled = good && health_at(r->env.health, check, &v) && v.check->state == CHECK_UNHEALTHY;
  remedies_feed(r, &(struct remedy_input){.kind = REMEDY_IN_ANSWER,
                                          .run = run,
                                          .unsettled = unsettled,
                                          .answer = good                              ? REMEDY_GOOD
                                                    : result->status == PROBE_UNKNOWN ? REMEDY_UNKNOWN
                                                                                      : REMEDY_BAD});
}

static void ask_check(struct remedies *r, const struct remedy_action *a) {
  struct question *q = malloc(sizeof *q);
  struct err err = ERR_INIT;
  if (q) {
    *q = (struct question){r, a->run, a->check, r->questions};
    if (health_probe_now(r->env.health, check_name(r, a->check), true, on_answer, q, &err) == 0) {
      r->questions = q;
      return;
    }
  }
  free(q);
  remedies_feed(r, &(struct remedy_input){.kind = REMEDY_IN_ANSWER, .run = a->run, .answer = REMEDY_UNKNOWN});
}

/* --- carrying out ------------------------------------------------------------------------------------------------ */

static void begin_run(struct remedies *r, const struct remedy_action *a) {
  struct job *j = r->job[a->rule];
  j->run = a->run;
  j->check = a->check;
  j->dry = a->dry;
  j->by_operator = a->by_operator;
  j->begun_real_ns = clock_real_ns();
  j->runs++;
  memset(j->record, 0, job_steps(j) * sizeof *j->record);
  j->cause[0] = 0;
  struct health_view v;
  if (a->check != REMEDY_NONE && health_at(r->env.health, a->check, &v))
    snprintf(j->cause, sizeof j->cause, "check %s: %s", v.name,
             *v.detail   ? v.detail
             : *v.reason ? v.reason
                         : check_result_name(v.check->last));
  remedies_tell_begin(j, a);
}

static void begin_step(struct remedies *r, const struct remedy_action *a) {
  struct job *j = r->job[a->rule];
  j->step = a->step;
  j->stepping = true;
  j->record[a->step].begun = true;
  j->record[a->step].started_ns = clock_mono_ns();
  remedies_step_start(j, a->deadline_ns);
}

static void cancel_step(struct remedies *r, const struct remedy_action *a) {
  struct job *j = r->job[a->rule];
  bool late = clock_mono_ns() - j->record[a->step].started_ns >= j->plan->steps[a->step].timeout_ns;
  remedies_step_cancel(j);
  str_copy(j->record[a->step].detail, STEP_DETAIL_MAX, late ? "it did not end in its time" : "cancelled");
  if (late) remedies_note_step(j, REMEDY_TIMEOUT);
}

static void end_run(struct remedies *r, const struct remedy_action *a) {
  struct job *j = r->job[a->rule];
  auto_buf struct buf summary = {0};
  remedies_tell_end(j, a, &summary);
  bool ok = a->result == REMEDY_HEALED_RESULT || a->result == REMEDY_DONE_RESULT || a->result == REMEDY_DRY_RUN_RESULT;
  for (struct remedy_waiter **p = &r->waiters; *p;) {
    struct remedy_waiter *w = *p;
    if (w->run != a->run) {
      p = &w->next;
      continue;
    }
    *p = w->next;
    w->done(w->arg, ok, buf_cstr(&summary));
    free(w);
  }
}

/* When all that the run may still do is over, at the latest. */
static int64_t longest_end_ns(const struct remedies *r, const struct remedy_action *a) {
  const struct plan_remedy *m = r->job[a->rule]->plan;
  int64_t end = clock_mono_ns();
  struct health_view v;
  int64_t answer = health_at(r->env.health, a->check, &v) ? v.spec->timeout_ns : 0;
  for (size_t i = 0; i < m->steps_n + m->escalations_n; i++)
    end += m->steps[i].timeout_ns + m->steps[i].settle_ns + answer + NS_PER_S;
  return end;
}

static void carry_out(struct remedies *r, const struct remedy_action *a) {
  switch (a->kind) {
    case REMEDY_ACT_BEGIN:
      begin_run(r, a);
      break;
    case REMEDY_ACT_STEP:
      begin_step(r, a);
      break;
    case REMEDY_ACT_CANCEL:
      cancel_step(r, a);
      break;
    case REMEDY_ACT_ASK:
      ask_check(r, a);
      break;
    case REMEDY_ACT_HOLD:
      health_hold(r->env.health, check_name(r, a->check), a->on ? longest_end_ns(r, a) : 0);
      break;
    case REMEDY_ACT_END:
      end_run(r, a);
      break;
    case REMEDY_ACT_RECOVERED:
      remedies_tell_recovered(r, a);
      break;
    case REMEDY_ACT_GAVE_UP:
      remedies_tell_gave_up(r, a);
      break;
    case REMEDY_ACT_MAINTENANCE:
      remedies_tell_maintenance(r, a);
      break;
  }
}

static void put(struct remedies *r) {
  if (!r->keep || !r->n) return;
  auto_buf struct buf b = {0};
  remedy_save(r->core, &b);
  if (!b.failed) keep_put(r->keep, "remedies", b.data, b.len);
}

/* Inputs that arise while one is carried out wait for their own turn. */
void remedies_feed(struct remedies *r, const struct remedy_input *in) {
  if (r->queued == r->queue_cap) {
    unsigned cap = r->queue_cap ? r->queue_cap * 2 : 16;
    struct remedy_input *p = realloc(r->queue, cap * sizeof *p);
    if (!p) { /* an input lost is a run that hangs: better a new engine than that */
      sink_say(r->env.sink, EVENT_NOTICE, LEVEL_CRITICAL, "out of memory");
      abort();
    }
    r->queue = p;
    r->queue_cap = cap;
  }
  r->queue[r->queued++] = *in;
  if (r->busy) return;
  r->busy = true;
  for (unsigned i = 0; i < r->queued; i++) {
    struct remedy_input input = r->queue[i];
    struct remedy_out out;
    remedy_feed(r->core, &input, loop_update_now(r->env.loop), &out);
    for (unsigned k = 0; k < out.n; k++) carry_out(r, &out.action[k]);
  }
  r->queued = 0;
  r->busy = false;
  put(r);
  timer_at(r->timer, remedy_due_ns(r->core));
}

void remedies_keep(struct remedies *r, struct keep *keep) {
  size_t n = 0;
  r->keep = keep;
  const void *old = keep && r->n ? keep_get(keep, "remedies", &n) : NULL;
  if (old && remedy_load(r->core, old, n, clock_mono_ns())) timer_at(r->timer, remedy_due_ns(r->core));
  put(r);
}

static void on_due(void *arg) { remedies_feed(arg, &(struct remedy_input){.kind = REMEDY_IN_TICK}); }

/* --- what it hears of -------------------------------------------------------------------------------------------- */

static void open_gate(struct remedies *r, size_t check) {
  struct gate *g = &r->gates[check];
  if (g->state == GATE_ASKED) r->given_up(r->gate_arg, check);
  g->state = GATE_OPEN;
}

/* Whether this result is not to be heard of yet, or at all. */
static bool is_held(struct remedies *r, const struct health_news *news, bool unhealthy) {
  struct gate *g = &r->gates[news->check->index];
  if (news->result->status != PROBE_FAIL) {
    if (!unhealthy) open_gate(r, news->check->index);
    return false;
  }
  bool turned = unhealthy && news->change->from != news->change->to;
  if (turned && r->gate && g->state == GATE_OPEN && r->gate(r->gate_arg, news)) g->state = GATE_ASKED;
  g->failures = news->change->failures;
  g->unhealthy = unhealthy;
  return g->state != GATE_OPEN;
}

void remedies_pass(struct remedies *r, size_t check, bool go) {
  struct gate *g = &r->gates[check];
  if (g->state != GATE_ASKED) return;
  g->state = go ? GATE_OPEN : GATE_CLOSED;
  if (go)
    remedies_feed(
        r, &(struct remedy_input){
               .kind = REMEDY_IN_FAILING, .check = (uint16_t)check, .failures = g->failures, .on = g->unhealthy});
}

static void on_news(void *arg, const struct health_news *news) {
  struct remedies *r = arg;
  size_t i = news->check->index;
  if (i >= r->env.plan->checks_n || news->result->status == PROBE_UNKNOWN) return;
  bool unhealthy = news->change->to == CHECK_UNHEALTHY;
  if (is_held(r, news, unhealthy)) return;
  if (news->result->status != PROBE_FAIL && !remedy_is_failing(r->core, (unsigned)i)) return;
  if (news->result->status == PROBE_FAIL)
    remedies_feed(
        r, &(struct remedy_input){
               .kind = REMEDY_IN_FAILING, .check = (uint16_t)i, .failures = news->change->failures, .on = unhealthy});
  else if (!unhealthy)
    remedies_feed(r, &(struct remedy_input){.kind = REMEDY_IN_GOOD, .check = (uint16_t)i});
}

int remedies_set_gate(struct remedies *r, remedies_gate_fn *gate, remedies_ungate_fn *given_up, void *arg) {
  if (!r->n && health_listen(r->env.health, on_news, r)) return -ENOMEM;
  r->gate = gate;
  r->given_up = given_up;
  r->gate_arg = arg;
  return 0;
}

void remedies_follow(struct remedies *r, bool active, bool ended) {
  for (unsigned i = 0; i < r->n; i++) {
    struct job *j = r->job[i];
    if (!j->restarting) continue;
    int rc = r->env.restarted(r->env.arg, job_step(j)->process, j->mark);
    if (rc == REMEDY_RESTART_WAIT) continue;
    remedies_step_done(j, rc == REMEDY_RESTART_DONE ? REMEDY_OK : REMEDY_FAILED, "%s",
                       rc == REMEDY_RESTART_DONE ? "it is up again" : "it has failed for good");
  }
  if (active != r->active) {
    r->active = active;
    remedies_feed(r, &(struct remedy_input){.kind = REMEDY_IN_ACTIVE, .on = active});
  }
  if (ended && !r->ended) remedies_feed(r, &(struct remedy_input){.kind = REMEDY_IN_STOP});
  r->ended = ended;
}

void remedies_check_anew(struct remedies *r, size_t check) {
  if (check < r->env.plan->checks_n) open_gate(r, check);
  if (check < r->env.plan->checks_n && remedy_is_failing(r->core, (unsigned)check))
    remedies_feed(r, &(struct remedy_input){.kind = REMEDY_IN_ANEW, .check = (uint16_t)check});
}

void remedies_on_reset(struct remedies *r, remedies_reset_fn *fn, void *arg) {
  r->reset = fn;
  r->reset_arg = arg;
}

int remedies_find_check(const struct remedies *r, const char *name) {
  for (size_t i = 0; i < r->env.plan->checks_n; i++)
    if (STR_EQ(r->env.plan->checks[i].name, name)) return (int)i;
  return -1;
}

bool remedies_tried(const struct remedies *r, const char *check) {
  int at = remedies_find_check(r, check);
  return at >= 0 && remedy_tried(r->core, (unsigned)at);
}

/* --- operators --------------------------------------------------------------------------------------------------- */

static int find_step(const struct job *j, const char *name) {
  for (unsigned i = 0; i < job_steps(j); i++)
    if (STR_EQ(j->plan->steps[i].name, name)) return (int)i;
  return -1;
}

static int refuse_unknown(const struct remedies *r, const char *action, struct err *err) {
  if (!r->n) return err_set(err, -ENOENT, "the flow has no remedies");
  auto_buf struct buf all = {0};
  for (unsigned i = 0; i < r->n; i++) {
    const struct job *j = r->job[i];
    buf_fmt(&all, "%s%s (", i ? ", " : "", j->plan->name);
    for (unsigned k = 0; k < job_steps(j); k++) buf_fmt(&all, "%s%s", k ? ", " : "", j->plan->steps[k].name);
    buf_char(&all, ')');
  }
  return err_set(err, -ENOENT, "no remedy and no step \"%s\"; there are %s", action, buf_cstr(&all));
}

/* ACTION: a remedy; REMEDY/STEP; a step of one remedy alone. */
static int resolve(const struct remedies *r, const char *action, struct remedy_input *in, struct err *err) {
  const char *slash = strchr(action, '/');
  unsigned found = 0;
  in->step = REMEDY_NONE;
  for (unsigned i = 0; i < r->n; i++) {
    const struct job *j = r->job[i];
    in->rule = (uint16_t)i;
    if (STR_EQ(j->plan->name, action)) return 0;
    bool its =
        slash && strncmp(j->plan->name, action, (size_t)(slash - action)) == 0 && j->plan->name[slash - action] == 0;
    int step = its ? find_step(j, slash + 1) : -1;
    if (step < 0) continue;
    in->step = (uint16_t)step;
    return 0;
  }
  for (unsigned i = 0; i < r->n; i++) {
    int step = find_step(r->job[i], action);
    if (step < 0) continue;
    found++;
    in->rule = (uint16_t)i;
    in->step = (uint16_t)step;
  }
  if (found == 1) return 0;
  if (!found) return refuse_unknown(r, action, err);
  return err_set(err, -EINVAL, "several remedies have a step %s: say REMEDY/%s", action, action);
}

int remedies_ask(struct remedies *r, const char *action, bool dry_run, remedies_done_fn *done, void *arg,
                 struct err *err) {
  struct remedy_input in = {.kind = REMEDY_IN_ASK, .dry = dry_run};
  int rc = resolve(r, action, &in, err);
  if (rc) return rc;
  const struct job *j = r->job[in.rule];
  struct remedy_view v;
  remedy_view(r->core, in.rule, clock_mono_ns(), &v);
  if (v.running)
    return err_set(err, -EBUSY, "remedy %s is running: step %s", j->plan->name, j->plan->steps[v.step].name);
  if (!r->active && !dry_run) return err_set(err, -EAGAIN, "the container is not RUNNING");
  struct remedy_waiter *w = done ? malloc(sizeof *w) : NULL;
  if (done && !w) return err_set(err, -ENOMEM, "out of memory");
  if (w) {
    *w = (struct remedy_waiter){remedy_next_run(r->core), done, arg, r->waiters};
    r->waiters = w;
  }
  remedies_feed(r, &in);
  return 0;
}

void remedies_maintain(struct remedies *r, bool on, int64_t for_ns) {
  int64_t until = for_ns == TIME_NEVER ? TIME_NEVER : clock_mono_ns() + for_ns;
  remedies_feed(r, &(struct remedy_input){.kind = REMEDY_IN_MAINTENANCE, .on = on, .until_ns = until});
}

bool remedies_in_maintenance(const struct remedies *r, int64_t *until_ns) {
  return remedy_maintenance(r->core, until_ns);
}

/* --- making ------------------------------------------------------------------------------------------------------ */

static bool add_job(struct remedies *r, const struct plan_remedy *m) {
  struct job *j = r->job[r->n] = malloc(sizeof *j);
  if (!j) return false;
  r->n++;
  *j = (struct job){.r = r, .plan = m, .check = REMEDY_NONE, .last_result = -1};
  j->record = calloc(job_steps(j), sizeof *j->record);
  return j->record != NULL;
}

static bool make_jobs(struct remedies *r) {
  const struct plan *plan = r->env.plan;
  auto_free unsigned *failures = calloc(plan->checks_n + 1, sizeof *failures);
  struct health_view v;
  for (size_t i = 0; failures && i < plan->checks_n; i++)
    failures[i] = health_at(r->env.health, i, &v) ? v.spec->failures : 1;
  r->rules = failures ? remedy_plan_new(plan, failures) : NULL;
  if (r->rules) r->job = calloc(r->rules->config.rules + 1, sizeof(struct job *));
  if (!r->rules || !r->job) return false;
  for (unsigned i = 0; i < r->rules->config.rules; i++)
    if (!add_job(r, r->rules->remedy[i])) return false;
  return true;
}

struct remedies *remedies_new(const struct remedies_env *env, struct err *err) {
  struct remedies *r = calloc(1, sizeof *r);
  if (!r) goto memory;
  r->env = *env;
  r->timer = timer_new(env->loop, on_due, r);
  r->gates = calloc(env->plan->checks_n + 1, sizeof *r->gates);
  if (!r->timer || !r->gates || !make_jobs(r)) goto memory;
  r->core = remedy_new(&r->rules->config);
  if (!r->core || (r->n && health_listen(env->health, on_news, r))) goto memory;
  if (remedies_declare(r, err)) {
    remedies_free(r);
    return NULL;
  }
  return r;
memory:
  remedies_free(r);
  err_set(err, -ENOMEM, "no memory for the remedies");
  return NULL;
}

void remedies_free(struct remedies *r) {
  if (!r) return;
  while (r->waiters) {
    struct remedy_waiter *w = r->waiters;
    r->waiters = w->next;
    w->done(w->arg, false, "tend is ending");
    free(w);
  }
  for (struct question *q = r->questions; q; q = q->next) q->r = NULL; /* freed with their answers */
  for (unsigned i = 0; i < r->n; i++) {
    remedies_step_cancel(r->job[i]);
    free(r->job[i]->record);
    free(r->job[i]);
  }
  remedies_forget(r);
  remedy_free(r->core);
  timer_free(r->timer);
  free(r->queue);
  remedy_plan_free(r->rules);
  free(r->job);
  free(r->gates);
  free(r);
}
