#include "probes/declared.h"

#include <errno.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/str.h"
#include "probes/params.h"

enum { PARAMS_MAX = 32 };

static const struct {
  const char *name;
  enum tend_param_type type;
} types[] = {{"text", TEND_TEXT},         {"integer", TEND_INTEGER}, {"number", TEND_ANY}, {"boolean", TEND_BOOL},
             {"duration", TEND_DURATION}, {"command", TEND_COMMAND}, {"any", TEND_ANY}};

static const cJSON *get(const cJSON *object, const char *key) { return cJSON_GetObjectItemCaseSensitive(object, key); }

static int type_of(const cJSON *parameter) {
  const char *name = cJSON_GetStringValue(get(parameter, "type"));
  for (size_t i = 0; i < ARRAY_LEN(types); i++)
    if (STR_EQ(types[i].name, name ? name : "text")) return (int)i;
  return -1;
}

static bool is_number_type(const cJSON *parameter) { return STR_EQ(types[type_of(parameter)].name, "number"); }

static int64_t bound(const cJSON *parameter, const char *key, int64_t fallback) {
  const cJSON *v = get(parameter, key);
  return cJSON_IsNumber(v) ? (int64_t)v->valuedouble : fallback;
}

/* A row of a kind's table, as those of C have it. */
static struct tend_param row(const cJSON *parameter) {
  bool bounded = get(parameter, "min") || get(parameter, "max");
  const char *doc = cJSON_GetStringValue(get(parameter, "doc"));
  return (struct tend_param){.name = parameter->string,
                             .type = types[type_of(parameter)].type,
                             .required = cJSON_IsTrue(get(parameter, "required")),
                             .min = bounded ? bound(parameter, "min", -(INT64_C(1) << 53)) : 0,
                             .max = bounded ? bound(parameter, "max", INT64_C(1) << 53) : 0,
                             .doc = doc ? doc : "it has no default"};
}

static int check_value(const cJSON *parameter, const cJSON *params, struct err *err) {
  const cJSON *v = get(params, parameter->string);
  if (v && !cJSON_IsNull(v) && is_number_type(parameter) && !cJSON_IsNumber(v))
    return err_set(err, -EINVAL, "%s: expected a number", parameter->string);
  return 0;
}

static int check_parameter(const cJSON *parameter, struct err *err) {
  static const char *const keys[] = {"type", "required", "min", "max", "default", "doc"};
  const char *name = parameter->string ? parameter->string : "";
  if (!cJSON_IsObject(parameter))
    return err_set(err, -EINVAL, "params.%s: expected a table such as { type = \"text\", required = true }", name);
  const cJSON *v;
  cJSON_ArrayForEach(v, parameter) {
    size_t i = 0;
    while (i < ARRAY_LEN(keys) && !STR_EQ(keys[i], v->string)) i++;
    if (i == ARRAY_LEN(keys))
      return err_set(err, -EINVAL, "params.%s.%s: unknown key; there are type, required, min, max, default, doc", name,
                     v->string);
  }
  if (type_of(parameter) < 0)
    return err_set(err, -EINVAL, "params.%s.type: expected text, integer, number, boolean, duration, command or any",
                   name);
  v = get(parameter, "default");
  if (!v) return 0;
  const struct tend_param table[] = {row(parameter), {0}};
  cJSON with = {.type = cJSON_Object};
  cJSON value = *v;
  value.next = value.prev = NULL;
  value.string = parameter->string;
  with.child = &value;
  int rc = probe_params_check(table, &with, err);
  if (!rc) rc = check_value(parameter, &with, err);
  return rc ? err_wrap(err, "params.%s.default", name) : 0;
}

int probe_declaration_check(const cJSON *declaration, struct err *err) {
  if (!declaration || cJSON_IsNull(declaration)) return 0;
  if (!cJSON_IsObject(declaration)) return err_set(err, -EINVAL, "params: expected a table of parameters by name");
  if (cJSON_GetArraySize(declaration) > PARAMS_MAX) return err_set(err, -EINVAL, "params: at most %d", PARAMS_MAX);
  const cJSON *parameter;
  cJSON_ArrayForEach(parameter, declaration) {
    int rc = check_parameter(parameter, err);
    if (rc) return rc;
  }
  return 0;
}

int probe_declared_read(const cJSON *declaration, const cJSON *params, cJSON **out, struct err *err) {
  struct tend_param table[PARAMS_MAX + 1] = {0};
  size_t n = 0;
  const cJSON *p;
  cJSON_ArrayForEach(p, declaration) table[n++] = row(p);
  int rc = probe_params_check(table, params, err);
  cJSON_ArrayForEach(p, declaration) if (!rc) rc = check_value(p, params, err);
  if (rc) return rc;
  auto_json cJSON *all = cJSON_CreateObject();
  cJSON_ArrayForEach(p, declaration) {
    const cJSON *v = get(params, p->string);
    if (!v || cJSON_IsNull(v)) v = get(p, "default");
    if (!v) continue;
    cJSON *copy = types[type_of(p)].type == TEND_DURATION && cJSON_IsString(v) ? NULL : cJSON_Duplicate(v, true);
    int64_t ns;
    if (!copy && str_duration(v->valuestring, NS_PER_S, &ns) == 0)
      copy = cJSON_CreateNumber((double)ns / (double)NS_PER_S);
    if (!copy || !cJSON_AddItemToObject(all, p->string, copy)) {
      cJSON_Delete(copy);
      return err_set(err, -ENOMEM, "no memory for parameters");
    }
  }
  if (!all) return err_set(err, -ENOMEM, "no memory for parameters");
  *out = take_ptr(all);
  return 0;
}
