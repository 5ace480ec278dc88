/* An event as people read it: one line, and one more for each of the things that are wrong. */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/event.h"
#include "core/problem.h"

static const char *const level_colours[] = {"\033[2m", "\033[32m", "\033[33m", "\033[31m", "\033[1;31m"};

/* Text as it is, but for control characters (also the C1 ones, which terminals obey) and broken UTF-8. */
static void add_shown(struct buf *out, const char *s, size_t n) {
  for (size_t i = 0; i < n;) {
    size_t k = str_utf8_len(s + i, n - i);
    unsigned char c = (unsigned char)s[i];
    bool c1 = k == 2 && c == 0xc2 && (unsigned char)s[i + 1] < 0xa0;
    if (k && c >= 0x20 && c != 0x7f && !c1) {
      buf_add(out, s + i, k);
    } else if (c == '\n') {
      buf_str(out, "\\n");
    } else if (c == '\t') {
      buf_char(out, ' ');
    } else {
      for (size_t b = i; b < i + (k ? k : 1); b++) buf_fmt(out, "\\x%02x", (unsigned char)s[b]);
    }
    i += k ? k : 1;
  }
}

static void add_value(struct buf *out, const cJSON *v) {
  if (cJSON_IsString(v)) {
    const char *s = v->valuestring;
    bool quote = !*s || strpbrk(s, " \"=");
    if (quote) buf_char(out, '"');
    add_shown(out, s, strlen(s));
    if (quote) buf_char(out, '"');
  } else {
    auto_buf struct buf text = {0};
    struct json j = JSON_INIT(&text);
    json_value(&j, NULL, v);
    add_shown(out, buf_cstr(&text), text.len);
  }
}

/* A list of things, each of which is a table: the failures of a validation. */
static bool is_list_of_tables(const cJSON *v) { return cJSON_IsArray(v) && cJSON_IsObject(v->child); }

static const char *text_of(const cJSON *table, const char *key) {
  return cJSON_GetStringValue(cJSON_GetObjectItem(table, key));
}

/* Each on a line of its own. */
static void add_tables(struct buf *out, const cJSON *list) {
  const cJSON *item;
  cJSON_ArrayForEach(item, list) {
    auto_buf struct buf text = {0};
    if (text_of(item, "name") && text_of(item, "allowed")) {
      problem_text(&(struct problem){.name = text_of(item, "name"),
                                     .value = text_of(item, "value"),
                                     .source = text_of(item, "source"),
                                     .allowed = text_of(item, "allowed"),
                                     .fix = text_of(item, "fix")},
                   &text);
    } else {
      struct json j = JSON_INIT(&text);
      json_value(&j, NULL, item);
    }
    buf_str(out, "\n    ");
    add_shown(out, buf_cstr(&text), text.len);
  }
}

static void add_details(struct buf *out, const cJSON *details, const char *dim, const char *off) {
  const cJSON *item;
  cJSON_ArrayForEach(item, details) {
    bool empty = (cJSON_IsArray(item) || cJSON_IsObject(item)) && !item->child;
    if (cJSON_IsNull(item) || empty || is_list_of_tables(item)) continue;
    buf_fmt(out, " %s", dim);
    add_shown(out, item->string ? item->string : "", item->string ? strlen(item->string) : 0);
    buf_fmt(out, "=%s", off);
    add_value(out, item);
  }
  cJSON_ArrayForEach(item, details) if (is_list_of_tables(item)) add_tables(out, item);
}

void event_pretty(const struct event *e, bool colour, struct buf *out) {
  auto_json cJSON *details = NULL;
  if (e->details && json_parse(e->details, strlen(e->details), "details", &details, NULL) != 0) details = NULL;
  char time[CLOCK_TEXT_MAX];
  clock_format(e->real_ns, time);
  const char *dim = colour ? "\033[2m" : "";
  const char *off = colour ? "\033[0m" : "";
  buf_fmt(out, "%s%.12s%s ", dim, time + sizeof "2026-01-15T" - 1, off);
  buf_fmt(out, "%s%-8s%s ", colour ? level_colours[e->level] : "", level_name(e->level), off);
  buf_fmt(out, "%s%s%s", colour ? "\033[1m" : "", event_title(e), off);
  /* the message of one with failures is made of them */
  if (e->message && !is_list_of_tables(cJSON_GetObjectItem(details, "failures"))) {
    buf_str(out, ": ");
    add_shown(out, e->message, event_message_len(e->message));
  }
  if (e->duration_ns >= 0) buf_fmt(out, " %sduration_ms=%s%.0f", dim, off, (double)e->duration_ns / (double)NS_PER_MS);
  add_details(out, details, dim, off);
}
