/* Functions of scripts that ended an engine: they are not called again until they have changed, or an operator lifts
 * it. A plain struct, so that it goes over the life of an engine as it is. Pure but for keep_put. */
#ifndef TEND_CORE_QUARANTINE_H
#define TEND_CORE_QUARANTINE_H

#include "base/buf.h"
#include "base/keep.h"

struct quarantined {
  struct keep_culprit culprit;
  int64_t at_real_ns;
  uint64_t identity; /* of the function; 0: not seen since */
};

struct quarantine {
  struct keep *keep; /* where it is put after each change; NULL: nowhere */
  unsigned n;
  struct quarantined list[LIMIT_QUARANTINE]; /* the oldest goes when there is no room */
};

/* Takes over what the engine before has left, and the one who ended it, if anybody did; what was added is returned. */
const struct quarantined *quarantine_open(struct quarantine *q, struct keep *keep, int64_t now_real_ns);
/* May it run? NULL: yes. `identity` is the function's, as of now: one that is another than before may. */
const struct quarantined *quarantine_find(struct quarantine *q, const char *task, uint64_t identity);
/* False: there is none of that name. NULL: all. */
bool quarantine_lift(struct quarantine *q, const char *task);
/* "check disk is quarantined: it ran 1000 ms in one call at flows/a.lua:3 …" */
void quarantine_text(const struct quarantined *e, struct buf *out);

#endif
