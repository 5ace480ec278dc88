#include "core/quarantine.h"

#include <string.h>

#include "base/clock.h"
#include "base/str.h"

static void put(const struct quarantine *q) {
  if (q->keep) keep_put(q->keep, "quarantine", q, sizeof *q);
}

static void drop(struct quarantine *q, unsigned i) {
  memmove(&q->list[i], &q->list[i + 1], (--q->n - i) * sizeof q->list[0]);
}

const struct quarantined *quarantine_open(struct quarantine *q, struct keep *keep, int64_t now_real_ns) {
  const struct quarantine *old = keep_get_sized(keep, "quarantine", sizeof *q);
  struct keep_culprit *c = &keep_words(keep)->culprit;
  struct quarantined *new = NULL;
  *q = old ? *old : (struct quarantine){.n = 0};
  q->keep = keep;
  for (unsigned i = 0; i < q->n; i++) q->list[i].identity = 0; /* means nothing to another engine */
  if (*c->task && !c->loading) {
    quarantine_lift(q, c->task);
    if (q->n == LIMIT_QUARANTINE) drop(q, 0);
    new = &q->list[q->n++];
    *new = (struct quarantined){.culprit = *c, .at_real_ns = now_real_ns};
    if (c->once) q->n--; /* told, not kept */
  }
  if (q->n) put(q);
  if (new) c->task[0] = 0; /* and one that dies before this begins with it again */
  return new;
}

const struct quarantined *quarantine_find(struct quarantine *q, const char *task, uint64_t identity) {
  for (unsigned i = 0; i < q->n; i++) {
    struct quarantined *e = &q->list[i];
    if (!STR_EQ(e->culprit.task, task)) continue;
    if (!e->identity) e->identity = identity;
    if (e->identity == identity) return e;
    drop(q, i);
    put(q);
    return NULL;
  }
  return NULL;
}

bool quarantine_lift(struct quarantine *q, const char *task) {
  unsigned n = q->n;
  for (unsigned i = q->n; i-- > 0;)
    if (!task || STR_EQ(q->list[i].culprit.task, task)) drop(q, i);
  if (q->n != n) put(q);
  return q->n != n;
}

void quarantine_text(const struct quarantined *e, struct buf *out) {
  const struct keep_culprit *c = &e->culprit;
  if (c->once) {
    buf_fmt(out,
            "%s spent %lld ms in one call at %s that nothing can interrupt, so that a new engine had to be made; that "
            "chunk is gone",
            c->task, (long long)(c->ran_ns / NS_PER_MS), *c->where ? c->where : "an unknown place");
    return;
  }
  buf_fmt(
      out,
      "%s is quarantined: it spent %lld ms in one call at %s that nothing can interrupt, so that a new engine had to "
      "be made; it runs again when its function has changed, or after tend release",
      c->task, (long long)(c->ran_ns / NS_PER_MS), *c->where ? c->where : "an unknown place");
}
