/* The endpoints over HTTP: what each path answers. The part "server" speaks HTTP; it is loaded when the workload has
 * been started, or when the start takes its time. An address that cannot be had is a warning and tried again.
 *
 * Nothing here changes anything. Probes and metrics are for everybody, the rest for whom core/access lets in.
 */
#ifndef TEND_WEB_WEB_H
#define TEND_WEB_WEB_H

#include "base/buf.h"
#include "core/metric.h"
#include "core/settings.h"
#include "probes/probe.h"
#include "loop/sink.h"

struct revival;
struct web;

enum web_verdict { WEB_LIVE, WEB_STARTED, WEB_READY, WEB_HEALTHY };

/* Where the answers come from; each appends to `out`. */
struct web_source {
  void *arg;
  bool (*verdict)(void *arg, enum web_verdict which, struct buf *out); /* true: 200, false: 503 */
  void (*status)(void *arg, bool brief, struct buf *out);              /* brief: without the history of checks */
  void (*report)(void *arg, struct buf *out);
  void (*metrics)(void *arg, struct buf *out); /* JSON */
  void (*exposition)(void *arg, enum metrics_format format, struct buf *out);
  void (*history)(void *arg, struct buf *out);
  void (*loading)(void *arg); /* the part is loaded next: what is no longer needed should go first */
  void (*sample)(void *arg);  /* somebody watches: keep the present numbers for the history */
};

struct web_options {
  struct loop *loop;
  struct sink *sink;
  struct probe_env *probes; /* its host is the part's */
  const struct settings *settings;
  struct metrics *metrics;
  const struct revival *revival; /* NULL: there was no engine before */
  struct web_source source;
};

/* NULL when CONTAINER_HTTP_ADDRESS is off or wrong, or there is no memory: the engine goes on without. */
struct web *web_new(const struct web_options *options);
void web_free(struct web *w); /* NULL is allowed; open streams get what they have not had yet, and end */

/* Why nothing is served; "": it is, or has not been tried yet. NULL is allowed. Valid until the next turn. */
const char *web_trouble(const struct web *w);

/* The first process has been executed. NULL is allowed. */
void web_workload_started(struct web *w);

#endif
