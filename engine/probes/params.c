#include "probes/params.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"

const cJSON *probe_params_json(const struct tend_params *params) { return (const cJSON *)params; }
const struct tend_params *probe_params_of(const cJSON *params) { return (const struct tend_params *)params; }

static const cJSON *get(const struct tend_params *params, const char *name) {
  return cJSON_GetObjectItemCaseSensitive(probe_params_json(params), name);
}

const char *probe_param_text(const struct tend_params *params, const char *name) {
  return cJSON_GetStringValue(get(params, name));
}

double probe_param_number(const struct tend_params *params, const char *name, double fallback) {
  const cJSON *v = get(params, name);
  return cJSON_IsNumber(v) ? v->valuedouble : fallback;
}

bool probe_param_bool(const struct tend_params *params, const char *name, bool fallback) {
  const cJSON *v = get(params, name);
  return cJSON_IsBool(v) ? cJSON_IsTrue(v) : fallback;
}

static bool duration_of(const cJSON *v, int64_t *ns) {
  if (cJSON_IsString(v)) return str_duration(v->valuestring, NS_PER_S, ns) == 0;
  if (!cJSON_IsNumber(v) || !(v->valuedouble >= 0) || v->valuedouble > 1e9) return false;
  *ns = (int64_t)(v->valuedouble * (double)NS_PER_S);
  return true;
}

int64_t probe_param_ns(const struct tend_params *params, const char *name, int64_t fallback) {
  int64_t ns;
  return duration_of(get(params, name), &ns) ? ns : fallback;
}

static const char *plain(const cJSON *v, char *buf, size_t size) {
  if (cJSON_IsString(v)) return v->valuestring;
  if (cJSON_IsBool(v)) return cJSON_IsTrue(v) ? "true" : "false";
  if (!cJSON_IsNumber(v)) return NULL;
  double d = v->valuedouble + 0.0; /* no sign of a zero */
  snprintf(buf, size, "%.15g", d);
  if (strtod(buf, NULL) != d) snprintf(buf, size, "%.17g", d);
  return buf;
}

const char *probe_param_item(const struct tend_params *params, const char *name, size_t i, const char **key, char *buf,
                             size_t size) {
  const cJSON *v = get(params, name);
  *key = NULL;
  if (cJSON_IsArray(v) || cJSON_IsObject(v)) {
    for (v = v->child; v && i; i--) v = v->next;
    if (!v) return NULL;
    *key = v->string;
    const char *text = plain(v, buf, size);
    return text || *key ? text : "";
  } else if (i) {
    return NULL;
  }
  return v ? plain(v, buf, size) : NULL;
}

/* A zero in a text would be its end to us: another sign that nobody asks for, U+FFFD, takes its place. */
static void replace_zeros(char *text, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (text[i] == 0) text[i] = '?';
    if (text[i] != '\\') continue;
    if (n - i >= 6 && memcmp(text + i + 1, "u0000", 5) == 0) memcpy(text + i + 2, "fffd", 4);
    i++;
  }
}

int probe_json_find(const char *text, size_t n, const char *path, char *out, size_t size) {
  auto_json cJSON *document = NULL;
  auto_buf struct buf copy = {0};
  if (json_has_nul(text, n)) {
    buf_add(&copy, text, n);
    if (copy.failed) return -1;
    replace_zeros(copy.data, copy.len);
    text = copy.data;
  }
  if (json_parse(text, n, "answer", &document, NULL)) return -1;
  const cJSON *v = document;
  for (const char *p = path; v && *p;) {
    char key[128];
    size_t len = strcspn(p, ".");
    snprintf(key, sizeof key, "%.*s", (int)len, p);
    int64_t index;
    if (!cJSON_IsArray(v))
      v = cJSON_GetObjectItemCaseSensitive(v, key);
    else
      v = str_int(key, 0, INT32_MAX, &index) == 0 ? cJSON_GetArrayItem(v, (int)index) : NULL;
    p += len + (p[len] == '.');
  }
  char number[32];
  const char *found = v ? cJSON_IsNull(v) ? "null" : plain(v, number, sizeof number) : NULL;
  if (!found) return 0;
  str_copy(out, size, found);
  return 1;
}

/* A value as people wrote it, short. */
static const char *shown(const cJSON *v, struct buf *b) {
  struct json j = JSON_INIT(b);
  if (cJSON_IsObject(v) || cJSON_IsArray(v))
    buf_str(b, cJSON_IsObject(v) ? "a table" : v->child ? "a list" : "an empty list");
  else
    json_value(&j, NULL, v);
  if (b->len > 80) {
    b->len = 77;
    buf_str(b, "...");
  }
  return buf_cstr(b);
}

static bool command_ok(const cJSON *v) {
  if (cJSON_IsString(v)) return v->valuestring[0] != 0;
  if (!cJSON_IsArray(v) || !v->child) return false;
  const cJSON *item;
  cJSON_ArrayForEach(item, v) if (!cJSON_IsString(item)) return false;
  return v->child->valuestring[0] != 0;
}

static int check_value(const struct tend_param *p, const cJSON *v, struct err *err) {
  auto_buf struct buf b = {0};
  int64_t ns;
  double d = cJSON_IsNumber(v) ? v->valuedouble : NAN;
  bool bounded = p->min || p->max;
  switch (p->type) {
    case TEND_TEXT:
      if (cJSON_IsString(v) && v->valuestring[0]) return 0;
      return err_set(err, -EINVAL, "%s: expected a text that is not empty, got %s", p->name, shown(v, &b));
    case TEND_INTEGER:
      if (d == floor(d) && fabs(d) < 9e15 && (!bounded || (d >= (double)p->min && d <= (double)p->max))) return 0;
      if (bounded)
        return err_set(err, -EINVAL, "%s: expected a whole number from %" PRId64 " to %" PRId64 ", got %s", p->name,
                       p->min, p->max, shown(v, &b));
      return err_set(err, -EINVAL, "%s: expected a whole number, got %s", p->name, shown(v, &b));
    case TEND_BOOL:
      if (cJSON_IsBool(v)) return 0;
      return err_set(err, -EINVAL, "%s: expected true or false, got %s", p->name, shown(v, &b));
    case TEND_DURATION:
      if (duration_of(v, &ns)) return 0;
      return err_set(err, -EINVAL, "%s: expected seconds, or a text such as \"250ms\" or \"5m\", got %s", p->name,
                     shown(v, &b));
    case TEND_COMMAND:
      if (command_ok(v)) return 0;
      return err_set(err, -EINVAL, "%s: expected a shell line or a list of texts, not empty, got %s", p->name,
                     shown(v, &b));
    case TEND_ANY:
      break;
  }
  return 0;
}

static const struct tend_param *find(const struct tend_param *table, const char *name) {
  for (const struct tend_param *p = table; p->name; p++)
    if (STR_EQ(p->name, name)) return p;
  return NULL;
}

static int unknown(const struct tend_param *table, const char *name, struct err *err) {
  const char *names[32];
  size_t n = 0;
  auto_buf struct buf list = {0};
  for (const struct tend_param *p = table; p->name; p++) {
    buf_fmt(&list, "%s%s", n ? ", " : "", p->name);
    if (n < ARRAY_LEN(names)) names[n++] = p->name;
  }
  const char *near = str_nearest(name, names, n);
  if (near) return err_set(err, -EINVAL, "%s: unknown parameter; did you mean \"%s\"?", name, near);
  return err_set(err, -EINVAL, "%s: unknown parameter; there are %s", name, buf_cstr(&list));
}

int probe_params_check(const struct tend_param *table, const cJSON *params, struct err *err) {
  /* a Lua table without anything in it may come as either */
  bool empty = !params || cJSON_IsNull(params) || (cJSON_IsArray(params) && !params->child);
  if (!empty && !cJSON_IsObject(params)) return err_set(err, -EINVAL, "expected a table of parameters");
  const cJSON *v;
  if (!empty) cJSON_ArrayForEach(v, params) {
      const struct tend_param *p = find(table, v->string);
      if (!p) return unknown(table, v->string, err);
      int rc = cJSON_IsNull(v) ? 0 : check_value(p, v, err);
      if (rc) return rc;
    }
  for (const struct tend_param *p = table; p->name; p++) {
    if (!p->required) continue;
    v = empty ? NULL : cJSON_GetObjectItemCaseSensitive(params, p->name);
    if (!v || cJSON_IsNull(v)) return err_set(err, -EINVAL, "%s: required (%s)", p->name, p->doc);
  }
  return 0;
}
