#include "supervisor/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "supervisor/from_plan.h"
#include "supervisor/reload_impl.h"

#define SPACING_NS (200 * NS_PER_MS) /* between two that nobody waits for */
#define ASKED_SPACING_NS (5 * NS_PER_MS)
#define DRAIN_NS (100 * NS_PER_MS)

static void start(void *reload);
static void take_made(void *reload);

/* --- one after the other ----------------------------------------------------------------------------------------- */

static bool is_wanted(const struct reload_wish *w) { return w->triggers || w->askers; }

static void schedule(struct reload *r) {
  if (r->phase != RELOAD_IDLE || !is_wanted(&r->later)) return;
  int64_t spacing = r->later.askers ? ASKED_SPACING_NS : SPACING_NS;
  timer_at(r->timer, r->ended_ns ? r->ended_ns + spacing : 0);
}

void reload_drop_next(struct reload *r) {
  if (r->next) r->make->free(r->next);
  r->next = NULL;
}

void reload_finish(struct reload *r) {
  reload_drop_next(r);
  plan_diff_free(r->diff);
  r->diff = NULL;
  r->phase = RELOAD_IDLE;
  r->ended_ns = clock_mono_ns();
  r->current = (struct reload_wish){0};
  schedule(r);
}

void reload_ask(struct reload *r, enum reload_trigger trigger) {
  if (!r) return;
  r->later.triggers |= 1U << trigger;
  schedule(r);
}

void supervisor_reload(void *arg, const struct control_request *q, struct control_reply *reply) {
  struct supervisor *s = arg;
  struct reload *r = s->reload;
  bool dry = control_arg_bool(q, "dry_run", false), wait = control_arg_bool(q, "wait", true);
  if (!r) {
    control_refuse(reply, "this engine has nothing to load anew");
    return;
  }
  struct reload_asker *a = wait ? calloc(1, sizeof *a) : NULL;
  if (wait && !a) {
    control_refuse(reply, "out of memory");
    return;
  }
  if (a) {
    *a = (struct reload_asker){reply, dry, r->later.askers};
    r->later.askers = a;
  }
  if (!dry) r->later.triggers |= 1U << RELOAD_OPERATOR;
  schedule(r);
  if (!wait) control_answer(reply, "\"asked\"");
}

/* --- making ------------------------------------------------------------------------------------------------------ */

static bool is_grave(const struct problem *p) {
  return !p->warning && p->class != PROBLEM_DISK && p->class != PROBLEM_CREATE && p->class != PROBLEM_RESOURCES;
}

/* What the start would find; what may pass by itself, or was so before, is no reason to refuse. */
static void validate(struct reload *r, struct problems *out) {
  struct validate_result result = {0};
  struct problems found = {0};
  from_plan_validate(r->next->plan, r->next->settings, true, &found, &result);
  for (size_t i = 0; i < found.n; i++)
    if (is_grave(&found.items[i])) problems_add(out, &found.items[i]);
  validate_result_free(&result);
  problems_free(&found);
}

void reload_refuse(struct reload *r, const struct problems *problems) {
  auto_buf struct buf text = {0};
  for (size_t i = 0; i < problems->n; i++) {
    if (problems->items[i].warning) continue;
    if (text.len) buf_str(&text, "; ");
    problem_text(&problems->items[i], &text);
  }
  if (r->next) settings_redact(r->next->settings, &text);
  r->refused = reload_look(r);
  reload_tell_refusal(r, problems);
  reload_answer(r, false, buf_cstr(&text), NULL);
  reload_finish(r);
}

static void on_made(void *arg, struct generation *g, const struct err *err) {
  struct reload *r = arg;
  struct problems problems = {0};
  r->next = g;
  if (!g) {
    problems_add(&problems,
                 &(struct problem){.check = "flow_file", .name = "memory", .allowed = "enough", .fix = err->msg});
    reload_refuse(r, &problems);
    problems_free(&problems);
    return;
  }
  for (size_t i = 0; i < g->problems->n; i++) problems_add(&problems, &g->problems->items[i]);
  if (!problems_errors(&problems)) validate(r, &problems);
  if (problems_errors(&problems)) {
    reload_refuse(r, &problems);
    problems_free(&problems);
    return;
  }
  problems_free(&problems);
  if (loop_defer(r->s->o.loop, take_made, r)) take_made(r);
}

/* What waits for the next start of tend is no reason to swap. */
static bool is_same(const struct reload *r) {
  const struct sources *a = r->now->sources, *b = r->next->sources;
  for (size_t i = 0; i < r->diff->n; i++)
    if (r->diff->items[i].section != DIFF_SETTING || r->diff->items[i].effect != DIFF_NEXT_START) return false;
  return a == b || (a && b && sources_same(a, b));
}

static void take_made(void *arg) {
  struct reload *r = arg;
  r->diff = reload_compare(r, r->next);
  if (!r->diff) {
    reload_answer(r, false, "out of memory", NULL);
    reload_finish(r);
    return;
  }
  auto_buf struct buf summary = {0}, json = {0};
  plan_diff_summary(r->diff, &summary);
  if (!r->current.triggers || is_same(r)) {
    reload_outcome_json(r, !r->current.triggers, buf_cstr(&summary), &json);
    if (r->current.triggers) reload_tell_same(r);
    reload_answer(r, true, NULL, buf_cstr(&json));
    reload_finish(r);
    return;
  }
  reload_outcome_json(r, true, buf_cstr(&summary), &json);
  reload_answer_some(r, true, true, NULL, buf_cstr(&json));
  r->phase = RELOAD_TRYING;
  reload_try(r);
}

/* --- the swap ---------------------------------------------------------------------------------------------------- */

static void refuse_for(struct reload *r, const char *what, const char *why) {
  struct problems problems = {0};
  problems_add(&problems, &(struct problem){.check = "flow_file", .name = what, .source = "reload", .allowed = why});
  reload_refuse(r, &problems);
  problems_free(&problems);
}

/* Old ones first go when their calls have ended. */
static void drain(void *arg) {
  struct reload *r = arg;
  unsigned n = 0;
  for (unsigned i = 0; i < r->n_old; i++) {
    if (r->make->busy(r->old[i]))
      r->old[n++] = r->old[i];
    else
      r->make->free(r->old[i]);
  }
  r->n_old = n;
  if (n)
    timer_after(r->drain, DRAIN_NS);
  else if (!r->proven)
    supervisor_give_back(r->s);
}

void reload_retire(struct reload *r, struct generation *g) {
  if (!g) return;
  if (r->n_old == RELOAD_DRAINING) { /* the oldest has had its time */
    r->make->free(r->old[0]);
    memmove(r->old, r->old + 1, --r->n_old * sizeof(struct generation *));
  }
  r->old[r->n_old++] = g;
  timer_after(r->drain, 0);
}

static void apply(struct reload *r) {
  struct err err = ERR_INIT;
  struct generation *before = r->now, *next = r->next;
  r->next = NULL;
  next->number = r->numbers + 1;
  if (reload_swap(r, next, r->diff, &err)) {
    r->next = next;
    refuse_for(r, "the flow", err.msg);
    return;
  }
  r->numbers++;
  r->refused = 0;
  r->try_again = false;
  auto_buf struct buf summary = {0}, json = {0};
  plan_diff_summary(r->diff, &summary);
  reload_note(r, "reloaded", NULL);
  reload_tell_swap(r, r->diff, clock_mono_ns() - r->begun_ns);
  reload_outcome_json(r, false, buf_cstr(&summary), &json);
  reload_answer(r, true, NULL, buf_cstr(&json));
  reload_reset_pools(before->settings, r->now->settings);
  reload_probe_begin(r, before);
  reload_watch_again(r);
  reload_finish(r);
}

static bool is_ending(const struct reload *r) {
  struct machine_view v;
  machine_view(r->s->machine, &v);
  return r->s->ended || v.stopping || (v.state == STATE_FAILED && !v.held);
}

/* In a turn of its own, when nothing is being judged. */
static void follow(void *arg) {
  struct reload *r = arg;
  if (r->s->busy) return;
  if (is_ending(r)) {
    if (r->phase == RELOAD_MAKING) r->make->abandon(r->make->self);
    reload_stop_trying(r);
    hooks_cancel(r->hook);
    r->hook = NULL;
    loop_cancel(r->s->o.loop, take_made, r);
    reload_refuse_wish(&r->current, "tend is ending");
    reload_refuse_wish(&r->later, "tend is ending");
    r->later = (struct reload_wish){0};
    reload_probe_end(r);
    reload_finish(r);
    return;
  }
  if (!machine_can_adopt(r->s->machine)) return;
  reload_swept(r);
  if (reload_roll_back(r)) return;
  if (r->phase == RELOAD_READY) apply(r);
}

void reload_follow(struct reload *r) {
  if (!r) return;
  bool leftovers = r->s->o.plan->processes_n && (r->s->o.plan->processes[r->s->o.plan->processes_n - 1].retired);
  for (size_t i = 0; i < r->s->o.plan->processes_n && !leftovers; i++) leftovers = r->s->o.plan->processes[i].extra;
  if (!leftovers && !r->cause[0] && r->phase == RELOAD_IDLE && !is_wanted(&r->later)) return;
  loop_cancel(r->s->o.loop, follow, r);
  if (loop_defer(r->s->o.loop, follow, r)) follow(r);
}

static void on_hook(void *arg, const struct hook_answer *answer) {
  struct reload *r = arg;
  r->hook = NULL;
  if (STR_EQ(answer->word, "refuse")) {
    auto_buf struct buf why = {0};
    buf_fmt(&why, "hook %s refuses it%s%s", answer->by, *answer->reason ? ": " : "", answer->reason);
    refuse_for(r, "on_reload", buf_cstr(&why));
    return;
  }
  r->phase = RELOAD_READY;
  reload_follow(r);
}

/* The new policy has the last word. */
void reload_take(struct reload *r) {
  auto_buf struct buf about = {0}, summary = {0};
  plan_diff_summary(r->diff, &summary);
  settings_redact(r->next->settings, &summary);
  buf_fmt(&about, "\"changes\": %zu, \"summary\": ", r->diff->n);
  json_quote(&about, buf_cstr(&summary), summary.len);
  r->hook = supervisor_hook_reload(r->s, &r->next->policy, r->next->plan, buf_cstr(&about), on_hook, r);
  if (r->hook) return;
  r->phase = RELOAD_READY;
  reload_follow(r);
}

static void start(void *arg) {
  struct reload *r = arg;
  if (r->phase != RELOAD_IDLE || !is_wanted(&r->later)) return;
  r->current = r->later;
  r->later = (struct reload_wish){0};
  if (is_ending(r)) {
    reload_refuse_wish(&r->current, "tend is ending");
    reload_finish(r);
    return;
  }
  bool watched = r->current.triggers == 1U << RELOAD_WATCH && !r->current.askers;
  if (watched && r->refused && !r->try_again && r->refused == reload_look(r)) { /* these were refused */
    reload_finish(r);
    return;
  }
  r->phase = RELOAD_MAKING;
  reload_note_try(r);
  r->begun_ns = clock_mono_ns();
  r->make->make(r->make->self, r->now, on_made, r);
}

/* ----------------------------------------------------------------------------------------------------------------- */

static void on_proven(void *arg) { reload_probe_end(arg); }

static void declare(struct reload *r) {
  static const char *const labels[] = {"result"};
  r->total = metrics_declare(r->s->o.metrics,
                             &(struct metric_spec){.type = METRIC_COUNTER,
                                                   .name = "tend_reloads_total",
                                                   .help = "Reloads of settings and policies, by what became of them.",
                                                   .labels = labels,
                                                   .n_labels = 1,
                                                   .builtin = true},
                             NULL);
  r->generation = metrics_declare(r->s->o.metrics,
                                  &(struct metric_spec){.type = METRIC_GAUGE,
                                                        .name = "tend_policy_generation",
                                                        .help = "Which generation of policies is in force.",
                                                        .builtin = true},
                                  NULL);
  if (r->generation) metric_set(r->generation, NULL, r->now->number);
}

struct reload *reload_new(struct supervisor *s, struct generation *first, const struct generations *make,
                          struct err *err) {
  struct reload *r = calloc(1, sizeof *r);
  if (r) {
    r->s = s;
    r->make = make;
    r->now = first;
    r->now->number = r->numbers = 1;
    r->since_real_ns = clock_real_ns();
    r->timer = timer_new(s->o.loop, start, r);
    r->drain = timer_new(s->o.loop, drain, r);
    r->poll = timer_new(s->o.loop, reload_poll_alone, r);
    r->probation = timer_new(s->o.loop, on_proven, r);
  }
  if (!r || !r->timer || !r->drain || !r->poll || !r->probation || loop_defer(s->o.loop, reload_watch_new, r)) {
    reload_free(r);
    err_set(err, -ENOMEM, "out of memory");
    return NULL;
  }
  declare(r);
  reload_listen(r);
  return r;
}

void reload_begin(struct reload *r) {
  if (r) reload_watch_open(r);
}

void reload_end(struct reload *r) {
  if (!r) return;
  loop_cancel(r->s->o.loop, reload_watch_new, r);
  file_watch_free(r->watch);
  r->watch = NULL;
}

/* The generation in force is its maker's to free at the end. */
void reload_free(struct reload *r) {
  if (!r) return;
  reload_refuse_wish(&r->current, "tend is ending");
  reload_refuse_wish(&r->later, "tend is ending");
  if (r->phase == RELOAD_MAKING) r->make->abandon(r->make->self);
  reload_stop_trying(r);
  hooks_cancel(r->hook);
  loop_cancel(r->s->o.loop, follow, r);
  loop_cancel(r->s->o.loop, take_made, r);
  loop_cancel(r->s->o.loop, reload_watch_new, r);
  reload_unlisten(r);
  file_watch_free(r->watch);
  timer_free(r->timer);
  timer_free(r->drain);
  timer_free(r->poll);
  timer_free(r->probation);
  reload_drop_next(r);
  plan_diff_free(r->diff);
  for (unsigned i = 0; i < r->n_old; i++) r->make->free(r->old[i]);
  if (r->proven) r->make->free(r->proven);
  free(r);
}

struct generation *reload_in_force(const struct reload *r) {
  return r->now;
}
