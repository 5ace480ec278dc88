/* The exposition: Prometheus' text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats) and
 * OpenMetrics 1.0 (prometheus.io/docs/specs/om/open_metrics_spec). */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "core/metric.h"
#include "core/metric_store.h"

struct page {
  enum metrics_format format;
  const struct metrics_label *common;
  size_t n_common;
  struct buf *out;
  struct buf labels; /* the common ones as each sample of the present family has them */
};

/* Backslash, newline and (in label values) quotes are escaped; broken UTF-8 becomes U+FFFD. */
static void add_escaped(struct buf *out, const char *s, bool quotes) {
  for (size_t n = strlen(s); n;) {
    size_t plain = 0;
    while (plain < n && s[plain] >= ' ' && s[plain] <= '~' && s[plain] != '\\' && s[plain] != '"') plain++;
    buf_add(out, s, plain);
    s += plain;
    n -= plain;
    if (!n) break;
    size_t k = str_utf8_len(s, n);
    if (*s == '\\')
      buf_str(out, "\\\\");
    else if (*s == '\n')
      buf_str(out, "\\n");
    else if (*s == '"' && quotes)
      buf_str(out, "\\\"");
    else if (k)
      buf_add(out, s, k);
    else
      buf_str(out, "\xef\xbf\xbd");
    s += k ? k : 1;
    n -= k ? k : 1;
  }
}

static void add_number(struct buf *out, double v) {
  if (isnan(v))
    buf_str(out, "NaN");
  else if (isinf(v))
    buf_str(out, v > 0 ? "+Inf" : "-Inf");
  else if (v == floor(v) && fabs(v) < 1e15)
    buf_fmt(out, "%lld", (long long)v);
  else
    for (int digits = 15; digits <= 17; digits++) { /* the shortest that reads back as the same */
      char text[32];
      snprintf(text, sizeof text, "%.*g", digits, v);
      if (digits < 17 && strtod(text, NULL) != v) continue;
      buf_str(out, text);
      break;
    }
}

/* OpenMetrics wants bounds as floats: 1.0, not 1. */
static void add_bound(const struct page *p, double v) {
  add_number(p->out, v);
  if (p->format == METRICS_OPENMETRICS && v == floor(v) && fabs(v) < 1e15) buf_str(p->out, ".0");
}

static bool has_label(const struct metric *m, const char *name) {
  for (size_t i = 0; i < m->n_labels; i++)
    if (STR_EQ(m->labels[i], name)) return true;
  return false;
}

static void add_label(struct buf *out, bool *first, const char *name, const char *value) {
  buf_char(out, *first ? '{' : ',');
  buf_str(out, name);
  buf_str(out, "=\"");
  add_escaped(out, value, true);
  buf_char(out, '"');
  *first = false;
}

/* name_suffix{labels} up to the space before the value; bound NAN: no `le`. */
static void begin_sample(const struct page *p, const struct metric *m, const struct series *s, const char *suffix,
                         double bound) {
  buf_str(p->out, m->name);
  buf_str(p->out, suffix);
  bool first = !p->labels.len;
  buf_add(p->out, p->labels.data, p->labels.len);
  for (size_t i = 0; i < m->n_labels; i++) add_label(p->out, &first, m->labels[i], s->values[i]);
  if (!isnan(bound)) {
    buf_str(p->out, first ? "{le=\"" : ",le=\"");
    add_bound(p, bound);
    buf_char(p->out, '"');
    first = false;
  }
  buf_str(p->out, first ? " " : "} ");
}

static void add_histogram(const struct page *p, const struct metric *m, const struct series *s) {
  uint64_t below = 0;
  for (size_t i = 0; i < m->n_buckets; i++) {
    below += s->counts[i];
    begin_sample(p, m, s, "_bucket", m->buckets[i]);
    buf_fmt(p->out, "%llu\n", (unsigned long long)below);
  }
  begin_sample(p, m, s, "_bucket", INFINITY);
  buf_fmt(p->out, "%llu\n", (unsigned long long)s->observations);
  begin_sample(p, m, s, "_sum", NAN);
  add_number(p->out, s->value);
  buf_char(p->out, '\n');
  begin_sample(p, m, s, "_count", NAN);
  buf_fmt(p->out, "%llu\n", (unsigned long long)s->observations);
}

static void add_family(struct page *p, const struct metric *m) {
  size_t n = strlen(m->name);
  /* in OpenMetrics the family of a counter is called without _total */
  if (p->format == METRICS_OPENMETRICS && m->type == METRIC_COUNTER) n -= sizeof "_total" - 1;
  buf_fmt(p->out, "# HELP %.*s ", (int)n, m->name);
  add_escaped(p->out, m->help, p->format == METRICS_OPENMETRICS);
  buf_fmt(p->out, "\n# TYPE %.*s %s\n", (int)n, m->name, metric_type_name(m->type));
  bool first = true;
  buf_clear(&p->labels);
  for (size_t i = 0; i < p->n_common; i++)
    if (!has_label(m, p->common[i].name)) add_label(&p->labels, &first, p->common[i].name, p->common[i].value);
  p->out->failed |= p->labels.failed;
  for (size_t i = 0; i < m->n; i++) {
    const struct series *s = &m->series[i];
    if (m->type == METRIC_HISTOGRAM) {
      add_histogram(p, m, s);
      continue;
    }
    begin_sample(p, m, s, "", NAN);
    add_number(p->out, s->value);
    buf_char(p->out, '\n');
  }
}

void metrics_text(const struct metrics *ms, enum metrics_format format, const struct metrics_label *common,
                  size_t n_common, struct buf *out) {
  struct page p = {format, common, n_common, out, {0}};
  for (size_t i = 0; i < ms->n; i++)
    if (ms->families[i]->n) add_family(&p, ms->families[i]);
  if (format == METRICS_OPENMETRICS) buf_str(out, "# EOF\n");
  buf_free(&p.labels);
}
