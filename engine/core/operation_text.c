/* Operations as text for people, and as JSON for clients. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "core/operation.h"

static const char *const types[] = {"string", "integer", "number", "boolean", "duration", "any"};
static const char *const places[] = {"protocol", "word", "keyword", "option"};

/* --- for people -------------------------------------------------------------------------------------------------- */

static void add_option_name(const struct operation_arg *a, struct buf *out) {
  if (a->option) {
    buf_str(out, a->option);
    return;
  }
  buf_str(out, "--");
  for (const char *p = a->name; *p; p++) buf_char(out, *p == '_' ? '-' : *p);
}

void operation_arg_usage(const struct operation_arg *a, struct buf *out) {
  if (a->place == ARG_OPTION) add_option_name(a, out);
  if (a->place == ARG_KEYWORD) buf_str(out, a->name);
  if (a->place == ARG_OPTION && a->type == ARG_BOOL) return;
  if (a->place != ARG_WORD) buf_char(out, ' ');
  buf_str(out, a->value ? a->value : a->choices ? a->choices : "VALUE");
}

void operation_usage(const struct operation *op, struct buf *out) {
  size_t begin = out->len;
  for (const struct operation_arg *a = op->args; a->name; a++) {
    if (a->place == ARG_PROTOCOL) continue;
    if (out->len > begin) buf_char(out, ' ');
    if (!a->required) buf_char(out, '[');
    operation_arg_usage(a, out);
    if (!a->required) buf_char(out, ']');
  }
  if (op->json) buf_fmt(out, "%s[--json]", out->len > begin ? " " : "");
}

/* --- for clients ------------------------------------------------------------------------------------------------- */

static void optional(struct json *j, const char *key, const char *text) {
  if (text) json_str(j, key, text);
}

static void add_arg(const struct operation_arg *a, struct json *j) {
  json_object(j, NULL);
  json_str(j, "name", a->name);
  json_str(j, "type", types[a->type]);
  if (a->required) json_bool(j, "required", true);
  if (a->type == ARG_INTEGER && a->min != a->max) {
    json_int(j, "min", a->min);
    json_int(j, "max", a->max);
  }
  optional(j, "choices", a->choices);
  json_str(j, "place", places[a->place]);
  optional(j, "value", a->value);
  optional(j, "option", a->option);
  optional(j, "names", a->names);
  optional(j, "doc", a->doc);
  json_object_end(j);
}

void operation_json(const struct operation *op, struct json *j) {
  json_object(j, NULL);
  json_str(j, "name", op->name);
  json_str(j, "summary", op->summary);
  json_str(j, "right", right_name(op->right));
  optional(j, "reads_with", op->reads_with);
  optional(j, "reads_without", op->reads_without);
  if (op->audit) json_bool(j, "audit", true);
  if (op->waits) json_bool(j, "waits", true);
  if (op->script) json_bool(j, "script", true);
  json_array(j, "args");
  for (const struct operation_arg *a = op->args; a->name; a++)
    if (!a->local) add_arg(a, j);
  json_array_end(j);
  json_object_end(j);
}

static const char *text_of(const cJSON *v, const char *key) {
  return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(v, key));
}

static bool is_true(const cJSON *v, const char *key) { return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(v, key)); }

static int64_t number_of(const cJSON *v, const char *key) {
  const cJSON *n = cJSON_GetObjectItemCaseSensitive(v, key);
  return cJSON_IsNumber(n) && n->valuedouble > -9.1e15 && n->valuedouble < 9.1e15 ? (int64_t)n->valuedouble : 0;
}

static int index_of(const char *const *list, size_t n, const char *text) {
  for (size_t i = 0; text && i < n; i++)
    if (STR_EQ(list[i], text)) return (int)i;
  return -1;
}

static int read_arg(const cJSON *v, struct operation_arg *a, struct err *err) {
  int type = index_of(types, ARRAY_LEN(types), text_of(v, "type"));
  int place = index_of(places, ARRAY_LEN(places), text_of(v, "place"));
  if (!text_of(v, "name") || type < 0 || place < 0)
    return err_set(err, -EINVAL, "an argument is not understood: is the engine of another version?");
  *a = (struct operation_arg){.name = text_of(v, "name"),
                              .type = (enum arg_type)type,
                              .place = (enum arg_place)place,
                              .required = is_true(v, "required"),
                              .min = number_of(v, "min"),
                              .max = number_of(v, "max"),
                              .choices = text_of(v, "choices"),
                              .value = text_of(v, "value"),
                              .option = text_of(v, "option"),
                              .names = text_of(v, "names"),
                              .doc = text_of(v, "doc")};
  return 0;
}

int operation_read(const cJSON *v, struct operation *out, struct err *err) {
  const cJSON *list = cJSON_GetObjectItemCaseSensitive(v, "args");
  int n = cJSON_GetArraySize(list);
  if (!text_of(v, "name") || n > LIMIT_COMMAND_ARGS)
    return err_set(err, -EINVAL, "a command is not understood: is the engine of another version?");
  struct operation_arg *args = calloc((size_t)n + 1, sizeof *args);
  if (!args) return err_set(err, -ENOMEM, "out of memory");
  int i = 0;
  const cJSON *item;
  cJSON_ArrayForEach(item, list) {
    int rc = read_arg(item, &args[i++], err);
    if (!rc) continue;
    free(args);
    return rc;
  }
  const char *right = text_of(v, "right");
  *out = (struct operation){.name = text_of(v, "name"),
                            .summary = text_of(v, "summary"),
                            .shown = true,
                            .right = right && STR_EQ(right, right_name(RIGHT_READ)) ? RIGHT_READ : RIGHT_OPERATE,
                            .reads_with = text_of(v, "reads_with"),
                            .reads_without = text_of(v, "reads_without"),
                            .audit = is_true(v, "audit"),
                            .waits = is_true(v, "waits"),
                            .script = is_true(v, "script"),
                            .json = true,
                            .args = args};
  return 0;
}

void operation_free(struct operation *op) {
  free((void *)op->args);
  op->args = NULL;
}
