#include "base/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* What is plain from the first byte to the last, with `before` and `after` around it: keys, and most values. */
static bool put_plain(struct buf *b, const char *before, const char *s, size_t n, const char *after) {
  if (str_plain(s, n) != n) return false;
  size_t k = strlen(before), m = strlen(after);
  char *to = buf_room(b, k + n + m);
  if (!to) return true; /* it has failed, as anything else would */
  memcpy(to, before, k);
  if (n) memcpy(to + k, s, n);
  memcpy(to + k + n, after, m + 1);
  b->len += k + n + m;
  return true;
}

void json_quote(struct buf *b, const char *s, size_t n) {
  if (put_plain(b, "\"", s, n, "\"")) return;
  buf_char(b, '"');
  size_t plain = 0; /* bytes before s + i that can be copied as they are start here */
  size_t i = 0;
  while (i < n) {
    i += str_plain(s + i, n - i);
    if (i == n) break;
    unsigned char c = (unsigned char)s[i];
    size_t k = str_utf8_len(s + i, n - i);
    if (k && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
      i += k;
      continue;
    }
    buf_add(b, s + plain, i - plain);
    if (c == '"' || c == '\\')
      buf_add(b, (const char[]){'\\', (char)c}, 2);
    else if (c == '\n')
      buf_str(b, "\\n");
    else if (c == '\t')
      buf_str(b, "\\t");
    else if (c == '\r')
      buf_str(b, "\\r");
    else if (k)
      buf_fmt(b, "\\u%04x", c);
    else
      buf_str(b, "\xef\xbf\xbd");
    plain = ++i;
  }
  buf_add(b, s + plain, n - plain);
  buf_char(b, '"');
}

static void begin(struct json *j, const char *key) {
  bool first = j->first;
  j->first = false;
  if (key && put_plain(j->out, first ? "\"" : ", \"", key, strlen(key), "\": ")) return;
  if (!first) buf_str(j->out, ", ");
  if (key) {
    json_quote(j->out, key, strlen(key));
    buf_str(j->out, ": ");
  }
}

static void nest(struct json *j, const char *key, char c) {
  begin(j, key);
  buf_char(j->out, c);
  j->first = true;
}

static void unnest(struct json *j, char c) {
  buf_char(j->out, c);
  j->first = false;
}

void json_object(struct json *j, const char *key) { nest(j, key, '{'); }
void json_object_end(struct json *j) { unnest(j, '}'); }
void json_array(struct json *j, const char *key) { nest(j, key, '['); }
void json_array_end(struct json *j) { unnest(j, ']'); }

void json_strn(struct json *j, const char *key, const char *s, size_t n) {
  begin(j, key);
  json_quote(j->out, s, n);
}

void json_str(struct json *j, const char *key, const char *s) {
  if (s)
    json_strn(j, key, s, strlen(s));
  else
    json_null(j, key);
}

void json_fmt(struct json *j, const char *key, const char *fmt, ...) {
  auto_buf struct buf b = {0};
  va_list ap;
  va_start(ap, fmt);
  buf_vfmt(&b, fmt, ap);
  va_end(ap);
  json_strn(j, key, buf_cstr(&b), b.len);
}

/* Digits are written here: every event has numbers, and printf is slow with them. */
static char *put_digits(char *end, uint64_t v) {
  do *--end = (char)('0' + v % 10);
  while (v /= 10);
  return end;
}

static void put_int(struct buf *out, int64_t v) {
  char text[24];
  char *end = text + sizeof text;
  char *p = put_digits(end, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
  if (v < 0) *--p = '-';
  buf_add(out, p, (size_t)(end - p));
}

/* A number with six decimals at most, as times have them; false: it has more. */
static bool put_short(struct buf *out, double v) {
  enum { MILLION = 1000000 };
  int64_t millionths = fabs(v) < 1e9 ? (int64_t)(v * MILLION + (v < 0 ? -0.5 : 0.5)) : 0;
  if ((double)millionths / MILLION != v) return false;
  char text[32];
  char *end = text + sizeof text;
  uint64_t n = (uint64_t)llabs(millionths);
  char *p = put_digits(end, n % MILLION + MILLION); /* its first digit gives way to the point */
  *p = '.';
  p = put_digits(p, n / MILLION);
  if (v < 0) *--p = '-';
  while (end[-1] == '0') end--;
  buf_add(out, p, (size_t)(end - p));
  return true;
}

void json_int(struct json *j, const char *key, int64_t v) {
  begin(j, key);
  put_int(j->out, v);
}

void json_num(struct json *j, const char *key, double v) {
  begin(j, key);
  if (!isfinite(v)) {
    buf_str(j->out, "null");
    return;
  }
  if (fabs(v) < 1e15 && v == (double)(int64_t)v) {
    put_int(j->out, (int64_t)v);
    return;
  }
  if (put_short(j->out, v)) return;
  char text[32]; /* the shortest form that reads back as the same number */
  for (int digits = 6; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, v);
    if (strtod(text, NULL) == v) break;
  }
  buf_str(j->out, text);
}

void json_bool(struct json *j, const char *key, bool v) {
  begin(j, key);
  buf_str(j->out, v ? "true" : "false");
}

void json_null(struct json *j, const char *key) {
  begin(j, key);
  buf_str(j->out, "null");
}

void json_raw(struct json *j, const char *key, const char *json, size_t n) {
  begin(j, key);
  buf_add(j->out, json, n);
}
