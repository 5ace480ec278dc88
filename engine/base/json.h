/* JSON (RFC 8259). Writing: straight into a buf, with the separators ", " and ": ", and valid output for any bytes.
 * Reading: cJSON behind limits of size and depth, with errors that name line and column. */
#ifndef TEND_BASE_JSON_H
#define TEND_BASE_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* A writer: json_open/json_close nest; a key precedes each value inside an object (NULL in an array or at
 * the top). Commas are the writer's. */
struct json {
  struct buf *out;
  bool first; /* the next value is the first of its container */
};

#define JSON_INIT(b) \
  { .out = (b), .first = true }

void json_object(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_array(struct json *j, const char *key);
void json_array_end(struct json *j);
void json_str(struct json *j, const char *key, const char *s); /* NULL writes null */
void json_strn(struct json *j, const char *key, const char *s, size_t n);
void json_fmt(struct json *j, const char *key, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void json_int(struct json *j, const char *key, int64_t v);
void json_num(struct json *j, const char *key, double v); /* not finite: null */
void json_bool(struct json *j, const char *key, bool v);
void json_null(struct json *j, const char *key);
void json_raw(struct json *j, const char *key, const char *json, size_t n); /* valid JSON already */
void json_value(struct json *j, const char *key, const cJSON *v);

/* Appends the quoted string: control characters escaped, invalid UTF-8 as U+FFFD. */
void json_quote(struct buf *b, const char *s, size_t n);

/* A text in it has a NUL character, where cJSON would cut it without a word. */
bool json_has_nul(const char *text, size_t n);

/* Parses the whole text. The caller owns *out (cJSON_Delete). `what` names the source in errors. */
int json_parse(const char *text, size_t n, const char *what, cJSON **out, struct err *err);

static inline void clean_json(cJSON **p) { cJSON_Delete(*p); }
#define auto_json __attribute__((cleanup(clean_json)))

#endif
