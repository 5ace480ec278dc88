#include "core/metric.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "core/metric_store.h"

static const char *const type_names[] = {"counter", "gauge", "histogram"};

const char *metric_type_name(enum metric_type type) { return type_names[type]; }

static const double default_buckets[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

struct metrics *metrics_new(void) {
  return calloc(1, sizeof(struct metrics));
}

static void series_free(struct series *s, size_t n_labels) {
  for (size_t i = 0; i < n_labels; i++) free(s->values[i]);
  free(s->values);
  free(s->counts);
}

static void family_free(struct metric *m) {
  if (!m) return;
  metric_forget(m, NULL);
  for (size_t i = 0; i < m->n_labels; i++) free(m->labels[i]);
  free(m->labels);
  free(m->buckets);
  free(m->series);
  free(m->name);
  free(m->help);
  free(m);
}

void metrics_free(struct metrics *ms) {
  if (!ms) return;
  for (size_t i = 0; i < ms->n; i++) family_free(ms->families[i]);
  free(ms->families);
  free(ms);
}

static int series_get(struct metric *m, const char *const *values, struct series **out);

/* --- declaring -------------------------------------------------------------------------------------------------- */

static bool name_ok(const char *s) {
  size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_");
  return n > 0 && n < LIMIT_NAME * 2 && !s[n] && !(s[0] >= '0' && s[0] <= '9');
}

/* What Prometheus appends itself to a histogram's or counter's name must not end another's. */
static int check_name(const struct metric_spec *spec, struct err *err) {
  const char *name = spec->name;
  if (!name || !name_ok(name))
    return err_set(err, -EINVAL, "metric \"%s\": a name is made of a-z, 0-9 and _, and begins with a letter",
                   name ? name : "");
  bool total = str_ends(name, "_total");
  if (spec->type == METRIC_COUNTER && (!total || STR_EQ(name, "_total")))
    return err_set(err, -EINVAL, "metric \"%s\": the name of a counter ends in _total", name);
  if (spec->type != METRIC_COUNTER && total)
    return err_set(err, -EINVAL, "metric \"%s\": only the name of a counter ends in _total", name);
  static const char *const reserved[] = {"_count", "_sum", "_bucket", "_created", "_info"};
  for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
    if (!spec->builtin && str_ends(name, reserved[i]))
      return err_set(err, -EINVAL, "metric \"%s\": the ending %s is reserved", name, reserved[i]);
  if (!spec->builtin && str_starts(name, "tend_"))
    return err_set(err, -EINVAL, "metric \"%s\": names that begin with tend_ are tend's own", name);
  if (!spec->help || !*spec->help || strlen(spec->help) > LIMIT_LABEL_VALUE)
    return err_set(err, -EINVAL, "metric \"%s\": expected a help text of 1 to %d bytes", name, LIMIT_LABEL_VALUE);
  return 0;
}

static int check_labels(const struct metric_spec *spec, struct err *err) {
  if (spec->n_labels > LIMIT_METRIC_LABELS)
    return err_set(err, -EINVAL, "metric \"%s\": %zu labels, at most %d are possible", spec->name, spec->n_labels,
                   LIMIT_METRIC_LABELS);
  for (size_t i = 0; i < spec->n_labels; i++) {
    const char *l = spec->labels[i];
    if (!name_ok(l) || str_starts(l, "__"))
      return err_set(err, -EINVAL,
                     "metric \"%s\": label \"%s\": a label is made of a-z, 0-9 and _, begins with a letter", spec->name,
                     l);
    if (STR_EQ(l, "le") || STR_EQ(l, "quantile"))
      return err_set(err, -EINVAL, "metric \"%s\": label \"%s\" is reserved", spec->name, l);
    for (size_t k = 0; k < i; k++)
      if (STR_EQ(l, spec->labels[k])) return err_set(err, -EINVAL, "metric \"%s\": label \"%s\" twice", spec->name, l);
  }
  return 0;
}

static int check_buckets(const struct metric_spec *spec, struct err *err) {
  if (spec->type != METRIC_HISTOGRAM && spec->buckets)
    return err_set(err, -EINVAL, "metric \"%s\": only a histogram has buckets", spec->name);
  if (!spec->buckets) return 0;
  if (spec->n_buckets < 1 || spec->n_buckets > LIMIT_METRIC_BUCKETS)
    return err_set(err, -EINVAL, "metric \"%s\": expected 1 to %d buckets", spec->name, LIMIT_METRIC_BUCKETS);
  for (size_t i = 0; i < spec->n_buckets; i++)
    if (!isfinite(spec->buckets[i]) || (i && spec->buckets[i] <= spec->buckets[i - 1]))
      return err_set(err, -EINVAL, "metric \"%s\": buckets[%zu]: expected finite bounds, each above the one before",
                     spec->name, i + 1);
  return 0;
}

static bool same(const struct metric *m, const struct metric_spec *spec, const double *buckets, size_t n_buckets) {
  if (m->type != spec->type || m->n_labels != spec->n_labels || m->n_buckets != n_buckets) return false;
  for (size_t i = 0; i < m->n_labels; i++)
    if (!STR_EQ(m->labels[i], spec->labels[i])) return false;
  for (size_t i = 0; i < n_buckets; i++)
    if (m->buckets[i] < buckets[i] || m->buckets[i] > buckets[i]) return false;
  return true;
}

struct metric *metrics_find(const struct metrics *ms, const char *name) {
  for (size_t i = 0; i < ms->n; i++)
    if (STR_EQ(ms->families[i]->name, name)) return ms->families[i];
  return NULL;
}

/* OpenMetrics names a counter's family without its _total, and a family has one type. */
static size_t family_len(const char *name) { return strlen(name) - (str_ends(name, "_total") ? strlen("_total") : 0); }

static const struct metric *find_clash(const struct metrics *ms, const char *name) {
  size_t len = family_len(name);
  for (size_t i = 0; i < ms->n; i++)
    if (family_len(ms->families[i]->name) == len && !memcmp(ms->families[i]->name, name, len)) return ms->families[i];
  return NULL;
}

static struct metric *family_new(const struct metric_spec *spec, const double *buckets, size_t n_buckets) {
  struct metric *m = calloc(1, sizeof *m);
  if (!m) return NULL;
  m->type = spec->type;
  m->name = strdup(spec->name);
  m->help = strdup(spec->help);
  m->labels = calloc(spec->n_labels + 1, sizeof *m->labels);
  m->buckets = calloc(n_buckets + 1, sizeof *m->buckets);
  bool ok = m->name && m->help && m->labels && m->buckets;
  for (size_t i = 0; ok && i < spec->n_labels; i++) {
    ok = (m->labels[i] = strdup(spec->labels[i])) != NULL;
    m->n_labels = i + 1;
  }
  if (!ok) {
    family_free(m);
    return NULL;
  }
  if (n_buckets) memcpy(m->buckets, buckets, n_buckets * sizeof *buckets);
  m->n_buckets = n_buckets;
  return m;
}

struct metric *metrics_declare(struct metrics *ms, const struct metric_spec *spec, struct err *err) {
  if (check_name(spec, err) || check_labels(spec, err) || check_buckets(spec, err)) return NULL;
  const double *buckets = spec->buckets ? spec->buckets : default_buckets;
  size_t n_buckets = spec->type != METRIC_HISTOGRAM ? 0 : spec->buckets ? spec->n_buckets : ARRAY_LEN(default_buckets);
  struct metric *m = metrics_find(ms, spec->name);
  if (m) {
    if (same(m, spec, buckets, n_buckets)) return m;
    err_set(err, -EEXIST, "metric \"%s\": declared before as a %s with other labels, buckets or type", spec->name,
            type_names[m->type]);
    return NULL;
  }
  const struct metric *clash = find_clash(ms, spec->name);
  if (clash) {
    err_set(err, -EEXIST, "metric \"%s\": there is a %s \"%s\", and in OpenMetrics both are one name", spec->name,
            type_names[clash->type], clash->name);
    return NULL;
  }
  if (ms->n == LIMIT_METRICS) {
    err_set(err, -ENOSPC, "metric \"%s\": there are %d metrics already, the most that is possible", spec->name,
            LIMIT_METRICS);
    return NULL;
  }
  if (ms->n == ms->cap) {
    size_t cap = ms->cap ? ms->cap * 2 : 32;
    struct metric **p = realloc(ms->families, cap * sizeof(struct metric *));
    if (!p) goto no_memory;
    ms->families = p;
    ms->cap = cap;
  }
  m = family_new(spec, buckets, n_buckets);
  if (!m) goto no_memory;
  m->registry = ms;
  ms->families[ms->n++] = m;
  /* what counts from zero is shown from the start, where that needs no label */
  struct series *zero;
  if (!m->n_labels && m->type != METRIC_GAUGE) series_get(m, NULL, &zero);
  return m;
no_memory:
  err_set(err, -ENOMEM, "metric \"%s\": out of memory", spec->name);
  return NULL;
}

uint64_t metrics_refused(const struct metrics *ms) { return ms->refused; }

/* --- series ----------------------------------------------------------------------------------------------------- */

/* Bytes of a label's value that count: the bound, and not through a character. */
static size_t value_len(const char *s) {
  size_t n = strnlen(s, LIMIT_LABEL_VALUE + 1);
  if (n <= LIMIT_LABEL_VALUE) return n;
  n = LIMIT_LABEL_VALUE;
  while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80) n--;
  return n;
}

static bool series_is(const struct metric *m, const struct series *s, const char *const *values) {
  size_t k = 0;
  while (values && k < m->n_labels) {
    size_t n = value_len(values[k]);
    if (strncmp(s->values[k], values[k], n) != 0 || s->values[k][n]) break;
    k++;
  }
  return k == m->n_labels;
}

/* FNV-1a, the hash of Fowler, Noll and Vo, over all values and where each ends. */
static uint32_t values_hash(const struct metric *m, const char *const *values) {
  uint32_t h = 2166136261U;
  for (size_t k = 0; values && k < m->n_labels; k++)
    for (size_t i = 0, n = value_len(values[k]); i <= n; i++)
      h = (h ^ (i < n ? (unsigned char)values[k][i] : 0U)) * 16777619U;
  return h;
}

static struct series *series_find(const struct metric *m, const char *const *values) {
  uint32_t hash = values_hash(m, values);
  for (size_t i = 0; i < m->n; i++)
    if (m->series[i].hash == hash && series_is(m, &m->series[i], values)) return &m->series[i];
  return NULL;
}

/* Who sets a thousand series sets them in the same order each time: the next one is looked at first. */
static struct series *series_next(struct metric *m, const char *const *values) {
  size_t next = m->last + 1 < m->n ? m->last + 1 : 0;
  struct series *s = m->n && series_is(m, &m->series[next], values) ? &m->series[next] : series_find(m, values);
  if (s) m->last = (size_t)(s - m->series);
  return s;
}

static int series_get(struct metric *m, const char *const *values, struct series **out) {
  struct series *s = series_next(m, values);
  if (s) {
    *out = s;
    return 0;
  }
  if (m->n == LIMIT_METRIC_SERIES) {
    m->registry->refused++;
    return -ENOSPC;
  }
  if (m->n == m->cap) {
    size_t cap = m->cap ? m->cap * 2 : 4;
    struct series *p = realloc(m->series, cap * sizeof *p);
    if (!p) return -ENOMEM;
    m->series = p;
    m->cap = cap;
  }
  struct series fresh = {.hash = values_hash(m, values), .values = calloc(m->n_labels + 1, sizeof *fresh.values)};
  bool ok = fresh.values != NULL;
  if (m->n_buckets) ok = (fresh.counts = calloc(m->n_buckets, sizeof *fresh.counts)) && ok;
  for (size_t i = 0; ok && i < m->n_labels; i++) ok = (fresh.values[i] = strndup(values[i], value_len(values[i])));
  if (!ok) {
    series_free(&fresh, fresh.values ? m->n_labels : 0);
    return -ENOMEM;
  }
  m->series[m->n] = fresh;
  m->last = m->n;
  *out = &m->series[m->n++];
  return 0;
}

int metric_add(struct metric *m, const char *const *values, double v) {
  if (m->type == METRIC_HISTOGRAM || !isfinite(v) || (m->type == METRIC_COUNTER && v < 0)) return -EINVAL;
  struct series *s;
  int rc = series_get(m, values, &s);
  if (rc == 0) s->value += v;
  return rc;
}

int metric_set(struct metric *m, const char *const *values, double v) {
  if (m->type != METRIC_GAUGE) return -EINVAL;
  if (isnan(v)) {
    metric_forget(m, values);
    return 0;
  }
  struct series *s;
  int rc = series_get(m, values, &s);
  if (rc == 0) s->value = v;
  return rc;
}

int metric_raise(struct metric *m, const char *const *values, double v) {
  if (m->type != METRIC_COUNTER || !isfinite(v) || v < 0) return -EINVAL;
  struct series *s;
  int rc = series_get(m, values, &s);
  if (rc == 0 && s->value < v) s->value = v;
  return rc;
}

int metric_observe(struct metric *m, const char *const *values, double v) {
  if (m->type != METRIC_HISTOGRAM || !isfinite(v)) return -EINVAL;
  struct series *s;
  int rc = series_get(m, values, &s);
  if (rc) return rc;
  for (size_t i = 0; i < m->n_buckets; i++) {
    if (v <= m->buckets[i]) {
      s->counts[i]++;
      break;
    }
  }
  s->value += v;
  s->observations++;
  return 0;
}

double metric_get(const struct metric *m, const char *const *values) {
  const struct series *s = series_find(m, values);
  return s ? s->value : NAN;
}

void metric_forget(struct metric *m, const char *const *values) {
  if (!values) {
    for (size_t i = 0; i < m->n; i++) series_free(&m->series[i], m->n_labels);
    m->n = 0;
    return;
  }
  struct series *s = series_find(m, values);
  if (!s) return;
  series_free(s, m->n_labels);
  size_t at = (size_t)(s - m->series);
  memmove(s, s + 1, (m->n - at - 1) * sizeof *s);
  m->n--;
}
