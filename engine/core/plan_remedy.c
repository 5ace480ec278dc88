/* Remedies: which check, after how many failures, what, how often; and how a process's number of instances changes. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/plan_read.h"

static const int64_t day_ns = 24 * 3600 * NS_PER_S;

static const struct {
  const char *name;
  int timeout_s;
} step_kinds[PLAN_STEPS_N] = {
#define P(id, name, timeout_s, doc) {name, timeout_s},
    PLAN_STEPS(P)
#undef P
};

const char *plan_step_kind_name(enum plan_step_kind kind) { return step_kinds[kind].name; }

/* --- the parameters of a kind ------------------------------------------------------------------------------------ */

/* Which process is meant; main where none is named. */
static void read_process_of(struct plan_reader *r, const struct at *at, const cJSON *params, struct plan_step *out) {
  const struct plan *plan = r->plan;
  const char *name = NULL;
  out->process = (unsigned)plan->main;
  if (!read_text(r, at, params, "process", &name)) return;
  int i = plan_find_process(plan, name);
  if (i >= 0) {
    out->process = (unsigned)i;
    return;
  }
  const char *names[LIMIT_PROCESSES];
  for (size_t k = 0; k < plan->processes_n; k++) names[k] = plan->processes[k].name;
  const char *near = str_nearest(name, names, plan->processes_n);
  plan_problem(r, AT_KEY(at, "process"), read_get(params, "process"), "the name of a process of this flow",
               near ? "did you mean \"%s\"?" : "%s", near ? near : "");
}

static void read_signal_step(struct plan_reader *r, const struct at *at, const cJSON *params, struct plan_step *out) {
  static const char *const keys[] = {"process", "signal", "signal_to"}, *const whom[] = {"main", "group"};
  read_keys(r, at, params, keys, ARRAY_LEN(keys));
  read_process_of(r, at, params, out);
  int to = 0;
  read_choice(r, at, params, "signal_to", whom, ARRAY_LEN(whom), &to);
  out->group = to == 1;
  if (!read_signal(r, at, params, "signal", &out->signal) && !read_get(params, "signal"))
    plan_problem(r, AT_KEY(at, "signal"), NULL, "a signal by name (\"USR1\") or number", "it is missing");
}

static void read_command_step(struct plan_reader *r, const struct at *at, const cJSON *params, struct plan_step *out) {
  static const char *const keys[] = {"command"};
  read_keys(r, at, params, keys, ARRAY_LEN(keys));
  out->argv = plan_read_argv(r, AT_KEY(at, "command"), read_get(params, "command"));
}

/* What cleans beside a workload that runs must not take what it has just written. */
static void read_cleanup_step(struct plan_reader *r, const struct at *at, const cJSON *v, struct plan_step *out) {
  plan_read_cleanup_kind(r, at, v, &out->cleanup);
  if (!out->cleanup.kind || !STR_EQ(out->cleanup.kind, "remove_temporary")) return;
  const struct at here = {.up = at, .key = "params"};
  if (!read_get(out->cleanup.params, "older_than_s"))
    plan_problem(r, AT_KEY(&here, "older_than_s"), NULL, "the age in seconds from which files may go",
                 "it is missing: the workload runs beside it, and what it writes now must stay");
}

static void read_params(struct plan_reader *r, const struct at *at, const cJSON *v, struct plan_step *out) {
  static const char *const database_keys[] = {"database"}, *const slow_keys[] = {"factor", "for_s"},
                           *const restart_keys[] = {"process"};
  static const cJSON nothing = {.type = cJSON_Object};
  const cJSON *given = read_object(r, at, v, "params");
  const cJSON *params = given && cJSON_IsObject(given) ? given : &nothing;
  const struct at here = {.up = at, .key = "params"};
  int for_s = 300;
  switch (out->kind) {
    case PLAN_STEP_FUNCTION:
      break;
    case PLAN_STEP_CLEANUP:
      read_cleanup_step(r, at, v, out);
      break;
    case PLAN_STEP_SIGNAL:
      read_signal_step(r, &here, params, out);
      break;
    case PLAN_STEP_COMMAND:
      read_command_step(r, &here, params, out);
      break;
    case PLAN_STEP_RESET_DATABASE:
      read_keys(r, &here, params, database_keys, ARRAY_LEN(database_keys));
      out->database = "rpa_db";
      read_text(r, &here, params, "database", &out->database);
      break;
    case PLAN_STEP_SLOW_CHECKS:
      read_keys(r, &here, params, slow_keys, ARRAY_LEN(slow_keys));
      out->factor = 4;
      read_number(r, &here, params, "factor", 1, 100, &out->factor);
      read_int(r, &here, params, "for_s", 1, 86400, &for_s);
      out->for_ns = for_s * NS_PER_S;
      break;
    case PLAN_STEP_RESTART:
      read_keys(r, &here, params, restart_keys, ARRAY_LEN(restart_keys));
      read_process_of(r, &here, params, out);
      break;
    default:
      read_keys(r, &here, params, NULL, 0);
      break;
  }
}

/* --- a step ------------------------------------------------------------------------------------------------------ */

static void read_kind(struct plan_reader *r, const struct at *at, const cJSON *v, struct plan_step *out) {
  const char *kind = NULL;
  if (!read_text(r, at, v, "kind", &kind)) return;
  if (plan_is_cleanup_kind(kind)) {
    out->kind = PLAN_STEP_CLEANUP;
  } else {
    /* from collect on in the order of PLAN_STEPS, then those of cleanup for the message */
    static const char *const names[] = {"collect",     "signal",  "command",    "reset_database",
                                        "slow_checks", "restart", "fail",       "remove_temporary",
                                        "rotate_logs", "sync",    "close_files"};
    int i = 0;
    if (!read_choice(r, at, v, "kind", names, ARRAY_LEN(names), &i)) return;
    out->kind = (enum plan_step_kind)(PLAN_STEP_COLLECT + i);
  }
  out->timeout_ns = step_kinds[out->kind].timeout_s * NS_PER_S;
  read_params(r, at, v, out);
}

static bool read_step(struct plan_reader *r, const struct at *at, const cJSON *v, struct plan_step *out) {
  static const char *const keys[] = {"name", "description", "kind", "params", "run", "timeout", "settle"};
  *out = (struct plan_step){
      .description = "", .kind = PLAN_STEP_FUNCTION, .timeout_ns = step_kinds[PLAN_STEP_FUNCTION].timeout_s * NS_PER_S};
  if ((out->fn = json_fn(v))) {
    out->name = plan_text_fmt(r, "step_%zu", at->index + 1);
    return true;
  }
  if (!cJSON_IsObject(v)) {
    plan_problem(r, at, v, "a table or a function", "write { name = \"...\", kind = \"...\", params = { ... } }");
    return false;
  }
  read_keys(r, at, v, keys, ARRAY_LEN(keys));
  bool has_fn = read_get(v, "run") != NULL, has_kind = read_get(v, "kind") != NULL;
  read_fn(r, at, v, "run", &out->fn);
  if (has_fn == has_kind)
    plan_problem(r, at, NULL, "either kind = \"...\" with params, or run = function", "%s",
                 has_fn ? "it has both: remove one" : "it has neither");
  else if (has_kind)
    read_kind(r, at, v, out);
  if (read_text(r, at, v, "name", &out->name))
    plan_check_name(r, AT_KEY(at, "name"), out->name);
  else if (!read_get(v, "name"))
    out->name = out->kind == PLAN_STEP_FUNCTION  ? plan_text_fmt(r, "step_%zu", at->index + 1)
                : out->kind == PLAN_STEP_CLEANUP ? (out->cleanup.kind ? out->cleanup.kind : "")
                                                 : plan_step_kind_name(out->kind);
  if (!out->name) out->name = "";
  out->cleanup.name = out->name;
  read_text(r, at, v, "description", &out->description);
  read_duration(r, at, v, "timeout", NS_PER_MS, 3600 * NS_PER_S, &out->timeout_ns);
  read_duration(r, at, v, "settle", 0, 3600 * NS_PER_S, &out->settle_ns);
  return true;
}

static size_t read_steps(struct plan_reader *r, const struct at *at, const cJSON *v, const char *key,
                         struct plan_remedy *out, size_t n) {
  const cJSON *list = read_list(r, at, v, key, LIMIT_REMEDY_STEPS);
  const struct at here = {.up = at, .key = key};
  size_t i = 0, before = n;
  const cJSON *e;
  if (!cJSON_IsArray(list)) return 0;
  cJSON_ArrayForEach(e, list) {
    const struct at place = {.up = &here, .index = i++};
    if (cJSON_IsFalse(e)) continue; /* `condition and step` */
    if (n == LIMIT_REMEDY_STEPS) {
      plan_problem(r, &here, NULL, "at most 16 steps together with the escalation", "take some away");
      break;
    }
    if (!read_step(r, &place, e, &out->steps[n])) continue;
    bool twice = false;
    for (size_t k = 0; k < n && out->steps[n].name[0]; k++) twice |= STR_EQ(out->steps[k].name, out->steps[n].name);
    if (twice)
      plan_problem(r, AT_KEY(&place, "name"), NULL, "a name that no other step has", "%s is there twice",
                   out->steps[n].name);
    else
      n++;
  }
  return n - before;
}

/* --- a remedy ---------------------------------------------------------------------------------------------------- */

static bool is_skipped(const struct plan *plan, const char *name) {
  for (size_t i = 0; i < plan->skipped_n; i++)
    if (STR_EQ(plan->skipped[i].name, name)) return true;
  return false;
}

static void add_check(struct plan_reader *r, const struct at *at, const cJSON *v, struct plan_remedy *out) {
  const struct plan *plan = r->plan;
  const char *name = cJSON_IsString(v) ? v->valuestring : NULL;
  for (size_t i = 0; name && i < plan->checks_n; i++)
    if (STR_EQ(plan->checks[i].name, name)) {
      out->checks[out->checks_n++] = (uint16_t)i;
      return;
    }
  if (name && is_skipped(plan, name)) return;
  const char *names[LIMIT_DEPENDENCIES];
  for (size_t i = 0; i < plan->checks_n; i++) names[i] = plan->checks[i].name;
  const char *near = name ? str_nearest(name, names, plan->checks_n) : NULL;
  plan_problem(r, at, v, "the name of a check of this flow", near ? "did you mean \"%s\"?" : "%s", near ? near : "");
}

/* `check`: one name or a list; the checks are read before. */
static void read_its_checks(struct plan_reader *r, const struct at *at, const cJSON *v, struct plan_remedy *out) {
  const cJSON *checks = read_get(v, "check");
  if (!checks) return;
  const struct at here = {.up = at, .key = "check"};
  out->checks =
      plan_alloc(r, (size_t)(cJSON_IsArray(checks) ? cJSON_GetArraySize(checks) : 1) + 1, sizeof(*out->checks));
  if (!out->checks) return;
  if (!cJSON_IsArray(checks)) {
    add_check(r, &here, checks, out);
    return;
  }
  size_t i = 0;
  const cJSON *e;
  cJSON_ArrayForEach(e, checks) {
    const struct at place = {.up = &here, .index = i++};
    if (!cJSON_IsFalse(e)) add_check(r, &place, e, out);
  }
}

static void read_remedy(struct plan_reader *r, const struct at *at, const cJSON *v, struct plan_remedy *out) {
  static const char *const keys[] = {"name",     "description", "check",  "failures", "steps",
                                     "escalate", "cooldown",    "window", "max",      "dry_run"};
  *out = (struct plan_remedy){
      .description = "", .failures = PLAN_UNSET, .cooldown_ns = 60 * NS_PER_S, .window_ns = 3600 * NS_PER_S, .max = 3};
  read_keys(r, at, v, keys, ARRAY_LEN(keys));
  if (read_text(r, at, v, "name", &out->name))
    plan_check_name(r, AT_KEY(at, "name"), out->name);
  else if (!read_get(v, "name"))
    out->name = plan_text_fmt(r, "remedy_%zu", at->index + 1);
  if (!out->name) out->name = "";
  read_text(r, at, v, "description", &out->description);
  read_its_checks(r, at, v, out);
  read_int(r, at, v, "failures", 1, 1000, &out->failures);
  read_duration(r, at, v, "cooldown", 0, day_ns, &out->cooldown_ns);
  read_duration(r, at, v, "window", NS_PER_S, 30 * day_ns, &out->window_ns);
  read_int(r, at, v, "max", 1, LIMIT_REMEDY_RUNS, &out->max);
  read_bool(r, at, v, "dry_run", &out->dry_run);
  size_t most = (size_t)cJSON_GetArraySize(read_get(v, "steps")) + (size_t)cJSON_GetArraySize(read_get(v, "escalate"));
  if (most > LIMIT_REMEDY_STEPS) most = LIMIT_REMEDY_STEPS;
  out->steps = plan_alloc(r, most, sizeof(*out->steps));
  if (!out->steps) return;
  out->steps_n = read_steps(r, at, v, "steps", out, 0);
  const cJSON *steps = read_get(v, "steps");
  if (!steps || !steps->child)
    plan_problem(r, AT_KEY(at, "steps"), steps, "at least one step", "write steps = { { kind = \"...\" }, ... }");
  out->escalations_n = read_steps(r, at, v, "escalate", out, out->steps_n);
}

void plan_read_remedies(struct plan_reader *r, const struct at *at, const cJSON *flow) {
  struct plan *plan = r->plan;
  const cJSON *list = read_list(r, at, flow, "remedies", LIMIT_REMEDIES);
  if (!list || !list->child) return;
  plan->remedies = plan_alloc(r, (size_t)cJSON_GetArraySize(list), sizeof(*plan->remedies));
  if (!plan->remedies) return;
  const struct at here = {.up = at, .key = "remedies"};
  size_t i = 0;
  const cJSON *v;
  cJSON_ArrayForEach(v, list) {
    const struct at place = {.up = &here, .index = i++};
    struct plan_remedy *m = &plan->remedies[plan->remedies_n];
    if (cJSON_IsFalse(v)) continue; /* `condition and remedy` */
    if (!cJSON_IsObject(v) || json_fn(v)) {
      plan_problem(r, &place, v, "a table", "write { name = \"...\", check = \"...\", steps = { ... } }");
      continue;
    }
    read_remedy(r, &place, v, m);
    bool twice = false;
    for (size_t k = 0; k < plan->remedies_n && m->name[0]; k++) twice |= STR_EQ(plan->remedies[k].name, m->name);
    if (twice)
      plan_problem(r, AT_KEY(&place, "name"), NULL, "a name that no other remedy has", "rename one of the two");
    else if (m->steps_n)
      plan->remedies_n++;
  }
}

/* --- the number of instances ------------------------------------------------------------------------------------- */

void plan_read_scale(struct plan_reader *r, const struct at *at, const cJSON *process, struct plan_process *out) {
  static const char *const keys[] = {"min",     "max",      "step",     "measure",
                                     "timeout", "interval", "cooldown", "down_cooldown"};
  const cJSON *v = read_object(r, at, process, "scale");
  if (!v) return;
  const struct at here = {.up = at, .key = "scale"};
  struct plan_scale *s = plan_alloc(r, 1, sizeof(*s));
  if (!s) return;
  int min = 1, max = (int)out->instances, step = LIMIT_INSTANCES;
  *s = (struct plan_scale){.interval_ns = 10 * NS_PER_S,
                           .timeout_ns = 10 * NS_PER_S,
                           .cooldown_ns = 30 * NS_PER_S,
                           .down_cooldown_ns = 300 * NS_PER_S};
  read_keys(r, &here, v, keys, ARRAY_LEN(keys));
  read_int(r, &here, v, "min", 1, LIMIT_INSTANCES, &min);
  read_int(r, &here, v, "max", 1, LIMIT_INSTANCES, &max);
  read_int(r, &here, v, "step", 1, LIMIT_INSTANCES, &step);
  read_duration(r, &here, v, "interval", 100 * NS_PER_MS, day_ns, &s->interval_ns);
  read_duration(r, &here, v, "timeout", NS_PER_MS, 3600 * NS_PER_S, &s->timeout_ns);
  read_duration(r, &here, v, "cooldown", 0, day_ns, &s->cooldown_ns);
  read_duration(r, &here, v, "down_cooldown", 0, day_ns, &s->down_cooldown_ns);
  if (!read_fn(r, &here, v, "measure", &s->fn) && !read_get(v, "measure"))
    plan_problem(r, AT_KEY(&here, "measure"), NULL, "a function that gives the number of instances that is wanted",
                 "it is missing");
  if (min > max || out->instances < (unsigned)min || out->instances > (unsigned)max)
    plan_problem(r, &here, NULL, "min <= instances <= max", "it is %d <= %u <= %d", min, out->instances, max);
  s->min = (unsigned)min;
  s->max = (unsigned)max;
  s->step = (unsigned)step;
  out->scale = s;
}
