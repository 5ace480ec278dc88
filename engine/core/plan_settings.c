/* The settings that a flow gives or needs, its resources and directories. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "core/plan_read.h"

void plan_read_directories(struct plan_reader *r, const struct at *at, const cJSON *flow) {
  static const char *const keys[] = {"path", "make"};
  struct plan *plan = r->plan;
  const cJSON *list = read_list(r, at, flow, "directories", LIMIT_DIRECTORIES);
  if (!list || !list->child) return;
  plan->directories = plan_alloc(r, (size_t)cJSON_GetArraySize(list), sizeof(*plan->directories));
  if (!plan->directories) return;
  const struct at here = {.up = at, .key = "directories"};
  size_t i = 0;
  const cJSON *v;
  cJSON_ArrayForEach(v, list) {
    const struct at place = {.up = &here, .index = i++};
    struct plan_directory d = {.make = true};
    if (cJSON_IsFalse(v)) continue;
    if (cJSON_IsString(v)) {
      d.path = plan_text(r, v->valuestring);
    } else if (cJSON_IsObject(v) && !json_fn(v)) {
      read_keys(r, &place, v, keys, ARRAY_LEN(keys));
      read_path(r, &place, v, "path", &d.path);
      read_bool(r, &place, v, "make", &d.make);
    }
    if (d.path && d.path[0] == '/')
      plan->directories[plan->directories_n++] = d;
    else if (d.path || !cJSON_IsObject(v) || !read_get(v, "path"))
      plan_problem(r, &place, v, "an absolute path, or { path = \"...\", make = true }", "%s", "");
  }
}

/* "CONTAINER_X" for "X" and "CONTAINER_X". */
static const char *full_name(struct plan_reader *r, const char *name) {
  return str_starts(name, "CONTAINER_") ? plan_text(r, name) : plan_text_fmt(r, "CONTAINER_%s", name);
}

static void add_setting(struct plan_reader *r, const struct at *at, const char *name, const char *value) {
  struct plan *plan = r->plan;
  if (!plan->settings) return;
  const char *full = full_name(r, name);
  for (size_t i = 0; i < plan->settings_n; i++)
    if (STR_EQ(plan->settings[i].name, full)) {
      plan_problem(r, at, NULL, "each setting once", "%s is given at %s too: remove one of the two", full,
                   plan->settings[i].origin);
      return;
    }
  plan->settings[plan->settings_n++] = (struct plan_setting){full, plan_text(r, value), plan_origin(r, at)};
}

void plan_read_settings(struct plan_reader *r, const struct at *at, const cJSON *flow) {
  static const char *const keys[] = {"memory_mb", "cpu_percent", "cpus", "disk_mb"};
  struct plan *plan = r->plan;
  plan->memory_mb = plan->cpu_percent = plan->cpus = plan->disk_mb = PLAN_UNSET;
  const size_t others = 3; /* resources and the mode are settings as well */
  plan->settings =
      plan_alloc(r, others + (size_t)cJSON_GetArraySize(read_get(flow, "settings")), sizeof(*plan->settings));
  const cJSON *resources = read_object(r, at, flow, "resources");
  const struct at here = {.up = at, .key = "resources"};
  if (cJSON_IsObject(resources)) read_keys(r, &here, resources, keys, ARRAY_LEN(keys));
  if (read_int(r, &here, resources, "memory_mb", 1, 1 << 30, &plan->memory_mb))
    add_setting(r, AT_KEY(&here, "memory_mb"), "MAX_MEMORY_MB", plan_text_fmt(r, "%d", plan->memory_mb));
  if (read_int(r, &here, resources, "cpu_percent", 1, 100000, &plan->cpu_percent))
    add_setting(r, AT_KEY(&here, "cpu_percent"), "MAX_CPU_PERCENT", plan_text_fmt(r, "%d", plan->cpu_percent));
  read_int(r, &here, resources, "cpus", 1, 4096, &plan->cpus);
  read_int(r, &here, resources, "disk_mb", 1, 1 << 30, &plan->disk_mb);
  plan->mode = PLAN_UNSET;
  if (read_choice(r, at, flow, "mode", plan_modes, PLAN_MODES_N, &plan->mode))
    add_setting(r, AT_KEY(at, "mode"), "EXECUTION_MODE", plan_modes[plan->mode]);
  const cJSON *settings = read_object(r, at, flow, "settings");
  const struct at place = {.up = at, .key = "settings"};
  if (settings && cJSON_GetArraySize(settings) > LIMIT_FLOW_SETTINGS) {
    plan_problem(r, &place, NULL, "at most 256 settings", "it has %d", cJSON_GetArraySize(settings));
    return;
  }
  const cJSON *v;
  cJSON_ArrayForEach(v, settings) {
    const struct at entry = {.up = &place, .key = v->string};
    if (cJSON_IsString(v))
      add_setting(r, &entry, v->string, v->valuestring);
    else if (cJSON_IsNumber(v))
      add_setting(r, &entry, v->string, plan_text_fmt(r, "%.15g", v->valuedouble));
    else if (cJSON_IsBool(v))
      add_setting(r, &entry, v->string, cJSON_IsTrue(v) ? "true" : "false");
    else
      plan_problem(r, &entry, NULL, "text, a number, true or false", "%s", "");
  }
}

void plan_add_need(struct plan_reader *r, const struct at *at, const cJSON *owner) {
  struct plan *plan = r->plan;
  const cJSON *one = read_get(owner, "requires");
  const cJSON *list = cJSON_IsString(one) ? one : read_list(r, at, owner, "requires", LIMIT_NEEDS);
  if (!list) return;
  if (!plan->needs) plan->needs = plan_alloc(r, LIMIT_NEEDS, sizeof(*plan->needs));
  if (!plan->needs) return;
  const struct at here = {.up = at, .key = "requires"};
  size_t i = 0;
  for (const cJSON *v = cJSON_IsString(list) ? list : list->child; v; v = cJSON_IsString(list) ? NULL : v->next, i++) {
    if (!cJSON_IsString(v) || !v->valuestring[0]) {
      plan_problem(r, AT_INDEX(&here, i), v, "the name of a setting", "%s", "");
      continue;
    }
    const char *name = full_name(r, v->valuestring);
    bool known = false;
    for (size_t k = 0; k < plan->needs_n; k++) known |= STR_EQ(plan->needs[k], name);
    if (!known && plan->needs_n < LIMIT_NEEDS) plan->needs[plan->needs_n++] = name;
  }
}

void plan_give_settings(const struct plan *plan, struct settings *settings, struct problems *problems) {
  for (size_t i = 0; i < plan->settings_n; i++)
    settings_give(settings, LAYER_FLOW, plan->settings[i].name, plan->settings[i].value, plan->settings[i].origin);
  auto_buf struct buf who = {0};
  buf_fmt(&who, "flow %s", plan->name);
  for (size_t i = 0; i < plan->needs_n; i++) {
    if (settings_require(settings, plan->needs[i], buf_cstr(&who)) == 0) continue;
    problems_add(problems, &(struct problem){
                               .class = PROBLEM_CONFIG,
                               .check = "flow_file",
                               .name = plan->needs[i],
                               .source = plan->file,
                               .allowed = "the name of a setting",
                               .fix = "correct it under requires, or declare it with settings.declare",
                           });
  }
}
