/* Why things are as they are: the chain of causes of the present state, and what comes next and when. The same in words
 * is the termination message.
 */
#include <poll.h>
#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "supervisor/impl.h"

enum { LINKS = 16, NEXTS = 8, TEXT = 360 };

struct story {
  struct supervisor *s;
  struct machine_view m;
  struct views views;
  char answer[TEXT + 64];
  char texts[LINKS][TEXT], soon[NEXTS][TEXT];
  struct why_link chain[LINKS];
  struct report_next next[NEXTS];
  size_t n_chain, n_next;
  unsigned depth; /* of the last link */
};

static void link(struct story *t, int64_t at_real_ns, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void link(struct story *t, int64_t at_real_ns, const char *fmt, ...) {
  if (t->n_chain == LINKS) return;
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(t->texts[t->n_chain], TEXT, fmt, ap);
  va_end(ap);
  t->chain[t->n_chain] = (struct why_link){t->texts[t->n_chain], at_real_ns, t->depth++};
  t->n_chain++;
}

/* What follows is no cause of what was said so far. */
static void turn_to_next(struct story *t) { t->depth = 0; }

/* Kept in the order of time. due: wall clock; 0: it will not be. */
static void coming(struct story *t, int64_t due_real_ns, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void coming(struct story *t, int64_t due_real_ns, const char *fmt, ...) {
  if (t->n_next == NEXTS || !due_real_ns) return;
  char *text = t->soon[t->n_next];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, TEXT, fmt, ap);
  va_end(ap);
  size_t at = t->n_next++;
  for (; at > 0 && t->next[at - 1].due_real_ns > due_real_ns; at--) t->next[at] = t->next[at - 1];
  t->next[at] = (struct report_next){text, due_real_ns};
}

static const char *or_none(const char *reason) { return *reason ? reason : "no answer yet"; }

/* --- causes ------------------------------------------------------------------------------------------------------ */

/* The remedy that ended a run of a process because of a check: the latest one. */
static void tell_check_end(struct story *t) {
  const struct report_remediation *latest = NULL;
  for (size_t i = 0; i < t->views.v.n_remediations; i++) {
    const struct report_remediation *r = &t->views.v.remediations[i];
    if (r->cause && *r->cause && (!latest || r->at_real_ns >= latest->at_real_ns)) latest = r;
  }
  if (latest) link(t, latest->at_real_ns, "remedy %s ended it, %s", latest->remedy, latest->cause);
}

static const struct restart_config *restart_of(struct supervisor *s, uint32_t index) {
  return &s->lifecycle->process[machine_slot_process(s->machine, index)].how->restart;
}

void supervisor_not_again(struct supervisor *s, uint32_t index, struct buf *out) {
  const struct restart_config *r = restart_of(s, index);
  struct instance_view v;
  machine_instance(s->machine, index, clock_mono_ns(), &v);
  if (s->o.simple)
    buf_str(out, "in mode simple nothing is restarted");
  else if (r->max_attempts && v.in_window >= r->max_attempts)
    buf_fmt(out, "%u of %u restarts within %lld min are used up (CONTAINER_MAX_RESTART_ATTEMPTS)", v.in_window,
            r->max_attempts, (long long)(r->window_ns / (60 * NS_PER_S)));
  else if (r->policy == RESTART_NO)
    buf_str(out, "its restart policy is \"no\"");
  else
    buf_str(out, "its policy, a rule or a hook says so");
}

/* How its last run ended, what it said last, and why nothing or something follows. */
static void tell_process(struct story *t, uint32_t index) {
  struct supervisor *s = t->s;
  const struct plan_process *p = supervisor_process(s, index);
  const struct report_process *view = &t->views.processes[index];
  struct instance_view v;
  machine_instance(s->machine, index, clock_mono_ns(), &v);
  char name[96], ran[32];
  turn_to_next(t);
  snprintf(name, sizeof name, plan_slots(p) > 1 ? "%s/%u" : "%s", p->name, (int)view->instance);
  if (v.state == INSTANCE_STARTING)
    link(t, view->since_real_ns, "process %s was executed, its start-up check has not passed yet", name);
  if (v.state == INSTANCE_STOPPING)
    link(t, view->since_real_ns, "process %s was sent a stop signal and has not ended yet", name);
  if (view->next.what) coming(t, view->next.due_real_ns, "%s of %s", view->next.what, name);
  if (!view->last_exit.known || (v.state == INSTANCE_UP && v.last_reason == END_CLEAN)) return;
  if (v.state == INSTANCE_BACKOFF)
    link(t, view->since_real_ns, "process %s waits for its restart: number %u in a row, %u of %u in the window", name,
         v.n, v.in_window, restart_of(s, index)->max_attempts);
  if (v.state == INSTANCE_FAILED) {
    auto_buf struct buf why = {0};
    supervisor_not_again(s, index, &why);
    link(t, view->since_real_ns, "process %s is not started again: %s", name, buf_cstr(&why));
  }
  str_format_duration(view->last_exit.duration_ns / NS_PER_MS * NS_PER_MS, ran, sizeof ran);
  link(t, view->last_exit.at_real_ns, "process %s (%s), its last end: %s (%s), after %s", name, view->state,
       view->last_exit.text, end_reason_name(v.last_reason), ran);
  if (v.last_reason == END_CHECK) tell_check_end(t);
  const struct end *e = ends_of(&s->ends, p->name, (int)view->instance);
  const char *last = e && e->output ? e->output : "";
  size_t n = strlen(last);
  while (n && last[n - 1] == '\n') n--;
  const char *line = n ? memrchr(last, '\n', n) : NULL;
  line = line ? line + 1 : last;
  if (n) link(t, e->at_real_ns, "the last that it said: %.*s", (int)(last + n - line), line);
}

static void tell_processes(struct story *t) {
  for (uint32_t i = 0; i < t->views.v.n_processes && t->n_chain < LINKS - 6; i++) tell_process(t, i);
}

/* What the last validation did not accept. */
static void tell_validation(struct story *t) {
  for (size_t i = 0; i < t->s->invalid.n && t->n_chain < LINKS - 6; i++) {
    auto_buf struct buf text = {0};
    problem_text(&t->s->invalid.items[i], &text);
    turn_to_next(t);
    link(t, 0, "%s", buf_cstr(&text));
  }
}

/* What a start waits for, and what is bad of late. */
static void tell_dependencies(struct story *t) {
  struct dependency_view d;
  for (size_t i = 0; dependencies_at(t->s->dependencies, i, &d) && t->n_chain < LINKS - 4; i++) {
    if (d.state == DEPENDENCY_READY || d.state == DEPENDENCY_IDLE) continue;
    turn_to_next(t);
    link(t, supervisor_wall(d.checked_ns), "%s dependency %s is %s after %u attempt%s: %s%s%s",
         d.required ? "required" : "optional", d.name, dependency_state_name(d.state), d.attempts,
         d.attempts == 1 ? "" : "s", or_none(d.reason), *d.detail ? ", " : "", d.detail);
    coming(t, supervisor_wall(d.next_ns), "the next attempt at dependency %s", d.name);
    coming(t, supervisor_wall(d.deadline_ns), "the wait for dependency %s is over", d.name);
  }
}

static void tell_checks(struct story *t) {
  for (size_t i = 0; i < t->views.v.n_checks && t->n_chain < LINKS - 2; i++) {
    const struct report_check *c = &t->views.v.checks[i];
    if (!c->active || STR_EQ(c->status, "healthy") || (STR_EQ(c->status, "unknown") && !c->last)) continue;
    turn_to_next(t);
    link(t, c->since_real_ns, "check %s (%s) is %s, its last result: %s%s%s%s%s", c->name, c->role, c->status, c->last,
         *c->reason ? ", " : "", c->reason, *c->detail ? ", " : "", c->detail);
    coming(t, c->next_real_ns, "the next run of check %s", c->name);
  }
}

/* What a remedy that is at work is there for. */
static void tell_remedy_check(struct story *t, const char *name) {
  for (size_t i = 0; i < t->views.v.n_checks; i++) {
    const struct report_check *c = &t->views.v.checks[i];
    if (!STR_EQ(c->name, name)) continue;
    link(t, c->at_real_ns, "check %s: %s", name, *c->detail ? c->detail : or_none(c->reason));
    return;
  }
}

static void tell_remedies(struct story *t) {
  for (size_t i = 0; i < t->views.v.n_remedies && t->n_chain < LINKS - 2; i++) {
    const struct report_remedy *r = &t->views.v.remedies[i];
    if (STR_EQ(r->state, "idle")) continue;
    turn_to_next(t);
    link(t, 0, "remedy %s is %s%s%s%s%s", r->name, STR_EQ(r->state, "gave_up") ? "used up" : r->state,
         r->step ? ", step " : "", r->step ? r->step : "", r->last_result ? ", its last result: " : "",
         r->last_result ? r->last_result : "");
    if (r->check) tell_remedy_check(t, r->check);
    if (STR_EQ(r->state, "resting")) coming(t, r->ready_real_ns, "remedy %s may run again", r->name);
  }
  turn_to_next(t);
  if (t->views.v.maintenance) link(t, 0, "in maintenance: remedies do not run");
}

static void tell_end(struct story *t) {
  if (t->m.stopping || t->m.state == STATE_STOPPING)
    link(t, t->views.v.since_real_ns, "tend %s, cause: %s", t->m.stopping ? "ends" : "stops its processes",
         machine_cause_name(t->m.cause));
  if (t->m.cause == CAUSE_REMEDY) {
    char text[TEXT];
    remedies_end_text(t->s->remedies, text, sizeof text);
    link(t, t->views.v.since_real_ns, "%s", text);
  }
  if (t->m.held)
    link(t, t->views.v.since_real_ns, "it is held, as CONTAINER_ON_FAILURE says, until a stop or tend start");
}

/* What the flow has no part in: who takes tend's output, who is in the way of its endpoints. */
static void tell_surroundings(struct story *t) {
  bool drop = STR_EQ(settings_str(t->s->o.settings, SET_OUTPUT_OVERFLOW), "drop");
  for (int fd = 1; fd <= 2; fd++) {
    struct pollfd out = {.fd = fd, .events = POLLOUT};
    if (poll(&out, 1, 0) != 0) continue;
    turn_to_next(t);
    link(t, 0, "who reads tend's standard %s stands still: it takes nothing now, %s (CONTAINER_OUTPUT_OVERFLOW)",
         fd == 1 ? "output" : "error", drop ? "and lines are dropped" : "and a process that writes waits");
  }
  const char *trouble = web_trouble(t->s->web);
  turn_to_next(t);
  if (*trouble) link(t, 0, "nothing is served over HTTP, no probe and no metrics: %s", trouble);
}

static void story_make(struct supervisor *s, struct story *t) {
  *t = (struct story){.s = s};
  machine_view(s->machine, &t->m);
  supervisor_views(s, false, &t->views);
  char since[32];
  int64_t for_ns = t->views.v.now_real_ns - t->views.v.since_real_ns;
  str_format_duration(for_ns / NS_PER_S * NS_PER_S, since, sizeof since);
  tell_end(t);
  tell_validation(t);
  if (t->views.processes) tell_processes(t);
  tell_dependencies(t);
  tell_checks(t);
  tell_remedies(t);
  tell_surroundings(t);
  turn_to_next(t);
  if (reload_trouble(s->reload))
    link(t, 0, "the policy on disk was refused, the one before stays in force: %s", reload_trouble(s->reload));
  turn_to_next(t);
  if (s->previous_run.len) link(t, 0, "the run before had no end of its own: it was killed as a whole");
  turn_to_next(t);
  link(t, s->begun_real_ns, "tend was started");
  snprintf(t->answer, sizeof t->answer, "%s, for %s", t->views.v.reason, since);
}

void supervisor_why_json(struct supervisor *s, struct buf *out) {
  struct story t;
  story_make(s, &t);
  why_build(&(struct why_view){.state = t.views.v.state,
                               .answer = t.answer,
                               .chain = t.chain,
                               .n_chain = t.n_chain,
                               .now_real_ns = t.views.v.now_real_ns,
                               .next = t.next,
                               .n_next = t.n_next},
            out);
  supervisor_views_free(&t.views);
  settings_redact(s->o.settings, out);
}

/* --- the termination message ------------------------------------------------------------------------------------- */

/* The pod's status takes no text that is not UTF-8; a byte for a byte, so that it does not grow. */
static void make_utf8(struct buf *text) {
  for (size_t i = 0; i < text->len;) {
    size_t n = str_utf8_len(text->data + i, text->len - i);
    if (!n) text->data[i] = '?';
    i += n ? n : 1;
  }
}

void supervisor_termination(struct supervisor *s, struct buf *out) {
  struct story t;
  story_make(s, &t);
  buf_fmt(out, "flow %s (%s) ended with exit code %d, of the %s: %s\n", s->o.plan->name,
          sink_who(s->o.sink)->container_id, s->exit_code, s->from_workload ? "workload" : "engine",
          machine_cause_name(s->exit_cause));
  for (size_t i = 0; i < t.n_chain; i++) buf_fmt(out, "- %s\n", t.chain[i].what);
  const struct end *e = ends_of(&s->ends, s->o.plan->processes[s->o.plan->main].name, -1);
  if (e && e->output) {
    size_t n = strlen(e->output), room = out->len + 64 < TERMINATION_MAX ? TERMINATION_MAX - out->len - 64 : 0;
    buf_fmt(out, "last lines of %s:\n%s", e->process, e->output + (n > room ? n - room : 0));
  }
  supervisor_views_free(&t.views);
  settings_redact(s->o.settings, out);
  if (out->len > TERMINATION_MAX) { /* redaction made it longer */
    out->len = TERMINATION_MAX;
    out->data[TERMINATION_MAX] = 0;
  }
  make_utf8(out);
}
