#include "core/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/str.h"
#include "core/plan_read.h"

static const char *const flow_keys[] = {
    "name",        "summary",   "description",  "resources", "mode",     "settings", "requires",
    "directories", "processes", "dependencies", "checks",    "remedies", "cleanup",  "hooks",
};

bool plan_flow_name_valid(const char *name) {
  static const char chars[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
  size_t n = strlen(name);
  return n > 0 && n < LIMIT_NAME && strspn(name, chars) == n && name[0] != '_' && name[0] != '-';
}

static void read_name(struct plan_reader *r, const cJSON *flow) {
  const struct at at = {.key = "name"};
  const char *asked = r->options->name;
  struct plan *plan = r->plan;
  plan->name = asked ? plan_text(r, asked) : "";
  if (!read_text(r, NULL, flow, "name", &plan->name)) {
    if (!asked && !read_get(flow, "name"))
      plan_problem(r, &at, NULL, "the flow's name", "it is missing: write name = \"...\"");
    return;
  }
  if (!plan_flow_name_valid(plan->name))
    plan_problem(r, &at, read_get(flow, "name"),
                 "at most 63 small letters, digits, '_' and '-', a letter or digit first", "%s", "");
  else if (asked && !STR_EQ(asked, plan->name))
    plan_problem(r, &at, read_get(flow, "name"), "the name of the flow that was asked for",
                 "it is %s: correct the name in the file, or the file's name", asked);
}

static void read_flow(struct plan_reader *r, const cJSON *flow) {
  const char *description;
  if (!cJSON_IsObject(flow) || json_fn(flow)) {
    plan_problem(r, NULL, flow, "a table", "end the file with return { name = \"...\", processes = { ... } }");
    return;
  }
  read_keys(r, NULL, flow, flow_keys, ARRAY_LEN(flow_keys));
  read_name(r, flow);
  read_text(r, NULL, flow, "summary", &r->plan->summary);
  read_text(r, NULL, flow, "description", &description);
  plan_read_settings(r, NULL, flow);
  plan_add_need(r, NULL, flow);
  plan_read_directories(r, NULL, flow);
  plan_read_processes(r, NULL, flow);
  plan_read_dependencies(r, NULL, flow);
  plan_read_cleanup(r, NULL, flow);
  plan_read_hooks(r, NULL, flow);
  plan_read_remedies(r, NULL, flow);
}

int plan_from_json(const cJSON *flow, const struct plan_options *options, struct plan **out,
                   struct problems *problems) {
  auto_plan struct plan *plan = calloc(1, sizeof(*plan));
  if (!plan) return -ENOMEM;
  struct plan_reader r = {.options = options, .problems = problems, .plan = plan};
  plan->summary = "";
  plan->file = plan_text(&r, options->file ? options->file : "");
  size_t before = problems_errors(problems);
  read_flow(&r, flow);
  plan_reader_end(&r);
  if (r.no_memory) return -ENOMEM;
  if (problems_errors(problems) > before) return -EINVAL;
  *out = take_ptr(plan);
  return 0;
}

void plan_free(struct plan *plan) {
  if (!plan) return;
  plan_blocks_free(plan->blocks_);
  free(plan);
}

struct plan *plan_default(const char *name, char *const *argv) {
  /* Through the same reader as a file, so that every default is in one place. */
  auto_json cJSON *flow = cJSON_Parse("{\"mode\": \"single\", \"processes\": {\"main\": [\"command\"]}}");
  auto_plan struct plan *plan = NULL;
  struct problems problems = {0};
  int e =
      flow ? plan_from_json(flow, &(struct plan_options){.file = "the built-in policy", .name = name}, &plan, &problems)
           : -ENOMEM;
  problems_free(&problems);
  if (e < 0 || plan_set_command(plan, argv) < 0) return NULL;
  plan->file = "";
  return take_ptr(plan);
}

int plan_set_command(struct plan *plan, char *const *argv) {
  static const struct plan_options none = {0};
  if (!argv || !argv[0] || !argv[0][0]) return -EINVAL;
  struct plan_reader r = {.options = &none, .plan = plan};
  char **copy = plan_copy_words(&r, argv);
  plan_reader_end(&r);
  if (!copy) return -ENOMEM;
  plan->processes[plan->main].argv = copy;
  return 0;
}

int plan_find_process(const struct plan *plan, const char *name) {
  for (size_t i = 0; i < plan->processes_n; i++)
    if (STR_EQ(plan->processes[i].name, name)) return (int)i;
  return -1;
}
