/* Probation: for a while after a swap the generation before is kept, and comes back where the new one does harm: a
 * check that was good turns unhealthy, or a script fails in a way that it did not before. */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/sources.h"
#include "supervisor/reload_impl.h"

void reload_probe_end(struct reload *r) {
  timer_stop(r->probation);
  r->cause[0] = 0;
  if (r->proven) reload_retire(r, r->proven);
  r->proven = NULL;
}

/* The last one that has proved itself is what comes back, not one that was in force for a moment. */
void reload_probe_begin(struct reload *r, struct generation *before) {
  int64_t lasts = settings_ns(r->now->settings, SET_RELOAD_PROBATION_SECONDS);
  r->swapped_ns = clock_mono_ns();
  r->cause[0] = 0;
  if (!lasts) {
    reload_probe_end(r);
    reload_retire(r, before);
    return;
  }
  if (r->proven)
    reload_retire(r, before);
  else
    r->proven = before;
  timer_after(r->probation, lasts);
}

static void condemn(struct reload *r, bool by_check, const char *what, const char *why) {
  if (!r->proven || r->cause[0]) return;
  r->by_check = by_check;
  snprintf(r->cause, sizeof r->cause, "%s%s%s", what, *why ? ": " : "", why);
  reload_follow(r);
}

void reload_news(struct reload *r, const struct health_news *n) {
  if (!r || !r->proven) return;
  const struct check_change *c = n->change;
  if (c->to != CHECK_UNHEALTHY || (c->from != CHECK_HEALTHY && c->from != CHECK_DEGRADED)) return;
  char what[128];
  snprintf(what, sizeof what, "check %s was good and is unhealthy since the reload", n->check->name);
  condemn(r, true, what, *n->result->detail ? n->result->detail : n->result->reason);
}

/* Whoever has failed in this way before fails now for the same reason as then. */
static void on_event(void *arg, const struct event *e) {
  struct reload *r = arg;
  if (e->kind != EVENT_SCRIPT_ERROR || !e->message) return;
  uint64_t is = sources_hash(SOURCES_HASH, e->message, strlen(e->message));
  for (unsigned i = 0; i < RELOAD_ERRORS && i < r->n_errors; i++)
    if (r->errors[i] == is) return;
  r->errors[r->n_errors++ % RELOAD_ERRORS] = is;
  condemn(r, false, "a script has failed since the reload", e->message);
}

void reload_listen(struct reload *r) { r->subscribed = sink_subscribe(r->s->o.sink, on_event, r) == 0; }

void reload_unlisten(struct reload *r) {
  if (r->subscribed) sink_unsubscribe(r->s->o.sink, on_event, r);
  r->subscribed = false;
}

bool reload_roll_back(struct reload *r) {
  if (!r->proven || !r->cause[0]) return false;
  if (r->phase != RELOAD_IDLE && r->phase != RELOAD_READY) return false; /* after the one that is being made */
  struct generation *failed = r->now, *to = r->proven;
  struct plan_diff *diff = reload_compare(r, to);
  struct err err = ERR_INIT;
  r->proven = NULL;
  timer_stop(r->probation);
  if (!diff || reload_swap(r, to, diff, &err)) {
    sink_say(r->s->o.sink, EVENT_NOTICE, LEVEL_ERROR, "the policy before cannot come back: %s",
             diff ? err.msg : "out of memory");
    r->proven = to;
    r->cause[0] = 0;
    plan_diff_free(diff);
    return false;
  }
  reload_tell_back(r, diff, failed->number);
  reload_note(r, "rolled_back", r->cause);
  r->cause[0] = 0;
  plan_diff_free(diff);
  reload_retire(r, failed);
  r->refused = reload_look(r);
  return true;
}
