#include "core/plan_read.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/str.h"

/* More problems than PROBLEMS_MAX help nobody, and each costs a look through the file. */
enum { VALUE_SHOWN_MAX = 80, PROBLEMS_MAX = 50 };

void at_path(const struct at *at, struct buf *out) {
  if (!at) return;
  at_path(at->up, out);
  if (!at->key)
    buf_fmt(out, "[%zu]", at->index + 1);
  else if (plan_name_valid(at->key) && !strpbrk(at->key, ".-"))
    buf_fmt(out, "%s%s", out->len ? "." : "", at->key);
  else {
    buf_char(out, '[');
    size_t n = strlen(at->key);
    json_quote(out, at->key, n > VALUE_SHOWN_MAX ? VALUE_SHOWN_MAX : n);
    if (n > VALUE_SHOWN_MAX) buf_str(out, "...");
    buf_char(out, ']');
  }
}

static void origin(struct plan_reader *r, const char *path, struct buf *out) {
  int line = r->options->locate ? r->options->locate(r->options->locate_arg, path) : 0;
  buf_str(out, r->options->file ? r->options->file : "flow");
  if (line > 0) buf_fmt(out, ":%d", line);
}

const char *plan_origin(struct plan_reader *r, const struct at *at) {
  auto_buf struct buf path = {0};
  auto_buf struct buf text = {0};
  at_path(at, &path);
  origin(r, buf_cstr(&path), &text);
  return plan_text(r, buf_cstr(&text));
}

/* The value in short: scalars as they are, the rest by its type. */
static void show_value(const cJSON *v, struct buf *out) {
  if (cJSON_IsString(v)) {
    size_t n = strlen(v->valuestring);
    json_quote(out, v->valuestring, n > VALUE_SHOWN_MAX ? VALUE_SHOWN_MAX : n);
    if (n > VALUE_SHOWN_MAX) buf_str(out, "...");
  } else if (cJSON_IsNumber(v)) {
    buf_fmt(out, "%.15g", v->valuedouble);
  } else if (cJSON_IsBool(v)) {
    buf_str(out, cJSON_IsTrue(v) ? "true" : "false");
  } else if (cJSON_IsArray(v)) {
    buf_str(out, v->child ? "a list" : "{}");
  } else if (json_fn(v)) {
    buf_str(out, "a function");
  } else if (cJSON_IsObject(v)) {
    buf_str(out, v->child ? "a table" : "{}");
  } else {
    buf_str(out, "nil");
  }
}

void plan_problem(struct plan_reader *r, const struct at *at, const cJSON *value, const char *allowed,
                  const char *fix_fmt, ...) {
  if (r->told++ >= PROBLEMS_MAX) return;
  auto_buf struct buf path = {0};
  auto_buf struct buf shown = {0};
  auto_buf struct buf source = {0};
  auto_buf struct buf fix = {0};
  at_path(at, &path);
  if (value) show_value(value, &shown);
  origin(r, buf_cstr(&path), &source);
  va_list ap;
  va_start(ap, fix_fmt);
  buf_vfmt(&fix, fix_fmt, ap);
  va_end(ap);
  problems_add(r->problems, &(struct problem){
                                .class = PROBLEM_CONFIG,
                                .check = "flow_file",
                                .name = path.len ? path.data : "the flow",
                                .value = value ? shown.data : NULL,
                                .source = source.data,
                                .allowed = allowed,
                                .fix = fix.len ? fix.data : NULL,
                            });
}

void read_keys(struct plan_reader *r, const struct at *at, const cJSON *object, const char *const *keys, size_t n) {
  const cJSON *v;
  cJSON_ArrayForEach(v, object) {
    const char *name = v->string ? v->string : "";
    bool known = STR_EQ(name, "$probe") && json_fn(v); /* of the scripts, see plan_check.c */
    for (size_t i = 0; i < n && !known; i++) known = STR_EQ(name, keys[i]);
    if (!known) {
      const char *near = str_nearest(name, keys, n);
      auto_buf struct buf all = {0};
      for (size_t i = 0; i < n; i++) buf_fmt(&all, "%s%s", i ? ", " : "one of ", keys[i]);
      if (near)
        plan_problem(r, AT_KEY(at, name), NULL, buf_cstr(&all), "unknown key: did you mean \"%s\"?", near);
      else
        plan_problem(r, AT_KEY(at, name), NULL, buf_cstr(&all), "unknown key: remove it");
    }
  }
}

const cJSON *read_get(const cJSON *object, const char *key) {
  if (!cJSON_IsObject(object)) return NULL;
  const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, key);
  return !v || cJSON_IsNull(v) ? NULL : v;
}

const cJSON *read_list(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key, size_t max) {
  const cJSON *v = read_get(object, key);
  if (!v) return NULL;
  if (!cJSON_IsArray(v) && !(cJSON_IsObject(v) && !v->child)) {
    plan_problem(r, AT_KEY(at, key), v, "a list", "write %s = { ..., ... }", key);
    return NULL;
  }
  if ((size_t)cJSON_GetArraySize(v) > max) {
    plan_problem(r, AT_KEY(at, key), NULL, "a shorter list", "it has %d entries, %zu are possible",
                 cJSON_GetArraySize(v), max);
    return NULL;
  }
  return v;
}

const cJSON *read_object(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key) {
  const cJSON *v = read_get(object, key);
  if (!v) return NULL;
  bool table = cJSON_IsObject(v) ? !json_fn(v) : cJSON_IsArray(v) && !v->child;
  if (table) return v;
  plan_problem(r, AT_KEY(at, key), v, "a table with names", "write %s = { name = ... }", key);
  return NULL;
}

bool read_text(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key, const char **out) {
  const cJSON *v = read_get(object, key);
  if (!v) return false;
  if (!cJSON_IsString(v) || !v->valuestring[0]) {
    plan_problem(r, AT_KEY(at, key), v, "text that is not empty", "write %s = \"...\"", key);
    return false;
  }
  *out = plan_text(r, v->valuestring);
  return true;
}

bool read_path(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key, const char **out) {
  const char *path;
  if (!read_text(r, at, object, key, &path)) return false;
  if (strlen(path) >= 4096) {
    plan_problem(r, AT_KEY(at, key), read_get(object, key), "a path of less than 4096 bytes", "shorten it");
    return false;
  }
  *out = path;
  return true;
}

bool read_bool(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key, bool *out) {
  const cJSON *v = read_get(object, key);
  if (!v) return false;
  if (!cJSON_IsBool(v)) {
    plan_problem(r, AT_KEY(at, key), v, "true or false", "write it without quotes");
    return false;
  }
  *out = cJSON_IsTrue(v);
  return true;
}

static bool out_of_bounds(struct plan_reader *r, const struct at *at, const char *key, const cJSON *v, const char *kind,
                          double from, double to) {
  char allowed[64];
  snprintf(allowed, sizeof(allowed), "a %s from %.10g to %.10g", kind, from, to);
  plan_problem(r, AT_KEY(at, key), v, allowed, "%s", cJSON_IsString(v) ? "write the number without quotes" : "");
  return false;
}

bool read_int(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key, int min, int max,
              int *out) {
  const cJSON *v = read_get(object, key);
  if (!v) return false;
  double d = cJSON_IsNumber(v) ? v->valuedouble : NAN;
  if (!(d >= min && d <= max) || d != floor(d)) return out_of_bounds(r, at, key, v, "whole number", min, max);
  *out = (int)d;
  return true;
}

bool read_number(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key, double min,
                 double max, double *out) {
  const cJSON *v = read_get(object, key);
  if (!v) return false;
  double d = cJSON_IsNumber(v) ? v->valuedouble : NAN;
  if (!(d >= min && d <= max)) return out_of_bounds(r, at, key, v, "number", min, max);
  *out = d;
  return true;
}

bool read_duration(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key, int64_t min_ns,
                   int64_t max_ns, int64_t *out_ns) {
  const cJSON *v = read_get(object, key);
  if (!v) return false;
  int64_t ns = -1;
  if (cJSON_IsNumber(v) && v->valuedouble >= 0 && v->valuedouble < 1e9)
    ns = (int64_t)llround(v->valuedouble * 1e9);
  else if (cJSON_IsString(v) && str_duration(v->valuestring, NS_PER_S, &ns) < 0)
    ns = -1;
  if (ns < min_ns || ns > max_ns) {
    char from[32], to[32], allowed[128];
    snprintf(allowed, sizeof(allowed), "seconds as a number, or text like \"250ms\", \"10s\", \"5m\"; from %s to %s",
             str_format_duration(min_ns, from, sizeof(from)), str_format_duration(max_ns, to, sizeof(to)));
    plan_problem(r, AT_KEY(at, key), v, allowed, "%s", "");
    return false;
  }
  *out_ns = ns;
  return true;
}

bool read_choice(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key,
                 const char *const *choices, size_t n, int *out) {
  const cJSON *v = read_get(object, key);
  if (!v) return false;
  for (size_t i = 0; cJSON_IsString(v) && i < n; i++)
    if (STR_EQ(v->valuestring, choices[i])) {
      *out = (int)i;
      return true;
    }
  const char *near = cJSON_IsString(v) ? str_nearest(v->valuestring, choices, n) : NULL;
  auto_buf struct buf all = {0};
  for (size_t i = 0; i < n; i++) buf_fmt(&all, "%s%s", i ? ", " : "one of ", choices[i]);
  plan_problem(r, AT_KEY(at, key), v, buf_cstr(&all), near ? "did you mean \"%s\"?" : "%s", near ? near : "");
  return false;
}

bool read_signal(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key, int *out) {
  const cJSON *v = read_get(object, key);
  if (!v) return false;
  int sig = 0;
  if (cJSON_IsString(v)) sig = str_signal(v->valuestring);
  if (cJSON_IsNumber(v) && v->valuedouble >= 1 && v->valuedouble <= 64 && v->valuedouble == floor(v->valuedouble))
    sig = (int)v->valuedouble;
  if (sig < 1 || sig > 64) {
    plan_problem(r, AT_KEY(at, key), v, "a signal by name (\"TERM\", \"RTMIN+3\") or number", "%s", "");
    return false;
  }
  *out = sig;
  return true;
}

bool read_fn(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key, int *out) {
  const cJSON *v = read_get(object, key);
  if (!v) return false;
  int fn = json_fn(v);
  if (!fn) {
    plan_problem(r, AT_KEY(at, key), v, "a function", "give the function itself, not the result of a call");
    return false;
  }
  *out = fn;
  return true;
}

/* One code or range of codes. */
static bool add_codes(const cJSON *v, uint64_t set[4]) {
  int64_t from, to;
  if (cJSON_IsNumber(v)) {
    if (!(v->valuedouble >= 0 && v->valuedouble <= 255) || v->valuedouble != floor(v->valuedouble)) return false;
    from = to = (int64_t)v->valuedouble;
  } else if (cJSON_IsString(v)) {
    char text[16];
    if (!str_copy(text, sizeof(text), v->valuestring)) return false;
    char *dash = strchr(text, '-');
    if (dash) *dash = '\0';
    if (str_int(text, 0, 255, &from) < 0 || str_int(dash ? dash + 1 : text, from, 255, &to) < 0) return false;
  } else {
    return false;
  }
  for (int64_t i = from; i <= to; i++) set[i / 64] |= UINT64_C(1) << (i % 64);
  return true;
}

bool read_codes(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key, uint64_t set[4]) {
  static const char allowed[] = "exit codes from 0 to 255: a number, a range like \"64-78\", or a list of them";
  const cJSON *v = read_get(object, key);
  if (!v) return false;
  if (!cJSON_IsArray(v)) {
    if (add_codes(v, set)) return true;
    plan_problem(r, AT_KEY(at, key), v, allowed, "%s", "");
    return false;
  }
  const struct at here = {.up = at, .key = key};
  bool good = v->child != NULL;
  size_t i = 0;
  const cJSON *e;
  cJSON_ArrayForEach(e, v) {
    if (!add_codes(e, set)) {
      plan_problem(r, AT_INDEX(&here, i), e, allowed, "%s", "");
      good = false;
    }
    i++;
  }
  if (!v->child) plan_problem(r, &here, v, allowed, "an empty list matches nothing: remove it");
  return good;
}

int json_fn(const cJSON *v) {
  const cJSON *fn = cJSON_IsObject(v) ? cJSON_GetObjectItemCaseSensitive(v, "$fn") : NULL;
  if (!fn || !cJSON_IsNumber(fn) || !(fn->valuedouble >= 1 && fn->valuedouble <= INT32_MAX)) return PLAN_NO_FN;
  return (int)fn->valuedouble;
}

bool plan_name_valid(const char *name) {
  static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
  size_t n = strlen(name);
  return n > 0 && n < LIMIT_NAME && strspn(name, chars) == n && name[0] != '.' && name[0] != '-';
}

bool plan_check_name(struct plan_reader *r, const struct at *at, const char *name) {
  if (plan_name_valid(name)) return true;
  const cJSON shown = {.type = cJSON_String, .valuestring = (char *)name};
  plan_problem(r, at, &shown,
               "a name of at most 63 letters, digits, '_', '.' and '-' that begins with none of the last two", "%s",
               "");
  return false;
}
