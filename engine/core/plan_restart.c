/* How a process is started again, and how it is stopped. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/plan_read.h"

static const int64_t year_ns = 366 * 24 * 3600 * NS_PER_S;

const char *const plan_modes[] = {"daemon", "single", "server"};
const char *const plan_policies[] = {"no", "always", "on-failure", "unless-stopped"};
const char *const plan_actions[] = {"restart", "fail", "stop", "restart_all"};

/* What a rule can be for; the rest is no bad end of a process. */
static const enum end_reason reasons[] = {
    END_EXIT, END_SIGNAL, END_OOM, END_START_TIMEOUT, END_CHECK, END_DEPENDENCY, END_EXEC_ERROR,
};

/* A key that holds one value or a list of them: calls one() for each. */
typedef bool each_fn(struct plan_reader *r, const struct at *at, const cJSON *v, void *out);

static bool read_each(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key, each_fn *one,
                      void *out) {
  const cJSON *v = read_get(object, key);
  if (!v) return false;
  const struct at here = {.up = at, .key = key};
  if (!cJSON_IsArray(v)) return one(r, &here, v, out);
  if (!v->child) plan_problem(r, &here, v, "at least one value", "an empty list matches nothing: remove it");
  size_t i = 0;
  const cJSON *e;
  cJSON_ArrayForEach(e, v) one(r, AT_INDEX(&here, i++), e, out);
  return true;
}

static bool one_signal(struct plan_reader *r, const struct at *at, const cJSON *v, void *out) {
  int sig = cJSON_IsString(v) ? str_signal(v->valuestring) : 0;
  if (cJSON_IsNumber(v) && v->valuedouble >= 1 && v->valuedouble <= 64) sig = (int)v->valuedouble;
  if (sig < 1 || sig > 64) {
    plan_problem(r, at, v, "a signal by name (\"KILL\") or number", "%s", "");
    return false;
  }
  *(uint64_t *)out |= UINT64_C(1) << (sig - 1);
  return true;
}

static bool one_reason(struct plan_reader *r, const struct at *at, const cJSON *v, void *out) {
  const char *names[ARRAY_LEN(reasons)];
  for (size_t i = 0; i < ARRAY_LEN(reasons); i++) names[i] = end_reason_name(reasons[i]);
  for (size_t i = 0; cJSON_IsString(v) && i < ARRAY_LEN(reasons); i++)
    if (STR_EQ(v->valuestring, names[i])) {
      *(uint32_t *)out |= UINT32_C(1) << reasons[i];
      return true;
    }
  const char *near = cJSON_IsString(v) ? str_nearest(v->valuestring, names, ARRAY_LEN(names)) : NULL;
  auto_buf struct buf all = {0};
  for (size_t i = 0; i < ARRAY_LEN(names); i++) buf_fmt(&all, "%s%s", i ? ", " : "one of ", names[i]);
  plan_problem(r, at, v, buf_cstr(&all), near ? "did you mean \"%s\"?" : "%s", near ? near : "");
  return false;
}

static void read_rule(struct plan_reader *r, const struct at *at, const cJSON *v, struct restart_rule *out) {
  static const char *const keys[] = {"exit", "signal", "reason", "action"};
  if (!cJSON_IsObject(v) || json_fn(v)) {
    plan_problem(r, at, v, "a table", "write { exit = { 1, \"64-78\" }, action = \"fail\" }");
    return;
  }
  read_keys(r, at, v, keys, ARRAY_LEN(keys));
  out->has_exit = read_get(v, "exit") != NULL;
  read_codes(r, at, v, "exit", out->exit);
  read_each(r, at, v, "signal", one_signal, &out->signals);
  read_each(r, at, v, "reason", one_reason, &out->reasons);
  int action = RULE_RESTART;
  read_choice(r, at, v, "action", plan_actions, PLAN_ACTIONS_N, &action);
  out->action = (enum rule_action)action;
  if (!read_get(v, "action"))
    plan_problem(r, AT_KEY(at, "action"), NULL, "one of restart, fail, stop, restart_all", "it is missing");
  if (!read_get(v, "exit") && !read_get(v, "signal") && !read_get(v, "reason"))
    plan_problem(r, at, NULL, "at least one of exit, signal, reason", "a rule must say what it is for");
  if (read_get(v, "exit") && read_get(v, "signal"))
    plan_problem(r, at, NULL, "exit or signal", "no end is both: make two rules of it");
}

static void read_rules(struct plan_reader *r, const struct at *at, const cJSON *restart, struct plan_restart *out) {
  const cJSON *list = read_list(r, at, restart, "rules", LIMIT_RULES);
  if (!list || !list->child) return;
  struct restart_rule rules[LIMIT_RULES];
  memset(rules, 0, sizeof rules); /* with their gaps */
  const struct at here = {.up = at, .key = "rules"};
  const cJSON *v;
  cJSON_ArrayForEach(v, list) {
    read_rule(r, AT_INDEX(&here, out->rules_n), v, &rules[out->rules_n]);
    out->rules_n++;
  }
  out->rules = plan_share(r, rules, out->rules_n * sizeof *rules);
}

static void read_restart(struct plan_reader *r, const struct at *at, const cJSON *process, struct plan_restart *out) {
  static const char *const keys[] = {
      "policy", "max_attempts", "delay",          "max_delay",           "window",
      "reset",  "rules",        "jitter_percent", "exponential_backoff",
  };
  const cJSON *v = read_get(process, "restart");
  if (cJSON_IsString(v)) {
    read_choice(r, at, process, "restart", plan_policies, PLAN_POLICIES_N, &out->policy);
    return;
  }
  v = read_object(r, at, process, "restart");
  if (!v) return;
  const struct at here = {.up = at, .key = "restart"};
  read_keys(r, &here, v, keys, ARRAY_LEN(keys));
  read_choice(r, &here, v, "policy", plan_policies, PLAN_POLICIES_N, &out->policy);
  read_int(r, &here, v, "max_attempts", 0, LIMIT_WINDOW, &out->max_attempts);
  read_duration(r, &here, v, "delay", 0, year_ns, &out->delay_ns);
  read_duration(r, &here, v, "max_delay", 0, year_ns, &out->max_delay_ns);
  read_duration(r, &here, v, "window", NS_PER_S, year_ns, &out->window_ns);
  read_duration(r, &here, v, "reset", 0, year_ns, &out->reset_ns);
  bool exponential = false;
  if (read_bool(r, &here, v, "exponential_backoff", &exponential)) out->exponential = exponential;
  read_int(r, &here, v, "jitter_percent", 0, 100, &out->jitter_percent);
  if (out->delay_ns > 0 && out->max_delay_ns >= 0 && out->max_delay_ns < out->delay_ns)
    plan_problem(r, AT_KEY(&here, "max_delay"), read_get(v, "max_delay"), "at least the delay", "raise it");
  read_rules(r, &here, v, out);
}

const struct plan_restart *plan_read_restart(struct plan_reader *r, const struct at *at, const cJSON *process) {
  struct plan_restart restart;
  memset(&restart, 0, sizeof restart);
  restart.policy = restart.max_attempts = restart.exponential = restart.jitter_percent = PLAN_UNSET;
  restart.delay_ns = restart.max_delay_ns = restart.window_ns = restart.reset_ns = PLAN_UNSET;
  read_restart(r, at, process, &restart);
  return plan_share(r, &restart, sizeof restart);
}

static void read_step(struct plan_reader *r, const struct at *at, const cJSON *v, struct plan_stop_step *out) {
  static const char *const keys[] = {"signal", "wait"};
  out->signal = 15;
  out->wait_ns = PLAN_UNSET;
  if (cJSON_IsString(v)) {
    int sig = str_signal(v->valuestring);
    if (sig < 1) plan_problem(r, at, v, "a signal by name (\"TERM\")", "%s", "");
    out->signal = sig < 1 ? 15 : sig;
    return;
  }
  if (!cJSON_IsObject(v) || json_fn(v)) {
    plan_problem(r, at, v, "a table", "write { signal = \"TERM\", wait = 10 }");
    return;
  }
  read_keys(r, at, v, keys, ARRAY_LEN(keys));
  if (!read_get(v, "signal"))
    plan_problem(r, AT_KEY(at, "signal"), NULL, "a signal by name (\"TERM\") or number", "it is missing");
  read_signal(r, at, v, "signal", &out->signal);
  read_duration(r, at, v, "wait", 0, 3600 * NS_PER_S, &out->wait_ns);
}

/* The ladder has room for LIMIT_STOP_STEPS and its first step. */
static void read_stop(struct plan_reader *r, const struct at *at, const cJSON *process, struct plan_stop_step *steps,
                      struct plan_stop *out) {
  static const char *const keys[] = {"signal", "ladder", "timeout", "signal_to"};
  static const char *const scopes[] = {"main", "group"};
  const cJSON *v = read_object(r, at, process, "stop");
  if (!v) return;
  const struct at here = {.up = at, .key = "stop"};
  read_keys(r, &here, v, keys, ARRAY_LEN(keys));
  read_signal(r, &here, v, "signal", &steps[0].signal);
  read_duration(r, &here, v, "timeout", 0, 3600 * NS_PER_S, &out->timeout_ns);
  int scope = 0;
  read_choice(r, &here, v, "signal_to", scopes, ARRAY_LEN(scopes), &scope);
  out->group = scope == 1;
  const cJSON *ladder = read_list(r, &here, v, "ladder", LIMIT_STOP_STEPS);
  if (!ladder) return;
  if (read_get(v, "signal"))
    plan_problem(r, AT_KEY(&here, "signal"), NULL, "signal or ladder", "put the signal into the ladder");
  if (!ladder->child) plan_problem(r, AT_KEY(&here, "ladder"), ladder, "at least one step", "remove it");
  const struct at place = {.up = &here, .key = "ladder"};
  size_t n = 0;
  const cJSON *e;
  cJSON_ArrayForEach(e, ladder) {
    read_step(r, AT_INDEX(&place, n), e, &steps[n]);
    if (e->next && steps[n].wait_ns == PLAN_UNSET)
      plan_problem(r, AT_KEY(AT_INDEX(&place, n), "wait"), NULL, "how long to wait before the next step",
                   "it is missing: write wait = 5");
    n++;
  }
  if (n) out->ladder_n = n;
}

const struct plan_stop *plan_read_stop(struct plan_reader *r, const struct at *at, const cJSON *process) {
  struct plan_stop_step steps[LIMIT_STOP_STEPS];
  struct plan_stop stop;
  memset(steps, 0, sizeof steps); /* both with their gaps */
  memset(&stop, 0, sizeof stop);
  steps[0].signal = 15;
  steps[0].wait_ns = stop.timeout_ns = PLAN_UNSET;
  stop.ladder_n = 1;
  read_stop(r, at, process, steps, &stop);
  stop.ladder = plan_share(r, steps, stop.ladder_n * sizeof *steps);
  return plan_share(r, &stop, sizeof stop);
}
