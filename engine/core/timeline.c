#include "core/timeline.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

void timeline_free(struct timeline *t) {
  for (size_t i = 0; i < t->n; i++) free(t->entries[i].details);
  for (size_t i = 0; i < t->rows_n; i++) {
    free(t->rows[i].name);
    free(t->rows[i].changes);
  }
  free(t->entries);
  free(t->rows);
  *t = (struct timeline){0};
}

/* Room for one more element. */
static bool room(struct timeline *t, void *list, size_t n, size_t *cap, size_t size) {
  if (n < *cap) return true;
  size_t more = *cap ? *cap * 2 : 32;
  void **at = list;
  void *p = realloc(*at, more * size);
  if (!p) {
    t->failed = true;
    return false;
  }
  *at = p;
  *cap = more;
  return true;
}

void timeline_add(struct timeline *t, int64_t at_ns, const char *what, enum level level, const struct buf *details) {
  if (!room(t, &t->entries, t->n, &t->cap, sizeof *t->entries)) return;
  char *copy = strdup(buf_cstr(details));
  if (!copy) {
    t->failed = true;
    return;
  }
  t->entries[t->n++] = (struct timeline_entry){at_ns, what, level, copy};
}

size_t timeline_row(struct timeline *t, const char *name) {
  char *copy = strdup(name);
  if (!copy || !room(t, &t->rows, t->rows_n, &t->rows_cap, sizeof *t->rows)) {
    free(copy);
    t->failed = true;
    return SIZE_MAX;
  }
  t->rows[t->rows_n] = (struct timeline_row){.name = copy};
  return t->rows_n++;
}

void timeline_set(struct timeline *t, size_t row, int64_t at_ns, const char *state, char mark) {
  if (row >= t->rows_n) return;
  struct timeline_row *r = &t->rows[row];
  if (r->n && r->changes[r->n - 1].state == state) return;
  if (r->n && r->changes[r->n - 1].at_ns == at_ns && r->n > 1 && r->changes[r->n - 2].state == state) {
    r->n--; /* there and back in no time */
    return;
  }
  if (!room(t, &r->changes, r->n, &r->cap, sizeof *r->changes)) return;
  r->changes[r->n++] = (struct timeline_change){at_ns, state, mark};
}

const char *timeline_time(int64_t ns, char to[TIMELINE_TIME_MAX]) {
  int64_t ms = ns / NS_PER_MS, s = ms / 1000;
  snprintf(to, TIMELINE_TIME_MAX, "%" PRId64 "d %02d:%02d:%02d.%03d", s / 86400, (int)(s / 3600 % 24),
           (int)(s / 60 % 60), (int)(s % 60), (int)(ms % 1000));
  return to;
}

/* --- text -------------------------------------------------------------------------------------------------------- */

/* Any text as one word, or quoted: nothing of it reaches a terminal as a control character. */
static void add_value(const cJSON *v, struct buf *out) {
  const char *s = cJSON_GetStringValue(v);
  if (s && *s && str_plain(s, strlen(s)) == strlen(s) && !strpbrk(s, " =")) {
    buf_str(out, s);
  } else if (s) {
    json_quote(out, s, strlen(s));
  } else {
    struct json j = JSON_INIT(out);
    json_value(&j, NULL, v);
  }
}

static void add_entry(const struct timeline_entry *e, struct buf *out) {
  char time[TIMELINE_TIME_MAX];
  auto_json cJSON *details = cJSON_Parse(e->details);
  buf_fmt(out, "%s  ", timeline_time(e->at_ns, time));
  const cJSON *item = details ? details->child : NULL;
  if (STR_EQ(e->what, "state") && item && item->next) {
    buf_fmt(out, "%s -> %s", item->valuestring, item->next->valuestring);
    item = item->next->next;
  } else {
    buf_str(out, e->what);
  }
  for (; item; item = item->next) {
    buf_fmt(out, " %s=", item->string);
    add_value(item, out);
  }
  buf_char(out, '\n');
}

void timeline_text(const struct timeline *t, struct buf *out) {
  for (size_t i = 0; i < t->n; i++) add_entry(&t->entries[i], out);
}

void timeline_json(const struct timeline *t, struct json *j, const char *key) {
  json_array(j, key);
  for (size_t i = 0; i < t->n; i++) {
    const struct timeline_entry *e = &t->entries[i];
    json_object(j, NULL);
    json_num(j, "at_seconds", (double)(e->at_ns / NS_PER_MS) / 1000);
    json_str(j, "event", e->what);
    json_str(j, "level", level_name(e->level));
    json_raw(j, "details", e->details, strlen(e->details));
    json_object_end(j);
  }
  json_array_end(j);
}

void timeline_json_rows(const struct timeline *t, struct json *j, const char *key) {
  json_array(j, key);
  for (size_t i = 0; i < t->rows_n; i++) {
    const struct timeline_row *r = &t->rows[i];
    json_object(j, NULL);
    json_str(j, "name", r->name);
    json_array(j, "changes");
    for (size_t k = 0; k < r->n; k++) {
      json_object(j, NULL);
      json_num(j, "at_seconds", (double)(r->changes[k].at_ns / NS_PER_MS) / 1000);
      json_str(j, "state", r->changes[k].state);
      json_object_end(j);
    }
    json_array_end(j);
    json_object_end(j);
  }
  json_array_end(j);
}

/* --- plot -------------------------------------------------------------------------------------------------------- */

/* From what says least to what matters most. */
static const char marks[] = " .=~?>-+r!";

static int weight(char mark) {
  const char *at = strchr(marks, mark);
  return at ? (int)(at - marks) : 0;
}

static char mark_between(const struct timeline_row *r, int64_t from_ns, int64_t to_ns) {
  char best = ' ';
  for (size_t i = 0; i < r->n; i++) {
    int64_t end = i + 1 < r->n ? r->changes[i + 1].at_ns : INT64_MAX;
    if (end <= from_ns && end != INT64_MAX) continue;
    if (r->changes[i].at_ns >= to_ns) break;
    if (weight(r->changes[i].mark) > weight(best)) best = r->changes[i].mark;
  }
  return best;
}

void timeline_plot(const struct timeline *t, unsigned width, struct buf *out) {
  int name = 0;
  for (size_t i = 0; i < t->rows_n; i++)
    if ((int)strlen(t->rows[i].name) > name) name = (int)strlen(t->rows[i].name);
  int64_t step = t->end_ns / (int64_t)width + 1;
  for (size_t i = 0; i < t->rows_n; i++) {
    buf_fmt(out, "%-*s |", name, t->rows[i].name);
    for (unsigned k = 0; k < width; k++)
      buf_char(out, k * step >= t->end_ns ? ' ' : mark_between(&t->rows[i], k * step, (k + 1) * step));
    buf_str(out, "|\n");
  }
  char end[TIMELINE_TIME_MAX];
  timeline_time(t->end_ns, end);
  buf_fmt(out, "%-*s  0%*s\n", name, "", (int)width - 1, end);
  buf_str(out,
          "= runs, good  ~ starts, degraded  - waits for its next start  > stops  r restarts  ! failed, bad  ? unknown "
          " . down, done\n");
}

/* --- differences ------------------------------------------------------------------------------------------------- */

struct lines {
  const char **at;
  size_t *len;
  size_t n;
};

static bool split(const char *text, struct lines *out) {
  size_t n = 1;
  for (const char *p = text; *p; p++) n += *p == '\n';
  out->at = calloc(n, sizeof *out->at);
  out->len = calloc(n, sizeof *out->len);
  if (!out->at || !out->len) return false;
  while (*text) {
    size_t len = strcspn(text, "\n");
    out->at[out->n] = text;
    out->len[out->n++] = len;
    text += len + (text[len] == '\n');
  }
  return true;
}

static bool same(const struct lines *a, size_t i, const struct lines *b, size_t k) {
  return a->len[i] == b->len[k] && memcmp(a->at[i], b->at[k], a->len[i]) == 0;
}

/* The nearest place, in lines of both together, at which they agree again. */
static void find_again(const struct lines *a, size_t i, const struct lines *b, size_t k, size_t *skip_a,
                       size_t *skip_b) {
  enum { FAR = 400 };
  for (size_t both = 1; both < FAR; both++)
    for (size_t x = 0; x <= both; x++)
      if (i + x < a->n && k + both - x < b->n && same(a, i + x, b, k + both - x)) {
        *skip_a = x;
        *skip_b = both - x;
        return;
      }
  *skip_a = a->n - i < FAR ? a->n - i : FAR;
  *skip_b = b->n - k < FAR ? b->n - k : FAR;
}

static void show(const struct lines *l, size_t from, size_t n, char sign, struct buf *out) {
  for (size_t i = from; i < from + n; i++) {
    buf_fmt(out, "%c %zu: ", sign, i + 1);
    buf_add(out, l->at[i], l->len[i]);
    buf_char(out, '\n');
  }
}

size_t timeline_differences(const char *expected, const char *got, struct buf *out) {
  struct lines a = {0}, b = {0};
  size_t count = 0;
  if (split(expected, &a) && split(got, &b)) {
    for (size_t i = 0, k = 0; i < a.n || k < b.n;) {
      size_t skip_a = 0, skip_b = 0;
      if (i < a.n && k < b.n && same(&a, i, &b, k)) {
        i++;
        k++;
        continue;
      }
      find_again(&a, i, &b, k, &skip_a, &skip_b);
      show(&a, i, skip_a, '-', out);
      show(&b, k, skip_b, '+', out);
      count += skip_a + skip_b;
      i += skip_a;
      k += skip_b;
    }
  } else {
    out->failed = true;
    count = 1;
  }
  free(a.at);
  free(a.len);
  free(b.at);
  free(b.len);
  return count;
}
