/* The engine's answers as text for people. Whatever an answer lacks is left out, so that client and engine of
 * different versions understand each other. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/str.h"
#include "client/client.h"
#include "core/event.h"

static const cJSON *get(const cJSON *o, const char *key) { return cJSON_GetObjectItemCaseSensitive(o, key); }

static const char *str(const cJSON *o, const char *key, const char *fallback) {
  const cJSON *v = get(o, key);
  return cJSON_IsString(v) ? v->valuestring : fallback;
}

static bool is_true(const cJSON *o, const char *key) { return cJSON_IsTrue(get(o, key)); }

/* 0 for what is no time. */
static int64_t time_at(const cJSON *o, const char *key) {
  int64_t ns;
  return clock_parse(str(o, key, ""), &ns) ? 0 : ns;
}

void show_duration(int64_t ns, struct buf *out) {
  int64_t s = ns / NS_PER_S;
  if (s < 60)
    buf_fmt(out, "%lld s", (long long)s);
  else if (s < 3600)
    buf_fmt(out, "%lld m %lld s", (long long)(s / 60), (long long)(s % 60));
  else if (s < 48 * 3600)
    buf_fmt(out, "%lld h %lld m", (long long)(s / 3600), (long long)(s / 60 % 60));
  else
    buf_fmt(out, "%lld d %lld h", (long long)(s / 86400), (long long)(s / 3600 % 24));
}

/* How long something has been so; "-" where that is not known. */
static void add_age(const cJSON *o, const char *key, int64_t now, struct buf *out) {
  int64_t at = time_at(o, key);
  if (!at)
    buf_char(out, '-');
  else
    show_duration(now > at ? now - at : 0, out);
}

/* --- tables ------------------------------------------------------------------------------------------------------ */

enum { COLUMNS_MAX = 8, ROWS_MAX = 4096 };

/* Cells row by row, NUL after each; widths by column. */
struct table {
  size_t columns;
  size_t width[COLUMNS_MAX];
  struct buf cells;
  size_t n;
};

/* Characters that terminals obey never get there. */
static void cell(struct table *t, const char *text) {
  size_t column = t->n++ % t->columns;
  size_t width = 0;
  for (const char *p = text; *p; p++) {
    unsigned char c = (unsigned char)*p;
    buf_char(&t->cells, c < 0x20 || c == 0x7f ? '?' : *p);
    width += (c & 0xc0) != 0x80;
  }
  buf_char(&t->cells, 0);
  if (width > t->width[column]) t->width[column] = width;
}

static void cell_int(struct table *t, const cJSON *v) {
  char text[32] = "-";
  if (cJSON_IsNumber(v)) snprintf(text, sizeof text, "%.0f", v->valuedouble);
  cell(t, text);
}

static size_t width_of(const char *text) {
  size_t n = 0;
  for (; *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
  return n;
}

static void print_table(struct table *t, struct buf *out) {
  const char *p = t->cells.data;
  for (size_t i = 0; p && i < t->n; i++, p += strlen(p) + 1) {
    size_t column = i % t->columns;
    buf_str(out, p);
    bool last = column + 1 == t->columns;
    for (size_t n = width_of(p); !last && n < t->width[column] + 2; n++) buf_char(out, ' ');
    if (last) {
      while (out->len && out->data[out->len - 1] == ' ') out->len--;
      buf_char(out, '\n');
    }
  }
  buf_free(&t->cells);
}

static void head(struct table *t, const char *const *names) {
  for (size_t i = 0; i < t->columns; i++) cell(t, names[i]);
}

/* --- status ------------------------------------------------------------------------------------------------------ */

static void add_next(const cJSON *next, struct buf *out) {
  if (!cJSON_IsObject(next)) return;
  const cJSON *in = get(next, "in_seconds");
  buf_str(out, str(next, "what", ""));
  if (!cJSON_IsNumber(in)) return;
  buf_str(out, " in ");
  show_duration((int64_t)(in->valuedouble * 1e9) + NS_PER_S / 2, out);
}

static void add_processes(const cJSON *list, int64_t now, struct buf *out) {
  static const char *const names[] = {"PROCESS", "STATE", "PID", "FOR", "RUNS", "RESTARTS", "LAST END", "NEXT"};
  struct table t = {.columns = ARRAY_LEN(names)};
  head(&t, names);
  const cJSON *p;
  cJSON_ArrayForEach(p, list) {
    auto_buf struct buf text = {0};
    const cJSON *instance = get(p, "instance");
    buf_str(&text, str(p, "name", "?"));
    if (cJSON_IsNumber(instance) && instance->valuedouble > 0) buf_fmt(&text, "/%.0f", instance->valuedouble);
    cell(&t, buf_cstr(&text));
    cell(&t, str(p, "state", "-"));
    cell_int(&t, get(p, "pid"));
    buf_clear(&text);
    add_age(p, "since", now, &text);
    cell(&t, buf_cstr(&text));
    cell_int(&t, get(p, "runs"));
    cell_int(&t, get(p, "restarts"));
    cell(&t, str(get(p, "last_exit"), "text", "-"));
    buf_clear(&text);
    add_next(get(p, "next"), &text);
    cell(&t, text.len ? text.data : "-");
  }
  print_table(&t, out);
}

static void add_checks(const char *title, const cJSON *list, int64_t now, struct buf *out) {
  if (!cJSON_GetArraySize(list)) return;
  const char *const names[] = {title, "STATUS", "KIND", "LAST", "DETAIL"};
  struct table t = {.columns = ARRAY_LEN(names)};
  buf_char(out, '\n');
  head(&t, names);
  const cJSON *c;
  cJSON_ArrayForEach(c, list) {
    auto_buf struct buf text = {0};
    buf_str(&text, str(c, "name", "?"));
    if (get(c, "role"))
      buf_fmt(&text, " (%s)", str(c, "role", "?"));
    else if (get(c, "required") && !is_true(c, "required"))
      buf_str(&text, " (optional)");
    cell(&t, buf_cstr(&text));
    cell(&t, str(c, "status", "-"));
    cell(&t, str(c, "kind", "-"));
    buf_clear(&text);
    add_age(c, "at", now, &text);
    if (!STR_EQ(text.data, "-")) buf_str(&text, " ago");
    cell(&t, buf_cstr(&text));
    buf_clear(&text);
    const char *reason = str(c, "reason", "");
    const char *detail = str(c, "detail", "");
    buf_fmt(&text, "%s%s%s", reason, *reason && *detail ? ": " : "", detail);
    cell(&t, buf_cstr(&text));
  }
  print_table(&t, out);
}

void show_status(const cJSON *v, int64_t now, struct buf *out) {
  buf_fmt(out, "%s (%s): %s for ", str(v, "flow", "?"), str(v, "container_id", "?"), str(v, "state", "?"));
  add_age(v, "since", now, out);
  const char *health = str(v, "health", NULL);
  if (health) buf_fmt(out, ", %s", health);
  buf_str(out, is_true(v, "ready") ? ", ready" : ", not ready");
  if (is_true(v, "maintenance")) buf_str(out, ", in maintenance");
  buf_char(out, '\n');
  const char *reason = str(v, "reason", NULL);
  if (reason) buf_fmt(out, "%s\n", reason);
  const cJSON *restarts = get(v, "restarts");
  if (cJSON_IsNumber(restarts) && restarts->valuedouble > 0) buf_fmt(out, "restarts: %.0f\n", restarts->valuedouble);
  if (cJSON_IsObject(get(v, "next"))) {
    buf_str(out, "next: ");
    add_next(get(v, "next"), out);
    buf_char(out, '\n');
  }
  const cJSON *warning;
  cJSON_ArrayForEach(warning, get(v, "warnings")) if (cJSON_IsString(warning))
      buf_fmt(out, "warning: %s\n", warning->valuestring);
  buf_char(out, '\n');
  add_processes(get(v, "processes"), now, out);
  add_checks("DEPENDENCY", get(v, "dependencies"), now, out);
  add_checks("CHECK", get(v, "checks"), now, out);
}

/* --- the others -------------------------------------------------------------------------------------------------- */

enum { DEPTH_MAX = 20 };

void show_why(const cJSON *v, int64_t now, struct buf *out) {
  buf_fmt(out, "%s: %s\n", str(v, "state", "?"), str(v, "answer", "?"));
  int depth = -1;
  const cJSON *link;
  cJSON_ArrayForEach(link, get(v, "chain")) {
    const cJSON *deep = get(link, "depth"); /* where it is missing, each causes the one before */
    depth = (int)fmin(cJSON_IsNumber(deep) ? fmax(deep->valuedouble, 0) : depth + 1, DEPTH_MAX);
    buf_fmt(out, "%*s%s%s", 2 + 2 * depth, "", depth > 0 ? "because " : "", str(link, "what", "?"));
    if (cJSON_IsString(get(link, "at"))) {
      buf_str(out, " (");
      add_age(link, "at", now, out);
      buf_str(out, " ago)");
    }
    buf_char(out, '\n');
  }
  const cJSON *next;
  cJSON_ArrayForEach(next, get(v, "next")) {
    const cJSON *left = get(next, "in_seconds");
    buf_fmt(out, "next: %s in %.0f s\n", str(next, "what", "?"), cJSON_IsNumber(left) ? left->valuedouble : 0);
  }
}

void show_health(const cJSON *v, int64_t now, struct buf *out) {
  (void)now;
  buf_fmt(out, "%s\n", str(v, "status", "unknown"));
  const cJSON *reason;
  cJSON_ArrayForEach(reason, get(v, "reasons")) if (cJSON_IsString(reason)) buf_fmt(out, "  %s\n", reason->valuestring);
}

/* One run: its result, and what it found. */
void show_check(const cJSON *v, int64_t now, struct buf *out) {
  (void)now;
  const char *reason = str(v, "reason", ""), *detail = str(v, "detail", "");
  const cJSON *ms = get(v, "duration_ms"), *fact;
  buf_fmt(out, "%s: %s", str(v, "check", "?"), str(v, "result", "unknown"));
  if (cJSON_IsNumber(ms)) buf_fmt(out, " after %.1f ms", ms->valuedouble);
  if (*reason || *detail) buf_fmt(out, ": %s%s%s", reason, *reason && *detail ? ", " : "", detail);
  buf_char(out, '\n');
  cJSON_ArrayForEach(fact, get(v, "data")) {
    struct json j = JSON_INIT(out);
    buf_fmt(out, "  %s ", fact->string ? fact->string : "-");
    json_value(&j, NULL, fact);
    buf_char(out, '\n');
  }
}

void show_metrics(const cJSON *v, int64_t now, struct buf *out) {
  (void)now;
  const cJSON *item;
  cJSON_ArrayForEach(item, v) {
    struct json j = JSON_INIT(out);
    buf_fmt(out, "%-26s ", item->string);
    if (cJSON_IsNull(item))
      buf_char(out, '-');
    else
      json_value(&j, NULL, item);
    buf_char(out, '\n');
  }
}

void show_level(const cJSON *v, int64_t now, struct buf *out) {
  (void)now;
  const char *before = str(v, "before", NULL);
  buf_str(out, str(v, "level", "?"));
  if (before) buf_fmt(out, ", was %s", before);
  buf_char(out, '\n');
}

void show_text(const cJSON *v, int64_t now, struct buf *out) {
  (void)now;
  buf_str(out, cJSON_IsString(v) ? v->valuestring : str(v, "text", ""));
}

/* A word, {"message"}, or how tend has ended: {"exit_code", "graceful"}. */
void show_message(const cJSON *v, int64_t now, struct buf *out) {
  (void)now;
  const cJSON *code = get(v, "exit_code");
  if (cJSON_IsNumber(code))
    buf_fmt(out, "tend ends with code %.0f%s\n", code->valuedouble, is_true(v, "graceful") ? "" : ", not gracefully");
  else
    buf_fmt(out, "%s\n", cJSON_IsString(v) ? v->valuestring : str(v, "message", "done"));
  const cJSON *line;
  cJSON_ArrayForEach(line, get(v, "lines")) buf_fmt(out, "%s\n", cJSON_IsString(line) ? line->valuestring : "");
}

void show_event(const cJSON *v, bool colour, struct buf *out) {
  const char *name = str(v, "event", "");
  unsigned kind = 0;
  while (kind < EVENT_KINDS && !STR_EQ(name, event_name((enum event_kind)kind))) kind++;
  const cJSON *duration = get(v, "duration_ms");
  struct event e = {.real_ns = time_at(v, "timestamp"),
                    .level = LEVEL_INFO,
                    .duration_ns = cJSON_IsNumber(duration) ? (int64_t)duration->valuedouble * NS_PER_MS : -1,
                    .message = str(v, "message", NULL)};
  auto_buf struct buf details = {0};
  struct json j = JSON_INIT(&details);
  json_value(&j, NULL, get(v, "details"));
  e.details = buf_cstr(&details);
  /* one of a script's own, else of a newer engine: as it is */
  bool custom = kind == EVENT_KINDS && STR_EQ(str(v, "component", ""), event_component(EVENT_CUSTOM));
  if ((kind == EVENT_KINDS && !custom) || level_parse(str(v, "level", ""), &e.level)) {
    j = (struct json)JSON_INIT(out);
    json_value(&j, NULL, v);
  } else {
    e.kind = custom ? EVENT_CUSTOM : (enum event_kind)kind;
    e.name = name;
    event_pretty(&e, colour, out);
  }
  buf_char(out, '\n');
}
