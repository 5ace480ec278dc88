/* The plan as people and programs read it (`tend check`). */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/check.h"
#include "core/plan_read.h"
#include "core/redact.h"

static const char *duration(int64_t ns, char buf[32]) { return str_format_duration(ns, buf, 32); }

/* A word as a shell would want it, so that a command can be copied. */
static void print_word(struct buf *out, const char *word) {
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  if (word[0] && strspn(word, plain) == strlen(word)) {
    buf_str(out, word);
    return;
  }
  bool control = false;
  for (const char *c = word; *c; c++) control |= (unsigned char)*c < 0x20 || *c == 0x7f;
  buf_str(out, control ? "$'" : "'");
  for (const char *c = word; *c; c++)
    if (*c == '\'')
      buf_str(out, control ? "\\'" : "'\\''");
    else if (control && *c == '\\')
      buf_str(out, "\\\\");
    else if (*c == '\n')
      buf_str(out, "\\n");
    else if ((unsigned char)*c < 0x20 || *c == 0x7f)
      buf_fmt(out, "\\x%02x", (unsigned char)*c);
    else
      buf_char(out, *c);
  buf_char(out, '\'');
}

/* A variable, its value hidden where its name says that it is secret. */
static const char *shown_variable(const char *variable, struct buf *out) {
  const char *equals = strchr(variable, '=');
  buf_clear(out);
  if (equals && redact_secret_name(variable, (size_t)(equals - variable)))
    buf_fmt(out, "%.*s=***", (int)(equals - variable), variable);
  else
    buf_str(out, variable);
  return buf_cstr(out);
}

static void print_argv(struct buf *out, char *const *argv) {
  for (size_t i = 0; argv && argv[i]; i++) {
    if (i) buf_char(out, ' ');
    print_word(out, argv[i]);
  }
}

static void print_stop(struct buf *out, const struct plan_stop *stop) {
  char text[32];
  buf_fmt(out, "    stop: ");
  for (size_t i = 0; i < stop->ladder_n; i++) {
    buf_fmt(out, "%s%s", i ? ", " : "", str_signal_name(stop->ladder[i].signal, text, sizeof(text)));
    if (stop->ladder[i].wait_ns != PLAN_UNSET) buf_fmt(out, " %s", duration(stop->ladder[i].wait_ns, text));
  }
  if (stop->timeout_ns != PLAN_UNSET) buf_fmt(out, ", KILL after %s", duration(stop->timeout_ns, text));
  buf_fmt(out, ", to the %s\n", stop->group ? "process group" : "process");
}

static void print_process(const struct plan *plan, const struct plan_process *p, struct buf *out) {
  char text[32];
  buf_fmt(out, "  %s: ", p->name);
  print_argv(out, p->argv);
  buf_char(out, '\n');
  if (p->description[0]) buf_fmt(out, "    %s\n", p->description);
  if (p->scale)
    buf_fmt(out, "    instances: %u, from %u to %u by what is measured\n", p->instances, p->scale->min, p->scale->max);
  else if (p->instances > 1)
    buf_fmt(out, "    instances: %u\n", p->instances);
  if (p->after_n) buf_str(out, "    after:");
  for (size_t i = 0; i < p->after_n; i++) buf_fmt(out, " %s", plan->processes[p->after[i]].name);
  if (p->after_n) buf_char(out, '\n');
  auto_buf struct buf shown = {0};
  for (size_t i = 0; p->env && p->env[i]; i++) {
    buf_str(out, "    env: ");
    print_word(out, shown_variable(p->env[i], &shown));
    buf_char(out, '\n');
  }
  if (p->cwd) buf_fmt(out, "    cwd: %s\n", p->cwd);
  if (p->user) buf_fmt(out, "    user: %s\n", p->user);
  if (p->mode != PLAN_UNSET) buf_fmt(out, "    mode: %s\n", plan_modes[p->mode]);
  if (p->interval_ns != PLAN_UNSET) buf_fmt(out, "    interval: %s\n", duration(p->interval_ns, text));
  if (p->restart->policy != PLAN_UNSET) buf_fmt(out, "    restart: %s\n", plan_policies[p->restart->policy]);
  if (p->restart->rules_n) buf_fmt(out, "    restart rules: %zu\n", p->restart->rules_n);
  print_stop(out, p->stop);
  if (p->restart_on_change) buf_str(out, "    on_change: restart\n");
  if (p->startup) {
    buf_fmt(out, "    starts when: %s (%s)", p->startup->name, p->startup->kind ? p->startup->kind : "function");
    if (p->start_timeout_ns != PLAN_UNSET) buf_fmt(out, " within %s", duration(p->start_timeout_ns, text));
    buf_char(out, '\n');
  }
}

/* A probe's parameters without what may be secret and does not look it: headers, what is sent, a URL's query. */
static void params_json(struct json *j, const char *key, const cJSON *params) {
  if (!cJSON_IsObject(params)) {
    json_value(j, key, params);
    return;
  }
  json_object(j, key);
  const cJSON *v;
  cJSON_ArrayForEach(v, params) {
    const char *query = STR_EQ(v->string, "url") && cJSON_IsString(v) ? strchr(v->valuestring, '?') : NULL;
    if (STR_EQ(v->string, "headers") || STR_EQ(v->string, "body"))
      json_str(j, v->string, "***");
    else if (query)
      json_fmt(j, v->string, "%.*s?***", (int)(query - v->valuestring), v->valuestring);
    else
      json_value(j, v->string, v);
  }
  json_object_end(j);
}

static void print_checks(const struct plan *plan, struct buf *out, const char *title, const struct plan_check *list,
                         size_t n, bool dependency) {
  char text[32];
  if (n) buf_fmt(out, "%s:\n", title);
  for (size_t i = 0; i < n; i++) {
    const struct plan_check *c = &list[i];
    buf_fmt(out, "  %s: %s", c->name, c->kind ? c->kind : "function");
    if (c->skip) {
      buf_fmt(out, ": %s\n", c->skip);
      continue;
    }
    if (dependency)
      buf_str(out, c->required ? ", required" : ", optional");
    else
      buf_fmt(out, ", %s", check_role_names[c->role]);
    if (!dependency && c->process != PLAN_UNSET) buf_fmt(out, " of %s", plan->processes[c->process].name);
    if (c->timeout_ns != PLAN_UNSET) buf_fmt(out, ", timeout %s", duration(c->timeout_ns, text));
    if (c->interval_ns != PLAN_UNSET) buf_fmt(out, ", every %s", duration(c->interval_ns, text));
    if (c->description[0]) {
      buf_fmt(out, "; %s", c->description);
    } else if (c->params) {
      buf_str(out, "; ");
      struct json j = JSON_INIT(out);
      params_json(&j, NULL, c->params);
    }
    buf_char(out, '\n');
  }
}

static const char *const points[] = {
#define P(id, key, doc) key,
    PLAN_HOOKS(P)
#undef P
};

static void print_hooks(const struct plan *plan, struct buf *out) {
  bool any = false;
  for (size_t i = 0; i < PLAN_HOOKS_N; i++) {
    for (size_t k = 0; k < plan->hooks[i].n; k++) {
      if (!any) buf_str(out, "hooks:\n");
      if (!k) buf_fmt(out, "  %s:", points[i]);
      buf_fmt(out, "%s %s", k ? "," : "", plan->hooks[i].list[k].name);
      any = true;
    }
    if (plan->hooks[i].n) buf_char(out, '\n');
  }
}

void plan_print(const struct plan *plan, struct buf *out) {
  char text[32];
  buf_fmt(out, "flow %s", plan->name);
  buf_fmt(out, " (%s)\n", plan->file[0] ? plan->file : "the built-in policy");
  if (plan->summary[0]) buf_fmt(out, "%s\n", plan->summary);
  if (plan->mode != PLAN_UNSET) buf_fmt(out, "mode: %s\n", plan_modes[plan->mode]);
  if (plan->memory_mb != PLAN_UNSET) buf_fmt(out, "memory: %d MB\n", plan->memory_mb);
  if (plan->cpu_percent != PLAN_UNSET) buf_fmt(out, "cpu: %d %%\n", plan->cpu_percent);
  if (plan->cpus != PLAN_UNSET) buf_fmt(out, "cpus: %d\n", plan->cpus);
  if (plan->disk_mb != PLAN_UNSET) buf_fmt(out, "disk: %d MB\n", plan->disk_mb);
  for (size_t i = 0; i < plan->directories_n; i++)
    buf_fmt(out, "directory: %s%s\n", plan->directories[i].path,
            plan->directories[i].make ? " (made when missing)" : "");
  buf_str(out, "processes:\n");
  for (size_t i = 0; i < plan->processes_n; i++) print_process(plan, &plan->processes[i], out);
  print_checks(plan, out, "dependencies", plan->dependencies, plan->dependencies_n, true);
  print_checks(plan, out, "checks", plan->checks, plan->checks_n, false);
  plan_print_remedies(plan, out);
  print_checks(plan, out, "left out", plan->skipped, plan->skipped_n, false);
  if (plan->cleanup_n) buf_str(out, "cleanup, in this order:\n");
  for (int critical = 1; critical >= 0; critical--)
    for (size_t i = plan->cleanup_n; i-- > 0;) {
      const struct plan_cleanup *c = &plan->cleanup[i];
      if (c->critical != (critical == 1)) continue;
      buf_fmt(out, "  %s: %s%s", c->name, c->kind ? c->kind : "function", c->critical ? ", critical" : "");
      if (c->timeout_ns != PLAN_UNSET) buf_fmt(out, ", timeout %s", duration(c->timeout_ns, text));
      if (c->description[0]) buf_fmt(out, "; %s", c->description);
      buf_char(out, '\n');
    }
  print_hooks(plan, out);
}

static void json_seconds(struct json *j, const char *key, int64_t ns) {
  if (ns != PLAN_UNSET) json_num(j, key, (double)ns / (double)NS_PER_S);
}

static void check_json(const struct plan *plan, struct json *j, const char *key, const struct plan_check *c,
                       bool dependency) {
  json_object(j, key);
  json_str(j, "name", c->name);
  json_str(j, "kind", c->kind ? c->kind : "function");
  if (c->params) params_json(j, "params", c->params);
  if (dependency)
    json_bool(j, "required", c->required);
  else if (!c->skip)
    json_str(j, "role", check_role_names[c->role]);
  if (!dependency && c->process != PLAN_UNSET) json_str(j, "process", plan->processes[c->process].name);
  json_seconds(j, "timeout", c->timeout_ns);
  json_seconds(j, "attempt_timeout", c->attempt_timeout_ns);
  json_seconds(j, "interval", c->interval_ns);
  json_seconds(j, "max_interval", c->max_interval_ns);
  if (c->backoff > 1) json_num(j, "backoff", c->backoff);
  if (c->failures != PLAN_UNSET) json_int(j, "failures", c->failures);
  if (c->window) json_int(j, "window", c->window);
  if (c->initial_delay_ns) json_seconds(j, "initial_delay", c->initial_delay_ns);
  json_seconds(j, "fast_interval", c->fast_interval_ns);
  json_seconds(j, "down_interval", c->down_interval_ns);
  if (c->skip) json_str(j, "skip", c->skip);
  if (c->description[0]) json_str(j, "description", c->description);
  json_object_end(j);
}

static void process_json(const struct plan *plan, struct json *j, const struct plan_process *p) {
  char text[32];
  json_object(j, NULL);
  json_str(j, "name", p->name);
  json_array(j, "command");
  for (size_t i = 0; p->argv && p->argv[i]; i++) json_str(j, NULL, p->argv[i]);
  json_array_end(j);
  auto_buf struct buf shown = {0};
  json_array(j, "env");
  for (size_t i = 0; p->env && p->env[i]; i++) json_str(j, NULL, shown_variable(p->env[i], &shown));
  json_array_end(j);
  if (p->cwd) json_str(j, "cwd", p->cwd);
  if (p->user) json_str(j, "user", p->user);
  json_int(j, "instances", p->instances);
  if (p->scale) {
    json_object(j, "scale");
    json_int(j, "min", p->scale->min);
    json_int(j, "max", p->scale->max);
    json_object_end(j);
  }
  json_array(j, "after");
  for (size_t i = 0; i < p->after_n; i++) json_str(j, NULL, plan->processes[p->after[i]].name);
  json_array_end(j);
  json_bool(j, "essential", p->essential);
  if (p->mode != PLAN_UNSET) json_str(j, "mode", plan_modes[p->mode]);
  json_seconds(j, "interval", p->interval_ns);
  if (p->restart->policy != PLAN_UNSET) json_str(j, "restart", plan_policies[p->restart->policy]);
  json_int(j, "restart_rules", (int64_t)p->restart->rules_n);
  json_object(j, "stop");
  json_array(j, "ladder");
  for (size_t i = 0; i < p->stop->ladder_n; i++) {
    json_object(j, NULL);
    json_str(j, "signal", str_signal_name(p->stop->ladder[i].signal, text, sizeof(text)));
    json_seconds(j, "wait", p->stop->ladder[i].wait_ns);
    json_object_end(j);
  }
  json_array_end(j);
  json_seconds(j, "timeout", p->stop->timeout_ns);
  json_str(j, "signal_to", p->stop->group ? "group" : "main");
  json_object_end(j);
  json_seconds(j, "start_timeout", p->start_timeout_ns);
  json_str(j, "on_change", p->restart_on_change ? "restart" : "next_start");
  if (p->startup) check_json(plan, j, "startup", p->startup, true);
  json_object_end(j);
}

static void optional_int(struct json *j, const char *key, int v) {
  if (v != PLAN_UNSET) json_int(j, key, v);
}

void plan_json(const struct plan *plan, struct json *j, const char *key) {
  json_object(j, key);
  json_str(j, "name", plan->name);
  json_str(j, "file", plan->file);
  json_str(j, "summary", plan->summary);
  if (plan->mode != PLAN_UNSET) json_str(j, "mode", plan_modes[plan->mode]);
  json_object(j, "resources");
  optional_int(j, "memory_mb", plan->memory_mb);
  optional_int(j, "cpu_percent", plan->cpu_percent);
  optional_int(j, "cpus", plan->cpus);
  optional_int(j, "disk_mb", plan->disk_mb);
  json_object_end(j);
  json_array(j, "directories");
  for (size_t i = 0; i < plan->directories_n; i++) json_str(j, NULL, plan->directories[i].path);
  json_array_end(j);
  json_array(j, "requires");
  for (size_t i = 0; i < plan->needs_n; i++) json_str(j, NULL, plan->needs[i]);
  json_array_end(j);
  json_array(j, "processes");
  for (size_t i = 0; i < plan->processes_n; i++) process_json(plan, j, &plan->processes[i]);
  json_array_end(j);
  json_array(j, "dependencies");
  for (size_t i = 0; i < plan->dependencies_n; i++) check_json(plan, j, NULL, &plan->dependencies[i], true);
  json_array_end(j);
  json_array(j, "checks");
  for (size_t i = 0; i < plan->checks_n; i++) check_json(plan, j, NULL, &plan->checks[i], false);
  json_array_end(j);
  plan_remedies_json(plan, j);
  json_array(j, "left_out");
  for (size_t i = 0; i < plan->skipped_n; i++) check_json(plan, j, NULL, &plan->skipped[i], false);
  json_array_end(j);
  json_array(j, "cleanup");
  for (size_t i = 0; i < plan->cleanup_n; i++) {
    const struct plan_cleanup *c = &plan->cleanup[i];
    json_object(j, NULL);
    json_str(j, "name", c->name);
    json_str(j, "kind", c->kind ? c->kind : "function");
    if (c->params) json_value(j, "params", c->params);
    json_seconds(j, "timeout", c->timeout_ns);
    json_bool(j, "critical", c->critical);
    json_object_end(j);
  }
  json_array_end(j);
  json_object(j, "hooks");
  for (size_t i = 0; i < PLAN_HOOKS_N; i++) {
    if (!plan->hooks[i].n) continue;
    json_array(j, points[i]);
    for (size_t k = 0; k < plan->hooks[i].n; k++) json_str(j, NULL, plan->hooks[i].list[k].name);
    json_array_end(j);
  }
  json_object_end(j);
  json_object_end(j);
}
