/* Dependencies and checks: one thing to ask, a probe or a function. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/check.h"
#include "core/plan_read.h"

static const int64_t year_ns = 366 * 24 * 3600 * NS_PER_S;

static const char *const dependency_keys[] = {
    "name",     "description",     "kind",    "params",  "check",        "required", "requires",
    "interval", "attempt_timeout", "timeout", "backoff", "max_interval", "skip",
};
static const char *const check_keys[] = {
    "name",     "description",   "kind",          "params",        "check",     "requires", "timeout",
    "interval", "failures",      "window",        "successes",     "readiness", "role",     "process",
    "unknowns", "initial_delay", "fast_interval", "down_interval", "skip",
};

/* `kind` with `params`, or `check`, a function: exactly one of them. */
static void read_what(struct plan_reader *r, const struct at *at, const cJSON *v, struct plan_check *out) {
  read_fn(r, at, v, "check", &out->fn);
  read_text(r, at, v, "kind", &out->kind);
  const cJSON *params = read_object(r, at, v, "params");
  bool has_fn = read_get(v, "check") != NULL, has_kind = read_get(v, "kind") != NULL;
  if (has_fn == has_kind) {
    plan_problem(r, at, NULL, "either kind = \"...\" with params, or check = function", "%s",
                 has_fn ? "it has both: remove one" : "it has neither");
    return;
  }
  if (has_fn && read_get(v, "params"))
    plan_problem(r, AT_KEY(at, "params"), NULL, "params beside kind", "a function needs none: remove it");
  if (!out->kind) return;
  out->params = plan_params(r, params);
  /* written in Lua: the scripts have checked the parameters, and give the function to ask */
  out->fn = json_fn(read_get(v, "$probe"));
  if (out->fn) return;
  struct err err = ERR_INIT;
  if (r->options->check_probe && !out->skip && r->options->check_probe(out->kind, out->params, &err) < 0)
    plan_problem(r, at, NULL, "a probe's kind and its parameters", "%s", err.msg);
}

static void read_dependency(struct plan_reader *r, const struct at *at, const cJSON *v, struct plan_check *out) {
  read_keys(r, at, v, dependency_keys, ARRAY_LEN(dependency_keys));
  read_bool(r, at, v, "required", &out->required);
  read_duration(r, at, v, "timeout", NS_PER_MS, year_ns, &out->timeout_ns);
  read_duration(r, at, v, "attempt_timeout", NS_PER_MS, 10 * NS_PER_S, &out->attempt_timeout_ns);
  read_duration(r, at, v, "interval", 10 * NS_PER_MS, 24 * 3600 * NS_PER_S, &out->interval_ns);
  read_number(r, at, v, "backoff", 1, 100, &out->backoff);
  read_duration(r, at, v, "max_interval", 10 * NS_PER_MS, 24 * 3600 * NS_PER_S, &out->max_interval_ns);
  if (out->timeout_ns > 0 && out->attempt_timeout_ns > out->timeout_ns)
    plan_problem(r, AT_KEY(at, "attempt_timeout"), read_get(v, "attempt_timeout"), "at most the timeout",
                 "timeout is the whole wait, attempt_timeout one attempt of it");
  if (out->max_interval_ns > 0 && out->max_interval_ns < out->interval_ns)
    plan_problem(r, AT_KEY(at, "max_interval"), read_get(v, "max_interval"), "at least the interval", "raise it");
}

/* `role`, or `readiness = true`, which says the same. */
static void read_role(struct plan_reader *r, const struct at *at, const cJSON *v, struct plan_check *out) {
  bool readiness = false;
  bool given = read_choice(r, at, v, "role", check_role_names, CHECK_ROLES, &out->role);
  if (!read_bool(r, at, v, "readiness", &readiness)) return;
  if (!given)
    out->role = readiness ? CHECK_READINESS : CHECK_MONITOR;
  else if (readiness != (out->role == CHECK_READINESS))
    plan_problem(r, AT_KEY(at, "readiness"), read_get(v, "readiness"), "what role says, or nothing",
                 "the role is \"%s\": remove readiness", check_role_names[out->role]);
}

static void read_process(struct plan_reader *r, const struct at *at, const cJSON *v, struct plan_check *out) {
  const struct plan *plan = r->plan;
  const char *name = NULL;
  bool needs = out->role == CHECK_LIVENESS || out->role == CHECK_STARTUP;
  if (read_text(r, at, v, "process", &name)) {
    out->process = plan_find_process(plan, name);
    if (out->process >= 0) return;
    const char *names[LIMIT_PROCESSES];
    for (size_t i = 0; i < plan->processes_n; i++) names[i] = plan->processes[i].name;
    const char *near = str_nearest(name, names, plan->processes_n);
    plan_problem(r, AT_KEY(at, "process"), read_get(v, "process"), "the name of a process of this flow",
                 near ? "did you mean \"%s\"?" : "%s", near ? near : "");
  } else if (needs && plan->processes_n) {
    out->process = (int)plan->main;
  }
}

static void read_health(struct plan_reader *r, const struct at *at, const cJSON *v, struct plan_check *out) {
  const int64_t day_ns = 24 * 3600 * NS_PER_S, least_ns = 100 * NS_PER_MS;
  read_keys(r, at, v, check_keys, ARRAY_LEN(check_keys));
  read_role(r, at, v, out);
  read_process(r, at, v, out);
  read_duration(r, at, v, "timeout", NS_PER_MS, 3600 * NS_PER_S, &out->timeout_ns);
  read_duration(r, at, v, "interval", least_ns, day_ns, &out->interval_ns);
  read_duration(r, at, v, "initial_delay", 0, day_ns, &out->initial_delay_ns);
  read_duration(r, at, v, "fast_interval", least_ns, day_ns, &out->fast_interval_ns);
  read_duration(r, at, v, "down_interval", least_ns, day_ns, &out->down_interval_ns);
  read_int(r, at, v, "failures", 1, 1000, &out->failures);
  read_int(r, at, v, "successes", 1, 1000, &out->successes);
  read_int(r, at, v, "window", 1, CHECK_WINDOW_MAX, &out->window);
  read_int(r, at, v, "unknowns", 1, 1000, &out->unknowns);
  if (out->timeout_ns > 0 && out->interval_ns > 0 && out->timeout_ns > out->interval_ns)
    plan_problem(r, AT_KEY(at, "timeout"), read_get(v, "timeout"), "at most the interval", "lower it");
  if (out->window && (out->failures == PLAN_UNSET || out->failures > out->window))
    plan_problem(r, AT_KEY(at, "window"), read_get(v, "window"), "a number beside failures, and not below it",
                 "failures = m, window = n: m bad results of the last n");
}

bool plan_read_check(struct plan_reader *r, const struct at *at, const cJSON *v, bool dependency,
                     struct plan_check *out) {
  *out = (struct plan_check){
      .description = "",
      .required = true,
      .timeout_ns = PLAN_UNSET,
      .attempt_timeout_ns = PLAN_UNSET,
      .interval_ns = PLAN_UNSET,
      .max_interval_ns = PLAN_UNSET,
      .backoff = 1,
      .role = CHECK_MONITOR,
      .process = PLAN_UNSET,
      .failures = PLAN_UNSET,
      .successes = 1,
      .unknowns = PLAN_UNSET,
      .fast_interval_ns = PLAN_UNSET,
      .down_interval_ns = PLAN_UNSET,
  };
  if ((out->fn = json_fn(v))) {
    /* A bare function is named after its place. */
    out->name = at->key ? plan_text(r, at->key)
                        : plan_text_fmt(r, "%s_%zu", dependency ? "dependency" : "check", at->index + 1);
    return true;
  }
  if (!cJSON_IsObject(v)) {
    plan_problem(r, at, v, "a table or a function", "write { name = \"...\", kind = \"tcp\", params = { ... } }");
    return false;
  }
  if (read_text(r, at, v, "name", &out->name))
    plan_check_name(r, AT_KEY(at, "name"), out->name);
  else if (at->key)
    out->name = plan_text(r, at->key);
  else if (!read_get(v, "name"))
    plan_problem(r, AT_KEY(at, "name"), NULL, "a name", "it is missing: write name = \"...\"");
  if (!out->name) out->name = "";
  read_text(r, at, v, "description", &out->description);
  read_text(r, at, v, "skip", &out->skip);
  read_what(r, at, v, out);
  if (dependency)
    read_dependency(r, at, v, out);
  else
    read_health(r, at, v, out);
  plan_add_need(r, at, v);
  return true;
}

/* A name must be one among its kind; false when it was there before. */
static bool check_unique(struct plan_reader *r, const struct at *at, const struct plan_check *list, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (list[n].name[0] && STR_EQ(list[i].name, list[n].name)) {
      const cJSON shown = {.type = cJSON_String, .valuestring = (char *)list[n].name};
      plan_problem(r, AT_KEY(at, "name"), &shown, "a name that no other entry of the list has",
                   "rename one of the two");
      return false;
    }
  return true;
}

/* Role startup is another way to write the process's `startup`: true when it was taken there. */
static bool take_startup(struct plan_reader *r, const struct at *at, const struct plan_check *c) {
  if (c->role != CHECK_STARTUP || c->process < 0) return c->role == CHECK_STARTUP;
  struct plan_process *p = &r->plan->processes[c->process];
  if (p->startup) {
    plan_problem(r, AT_KEY(at, "role"), NULL, "one start-up check of a process",
                 "process %s has one: remove one of them", p->name);
  } else if ((p->startup = plan_alloc(r, 1, sizeof *p->startup))) {
    *p->startup = *c;
  }
  return true;
}

static void check_start_timeouts(struct plan_reader *r, const struct at *at) {
  for (size_t i = 0; i < r->plan->processes_n; i++) {
    const struct plan_process *p = &r->plan->processes[i];
    if (p->startup || p->start_timeout_ns == PLAN_UNSET) continue;
    const struct at processes = {.up = at, .key = "processes"}, process = {.up = &processes, .key = p->name};
    plan_problem(r, AT_KEY(&process, "start_timeout"), NULL, "a start-up check beside it",
                 "without startup = ... a process has started when it is executed: remove it");
  }
}

static void read_checks(struct plan_reader *r, const struct at *at, const cJSON *flow, const char *key, size_t most,
                        struct plan_check **out, size_t *out_n) {
  const cJSON *list = read_list(r, at, flow, key, most);
  if (!list || !list->child) return;
  struct plan *plan = r->plan;
  struct plan_check *all = plan_alloc(r, (size_t)cJSON_GetArraySize(list), sizeof(*all));
  if (!all) return;
  const struct at here = {.up = at, .key = key};
  size_t n = 0, i = 0;
  const cJSON *v;
  cJSON_ArrayForEach(v, list) {
    const struct at place = {.up = &here, .index = i++};
    if (cJSON_IsFalse(v)) continue; /* `condition and entry` */
    if (!plan_read_check(r, &place, v, out == &plan->dependencies, &all[n])) continue;
    if (!all[n].skip && take_startup(r, &place, &all[n])) continue;
    if (!all[n].skip)
      n += check_unique(r, &place, all, n);
    else if (plan->skipped)
      plan->skipped[plan->skipped_n++] = all[n];
  }
  *out = all;
  *out_n = n;
}

static size_t skipped(const cJSON *list) {
  size_t n = 0;
  const cJSON *v;
  cJSON_ArrayForEach(v, list) n += read_get(v, "skip") != NULL;
  return n;
}

void plan_read_dependencies(struct plan_reader *r, const struct at *at, const cJSON *flow) {
  r->plan->skipped = plan_alloc(r, skipped(read_get(flow, "dependencies")) + skipped(read_get(flow, "checks")),
                                sizeof(*r->plan->skipped));
  read_checks(r, at, flow, "dependencies", LIMIT_DEPENDENCIES, &r->plan->dependencies, &r->plan->dependencies_n);
  read_checks(r, at, flow, "checks", LIMIT_CHECKS, &r->plan->checks, &r->plan->checks_n);
  check_start_timeouts(r, at);
}
