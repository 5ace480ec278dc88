/* Cleanup handlers. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/plan_read.h"

/* The kinds of cleanup that C carries out, and what each takes: the options of the helper of that kind, with '_' for
 * '-'. */
static const struct {
  const char *name, *helper;
  const char *keys[8];
  size_t keys_n;
} cleanup_kinds[] = {
    {"sync", "sync", {"path"}, 1},
    {"remove_temporary",
     "clean",
     {"path", "pattern", "older_than_s", "max_files", "max_mb", "empty_dirs", "dry_run"},
     7},
    {"close_files", "handles", {"path", "wait_s"}, 2},
    {"rotate_logs", "rotate", {"path", "pattern", "max_mb", "keep", "max_age_s"}, 5},
};

static bool pattern_good(const cJSON *v) {
  return cJSON_IsString(v) && v->valuestring[0] && !strchr(v->valuestring, '/');
}

/* One pattern of file names, or a list of them. */
static void check_pattern(struct plan_reader *r, const struct at *at, const cJSON *v) {
  const char *allowed = "a pattern of file names (\"*.tmp\"), or a list of them";
  if (!cJSON_IsArray(v)) {
    if (!pattern_good(v)) plan_problem(r, at, v, allowed, "leave out any \"/\"");
    return;
  }
  size_t i = 0;
  const cJSON *e;
  cJSON_ArrayForEach(e, v) {
    if (!pattern_good(e)) plan_problem(r, AT_INDEX(at, i), e, allowed, "leave out any \"/\"");
    i++;
  }
  if (i < 1 || i > LIMIT_PATTERNS) plan_problem(r, at, v, allowed, "1 to 32 are possible");
}

bool plan_is_cleanup_kind(const char *kind) {
  for (size_t i = 0; i < ARRAY_LEN(cleanup_kinds); i++)
    if (STR_EQ(kind, cleanup_kinds[i].name)) return true;
  return false;
}

void plan_read_cleanup_kind(struct plan_reader *r, const struct at *at, const cJSON *v, struct plan_cleanup *out) {
  static const char *const numbers[] = {"older_than_s", "max_files", "max_mb", "keep", "max_age_s", "wait_s"};
  const char *names[ARRAY_LEN(cleanup_kinds)];
  for (size_t i = 0; i < ARRAY_LEN(cleanup_kinds); i++) names[i] = cleanup_kinds[i].name;
  int kind = -1;
  if (!read_choice(r, at, v, "kind", names, ARRAY_LEN(names), &kind)) return;
  const cJSON *params = read_object(r, at, v, "params");
  const struct at here = {.up = at, .key = "params"};
  out->kind = names[kind];
  out->helper = cleanup_kinds[kind].helper;
  out->params = plan_params(r, params);
  read_keys(r, &here, out->params, cleanup_kinds[kind].keys, cleanup_kinds[kind].keys_n);
  const char *path = NULL;
  read_path(r, &here, out->params, "path", &path);
  if (!read_get(out->params, "path"))
    plan_problem(r, AT_KEY(&here, "path"), NULL, "the directory it is for", "it is missing");
  if (path && path[0] != '/')
    plan_problem(r, AT_KEY(&here, "path"), read_get(out->params, "path"), "an absolute path", "begin it with /");
  const cJSON *pattern = read_get(out->params, "pattern");
  if (pattern) check_pattern(r, AT_KEY(&here, "pattern"), pattern);
  int number;
  bool flag;
  for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
    read_int(r, &here, out->params, numbers[i], 0, STR_EQ(numbers[i], "keep") ? 1000 : INT32_MAX, &number);
  read_bool(r, &here, out->params, "empty_dirs", &flag);
  read_bool(r, &here, out->params, "dry_run", &flag);
}

static bool read_handler(struct plan_reader *r, const struct at *at, const cJSON *v, struct plan_cleanup *out) {
  static const char *const keys[] = {"name", "description", "kind", "params", "run", "timeout", "critical"};
  *out = (struct plan_cleanup){.description = "", .timeout_ns = PLAN_UNSET};
  if ((out->fn = json_fn(v))) {
    out->name = plan_text_fmt(r, "cleanup_%zu", at->index + 1);
    return true;
  }
  if (!cJSON_IsObject(v)) {
    plan_problem(r, at, v, "a table or a function", "write { name = \"...\", run = function() ... end }");
    return false;
  }
  read_keys(r, at, v, keys, ARRAY_LEN(keys));
  if (read_text(r, at, v, "name", &out->name))
    plan_check_name(r, AT_KEY(at, "name"), out->name);
  else if (!read_get(v, "name"))
    out->name = plan_text_fmt(r, "cleanup_%zu", at->index + 1);
  if (!out->name) out->name = "";
  read_text(r, at, v, "description", &out->description);
  read_duration(r, at, v, "timeout", NS_PER_MS, 3600 * NS_PER_S, &out->timeout_ns);
  read_bool(r, at, v, "critical", &out->critical);
  read_fn(r, at, v, "run", &out->fn);
  bool has_fn = read_get(v, "run") != NULL, has_kind = read_get(v, "kind") != NULL;
  if (has_fn == has_kind)
    plan_problem(r, at, NULL, "either kind = \"...\" with params, or run = function", "%s",
                 has_fn ? "it has both: remove one" : "it has neither");
  else if (has_kind)
    plan_read_cleanup_kind(r, at, v, out);
  return true;
}

void plan_read_cleanup(struct plan_reader *r, const struct at *at, const cJSON *flow) {
  struct plan *plan = r->plan;
  const cJSON *list = read_list(r, at, flow, "cleanup", LIMIT_CLEANUPS);
  if (!list || !list->child) return;
  plan->cleanup = plan_alloc(r, (size_t)cJSON_GetArraySize(list), sizeof(*plan->cleanup));
  if (!plan->cleanup) return;
  const struct at here = {.up = at, .key = "cleanup"};
  size_t i = 0;
  const cJSON *v;
  cJSON_ArrayForEach(v, list) {
    const struct at place = {.up = &here, .index = i++};
    struct plan_cleanup *c = &plan->cleanup[plan->cleanup_n];
    if (cJSON_IsFalse(v) || !read_handler(r, &place, v, c)) continue;
    bool twice = false;
    for (size_t k = 0; k < plan->cleanup_n && c->name[0]; k++) twice |= STR_EQ(plan->cleanup[k].name, c->name);
    if (twice)
      plan_problem(r, AT_KEY(&place, "name"), NULL, "a name that no other handler has", "rename one of the two");
    else
      plan->cleanup_n++;
  }
}
