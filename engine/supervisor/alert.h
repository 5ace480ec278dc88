/* Alerts: events of a level and above go to a webhook as JSON, in batches, one request at a time.
 *
 *   {"text": "rpa1-worker-1: …", "container_id": …, "flow": …, "events": [event …]}
 *
 * `text` has one line an event, as chat systems show it; each event is as in the log. What cannot be delivered (no
 * answer, 408, 429, 5xx) is tried again with a delay that doubles up to a minute; any other answer but 2xx is final.
 * The queue is bounded: when it is full the oldest events go, and are counted. A receiver that is slow or gone costs
 * nothing else.
 */
#ifndef TEND_SUPERVISOR_ALERT_H
#define TEND_SUPERVISOR_ALERT_H

#include "base/err.h"
#include "loop/loop.h"
#include "probes/probe.h"
#include "loop/sink.h"

struct alert;

struct alert_options {
  struct loop *loop;
  struct sink *sink;
  struct probe_env *probes; /* for the part http */
  const char *url;          /* copied; may hold a secret */
  enum level level;
};

/* NULL with err: no memory. The first event loads libcurl. */
struct alert *alert_new(const struct alert_options *options, struct err *err);
void alert_free(struct alert *a); /* NULL is allowed */

/* The end: what waits is sent at once, one try. done is called from the loop, at the deadline at the latest; with NULL
 * for a as well. */
void alert_finish(struct alert *a, int64_t deadline_ns, struct loop *loop, loop_fn *done, void *arg);

uint64_t alert_sent(const struct alert *a);    /* events */
uint64_t alert_dropped(const struct alert *a); /* for want of room, or refused by the receiver */

#endif
