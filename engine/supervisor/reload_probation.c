/* Probation: for a while after a swap the generation before is kept, and comes back where the new one does harm: a
 * check that was good turns unhealthy, or a script fails in a way that it did not before. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/keep.h"
#include "base/revival.h"
#include "base/str.h"
#include "core/sources.h"
#include "supervisor/reload_impl.h"

void reload_probe_end(struct reload *r) {
  timer_stop(r->probation);
  r->cause[0] = 0;
  if (!r->proven) return;
  reload_retire(r, r->proven);
  r->proven = NULL;
  supervisor_keep_fallback(r->s, NULL, NULL);
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
  supervisor_keep_fallback(r->s, r->proven,
                           &(struct kept_probation){.until_ns = r->swapped_ns + lasts,
                                                    .proven = r->proven->number,
                                                    .failed = r->now->number,
                                                    .files = reload_look(r)});
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

/* `to` is in force again; 0, or err and all is as it was. */
static int go_back(struct reload *r, struct generation *to, uint64_t files, struct err *err) {
  struct generation *failed = r->now;
  struct plan_diff *diff = reload_compare(r, to);
  int rc = diff ? reload_swap(r, to, diff, err) : err_set(err, -ENOMEM, "out of memory");
  if (!rc) {
    reload_tell_back(r, diff, failed->number);
    reload_note(r, "rolled_back", r->cause);
    reload_retire(r, failed);
    r->refused = files;
  }
  plan_diff_free(diff);
  r->cause[0] = 0;
  return rc;
}

static void tell_stays(struct reload *r, const struct err *err) {
  sink_say(r->s->o.sink, EVENT_NOTICE, LEVEL_ERROR, "the policy before cannot come back: %s", err->msg);
}

/* The engine before was ended by a script in probation: what was in force before that reload was kept. */
static void go_back_to_kept(struct reload *r) {
  struct err err = ERR_INIT;
  struct stat st;
  r->condemned = false;
  int fd = revival_fd(r->s->o.revival, "policy_before");
  size_t n = fd >= 0 && fstat(fd, &st) == 0 ? (size_t)st.st_size : 0;
  char *bytes = n ? mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
  struct generation *to = bytes != MAP_FAILED ? r->make->restore(r->make->self, r->now, bytes, n) : NULL;
  if (bytes != MAP_FAILED) munmap(bytes, n);
  r->numbers = r->now->number = r->kept.failed;
  if (to) to->number = r->kept.proven;
  if (!to) err_set(&err, -ENOENT, "it was not kept, or cannot be loaded");
  if (to && go_back(r, to, r->kept.files, &err)) r->make->free(to);
  r->cause[0] = 0;
  if (err.code) tell_stays(r, &err);
  supervisor_keep_fallback(r->s, NULL, NULL);
}

void reload_condemn(struct reload *r, const struct keep_culprit *c) {
  const struct kept_probation *p = keep_get_sized(r->s->o.keep, "probation", sizeof *p);
  if (!p || clock_mono_ns() >= p->until_ns) return;
  r->kept = *p;
  r->condemned = true;
  r->by_check = false;
  r->refused = p->files;
  r->swapped_ns = clock_mono_ns();
  snprintf(r->cause, sizeof r->cause,
           "%.100s has ended the engine since the reload: %.120s, %lld ms of CPU in one call", c->task, c->where,
           (long long)(c->ran_ns / NS_PER_MS));
}

bool reload_roll_back(struct reload *r) {
  if (!r->cause[0] || (!r->proven && !r->condemned)) return false;
  if (r->phase != RELOAD_IDLE && r->phase != RELOAD_READY) return false; /* after the one that is being made */
  if (r->condemned) {
    go_back_to_kept(r);
    return true;
  }
  struct generation *to = r->proven;
  struct err err = ERR_INIT;
  r->proven = NULL;
  timer_stop(r->probation);
  int rc = go_back(r, to, reload_look(r), &err);
  if (!rc) supervisor_keep_fallback(r->s, NULL, NULL);
  if (!rc) return true;
  tell_stays(r, &err);
  r->proven = to;
  return false;
}
