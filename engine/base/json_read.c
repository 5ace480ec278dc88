/* The half of base/json.h that is linked to cJSON; the other is in programs that do without. */
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/limits.h"

void json_value(struct json *j, const char *key, const cJSON *v) {
  if (!v || cJSON_IsNull(v)) {
    json_null(j, key);
  } else if (cJSON_IsBool(v)) {
    json_bool(j, key, cJSON_IsTrue(v));
  } else if (cJSON_IsNumber(v)) {
    json_num(j, key, v->valuedouble);
  } else if (cJSON_IsString(v)) {
    json_str(j, key, v->valuestring);
  } else {
    bool object = cJSON_IsObject(v);
    (object ? json_object : json_array)(j, key);
    const cJSON *item;
    cJSON_ArrayForEach(item, v) json_value(j, object ? item->string : NULL, item);
    (object ? json_object_end : json_array_end)(j);
  }
}

/* cJSON recurses up to its own limit of 1000; ours is lower and told with a position. */
static int check_depth(const char *text, size_t n, const char *what, struct err *err) {
  int depth = 0;
  int line = 1;
  bool in_string = false;
  for (size_t i = 0; i < n; i++) {
    char c = text[i];
    if (c == '\n') line++;
    if (in_string) {
      if (c == '\\')
        i++;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > LIMIT_JSON_DEPTH)
        return err_set(err, -E2BIG, "%s:%d: JSON nested deeper than %d levels", what, line, LIMIT_JSON_DEPTH);
    } else if (c == '}' || c == ']') {
      depth--;
    }
  }
  return 0;
}

bool json_has_nul(const char *text, size_t n) {
  bool in_string = false;
  for (size_t i = 0; i < n; i++) {
    if (!in_string) {
      in_string = text[i] == '"';
    } else if (text[i] == 0) {
      return true;
    } else if (text[i] == '\\') {
      if (n - i >= 6 && memcmp(text + i + 1, "u0000", 5) == 0) return true;
      i++;
    } else if (text[i] == '"') {
      in_string = false;
    }
  }
  return false;
}

int json_parse(const char *text, size_t n, const char *what, cJSON **out, struct err *err) {
  if (n > LIMIT_JSON_FILE)
    return err_set(err, -E2BIG, "%s: %zu bytes of JSON, at most %d are read", what, n, LIMIT_JSON_FILE);
  int rc = check_depth(text, n, what, err);
  if (rc) return rc;
  const char *end = text;
  cJSON *v = cJSON_ParseWithLengthOpts(text, n, &end, 0);
  if (v) {
    while (end < text + n && (*end == ' ' || *end == '\n' || *end == '\r' || *end == '\t' || *end == 0)) end++;
    if (end == text + n) {
      *out = v;
      return 0;
    }
    cJSON_Delete(v);
  }
  int line = 1;
  int column = 1;
  for (const char *p = text; p < end && p < text + n; p++) {
    column++;
    if (*p == '\n') {
      line++;
      column = 1;
    }
  }
  return err_set(err, -EINVAL, "%s:%d:%d: not valid JSON", what, line, column);
}
