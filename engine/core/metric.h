/* Metrics: counters, gauges and histograms with labels, in one registry; the text that Prometheus reads, the same
 * in OpenMetrics. Pure: nothing is read or written here.
 *
 * The registry owns all; a struct metric (a family) lives as long as its registry, so reloads of scripts keep
 * their counts: declaring the same family again gives the one that is there. Bounds: LIMIT_METRICS families,
 * LIMIT_METRIC_SERIES label combinations a family; what is above is refused (-ENOSPC) and counted.
 */
#ifndef TEND_CORE_METRIC_H
#define TEND_CORE_METRIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

const char *metric_type_name(enum metric_type type); /* "counter" */

struct metrics; /* the registry */
struct metric;  /* a family: name, help, type, label names */

struct metric_spec {
  enum metric_type type;
  const char *name;          /* [a-z_][a-z0-9_]*; a counter's ends in _total, nobody else's does */
  const char *help;          /* one line, required */
  const char *const *labels; /* label names, in the order in which values are given later */
  size_t n_labels;           /* LIMIT_METRIC_LABELS at most */
  const double *buckets;     /* histogram: rising upper bounds without +Inf; NULL: from 5 ms to 10 s */
  size_t n_buckets;
  bool builtin; /* the engine's own: alone may begin with tend_ */
};

struct metrics *metrics_new(void); /* NULL: no memory */
void metrics_free(struct metrics *ms);

/* The family of that name, made when there is none. NULL with err: -EINVAL (name, label, bucket: told which and
 * why), -EEXIST (declared before with another type, labels or buckets), -ENOSPC, -ENOMEM. */
struct metric *metrics_declare(struct metrics *ms, const struct metric_spec *spec, struct err *err);
struct metric *metrics_find(const struct metrics *ms, const char *name);

/* `values`: one text for each label of the family, in its order; NULL where it has none. All return 0 or -EINVAL
 * (wrong type, not finite, negative for a counter), -ENOSPC, -ENOMEM. */
int metric_add(struct metric *m, const char *const *values, double v);     /* counter (v >= 0), gauge */
int metric_set(struct metric *m, const char *const *values, double v);     /* gauge; NAN: the series is left out */
int metric_raise(struct metric *m, const char *const *values, double v);   /* counter: to v when it is less */
int metric_observe(struct metric *m, const char *const *values, double v); /* histogram */
/* The present value (a histogram: the sum of what it saw); NAN where there is no such series. */
double metric_get(const struct metric *m, const char *const *values);
/* Forgets one series, or all (values NULL on a family with labels). */
void metric_forget(struct metric *m, const char *const *values);
/* Updates that were refused for want of room. */
uint64_t metrics_refused(const struct metrics *ms);

enum metrics_format { METRICS_PROMETHEUS, METRICS_OPENMETRICS };

#define METRICS_TYPE_PROMETHEUS "text/plain; version=0.0.4; charset=utf-8"
#define METRICS_TYPE_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* A label put on every series (flow, container_id). */
struct metrics_label {
  const char *name, *value;
};

/* The whole exposition, appended. A family's own label of the same name wins over a common one. */
void metrics_text(const struct metrics *ms, enum metrics_format format, const struct metrics_label *common,
                  size_t n_common, struct buf *out);

#endif
