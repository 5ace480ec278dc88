/* The processes of a flow. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/plan_read.h"

static const char *const process_keys[] = {
    "command", "description", "env",     "cwd",           "user", "no_new_privs",  "instances", "after", "essential",
    "mode",    "interval",    "restart", "success_codes", "stop", "start_timeout", "startup",   "scale", "on_change",
};

char **plan_read_argv(struct plan_reader *r, const struct at *at, const cJSON *v) {
  static const char fix[] = "write { \"program\", \"argument\", ... }";
  if (cJSON_IsString(v) && v->valuestring[0]) {
    if (strpbrk(v->valuestring, " \t\n")) {
      plan_problem(r, at, v, "a list of the program and its arguments",
                   "no shell splits it: %s, or { \"/bin/sh\", \"-c\", ... }", fix);
      return NULL;
    }
    return plan_copy_words(r, (char *const[]){v->valuestring, NULL});
  }
  if (!cJSON_IsArray(v) || !v->child) {
    plan_problem(r, at, v, "a list of the program and its arguments", "%s", fix);
    return NULL;
  }
  int n = cJSON_GetArraySize(v);
  if (n > LIMIT_ARGV) {
    plan_problem(r, at, NULL, "at most 4096 words", "it has %d", n);
    return NULL;
  }
  auto_buf struct buf argv = {0};
  bool good = true;
  size_t i = 0;
  const cJSON *e;
  cJSON_ArrayForEach(e, v) {
    if (cJSON_IsString(e) && strlen(e->valuestring) >= LIMIT_WORD) {
      plan_problem(r, AT_INDEX(at, i), e, "a word under 128 KiB; the kernel takes no longer one",
                   "hand it over in a file or by standard input");
      good = false;
    } else if (cJSON_IsString(e) && (i > 0 || e->valuestring[0])) {
      plan_words_add(&argv, plan_text(r, e->valuestring));
    } else if (cJSON_IsNumber(e) && i > 0) {
      plan_words_add(&argv, plan_text_fmt(r, "%.15g", e->valuedouble));
    } else {
      plan_problem(r, AT_INDEX(at, i), e, i ? "text or a number" : "the program's name or path", "%s", "");
      good = false;
    }
    i++;
  }
  return good ? plan_words(r, &argv) : NULL;
}

static char **read_env(struct plan_reader *r, const struct at *at, const cJSON *process) {
  const cJSON *env = read_object(r, at, process, "env");
  if (!env || !env->child) return plan_copy_words(r, NULL);
  const struct at here = {.up = at, .key = "env"};
  int n = cJSON_GetArraySize(env);
  if (n > LIMIT_ENV) {
    plan_problem(r, &here, NULL, "at most 4096 variables", "it has %d", n);
    return NULL;
  }
  auto_buf struct buf out = {0};
  const cJSON *v;
  cJSON_ArrayForEach(v, env) {
    const char *name = v->string ? v->string : "";
    if (!name[0] || strchr(name, '='))
      plan_problem(r, AT_KEY(&here, name), NULL, "a variable's name without \"=\"", "%s", "");
    else if (cJSON_IsString(v))
      plan_words_add(&out, plan_text_fmt(r, "%s=%s", name, v->valuestring));
    else if (cJSON_IsNumber(v))
      plan_words_add(&out, plan_text_fmt(r, "%s=%.15g", name, v->valuedouble));
    else if (cJSON_IsBool(v))
      plan_words_add(&out, plan_text_fmt(r, "%s=%s", name, cJSON_IsTrue(v) ? "true" : "false"));
    else
      plan_problem(r, AT_KEY(&here, name), v, "text, a number, true or false", "%s", "");
  }
  return plan_words(r, &out);
}

static void read_user(struct plan_reader *r, const struct at *at, const cJSON *process, const char **out) {
  const cJSON *v = read_get(process, "user");
  if (cJSON_IsNumber(v) && v->valuedouble >= 0 && v->valuedouble < 4294967295.0 &&
      v->valuedouble == floor(v->valuedouble)) {
    *out = plan_text_fmt(r, "%.0f", v->valuedouble);
    return;
  }
  const char *user = NULL;
  if (!read_text(r, at, process, "user", &user)) return;
  if (user[0] == ':' || strpbrk(user, " \t\n/")) {
    plan_problem(r, AT_KEY(at, "user"), v, "a user name or id, optionally \":group\" after it", "%s", "");
    return;
  }
  *out = user;
}

static void read_process(struct plan_reader *r, const struct at *at, const cJSON *v, struct plan_process *p) {
  const int64_t year = 366 * 24 * 3600 * NS_PER_S;
  *p = (struct plan_process){
      .name = plan_text(r, at->key),
      .description = "",
      .instances = 1,
      .mode = PLAN_UNSET,
      .interval_ns = PLAN_UNSET,
      .start_timeout_ns = PLAN_UNSET,
  };
  plan_check_name(r, at, at->key);
  uint64_t success[4] = {1};
  p->restart = plan_read_restart(r, at, NULL);
  p->success_set = plan_share(r, success, sizeof success);
  p->stop = plan_read_stop(r, at, NULL);
  if (cJSON_IsString(v) || cJSON_IsArray(v)) {
    p->argv = plan_read_argv(r, at, v);
    p->env = plan_copy_words(r, NULL);
    return;
  }
  if (!cJSON_IsObject(v) || json_fn(v)) {
    plan_problem(r, at, v, "a table", "write %s = { command = { \"program\", ... } }", at->key);
    return;
  }
  read_keys(r, at, v, process_keys, ARRAY_LEN(process_keys));
  const cJSON *command = read_get(v, "command");
  if (command)
    p->argv = plan_read_argv(r, AT_KEY(at, "command"), command);
  else
    plan_problem(r, AT_KEY(at, "command"), NULL, "a list of the program and its arguments",
                 "it is missing: write command = { \"program\", ... }");
  p->env = read_env(r, at, v);
  read_text(r, at, v, "description", &p->description);
  read_path(r, at, v, "cwd", &p->cwd);
  read_user(r, at, v, &p->user);
  read_bool(r, at, v, "no_new_privs", &p->no_new_privs);
  int instances = 1;
  read_int(r, at, v, "instances", 1, LIMIT_INSTANCES, &instances);
  p->instances = (unsigned)instances;
  plan_read_scale(r, at, v, p);
  read_bool(r, at, v, "essential", &p->essential);
  read_choice(r, at, v, "mode", plan_modes, PLAN_MODES_N, &p->mode);
  read_duration(r, at, v, "interval", 0, year, &p->interval_ns);
  p->restart = plan_read_restart(r, at, v);
  if (read_codes(r, at, v, "success_codes", success)) p->success_set = plan_share(r, success, sizeof success);
  p->stop = plan_read_stop(r, at, v);
  read_duration(r, at, v, "start_timeout", NS_PER_MS, year, &p->start_timeout_ns);
  static const char *const on_change[] = {"next_start", "restart"};
  int change = 0;
  read_choice(r, at, v, "on_change", on_change, ARRAY_LEN(on_change), &change);
  p->restart_on_change = change == 1;
  const cJSON *startup = read_get(v, "startup");
  if (startup && (p->startup = plan_alloc(r, 1, sizeof(*p->startup)))) {
    if (!plan_read_check(r, AT_KEY(at, "startup"), startup, true, p->startup)) p->startup = NULL;
  }
}

/* `after` needs all names, so it comes when all processes are read; json[i] belongs to processes[i]. */
static void read_after(struct plan_reader *r, const struct at *at, const cJSON *v, struct plan_process *p) {
  const cJSON *after =
      cJSON_IsString(read_get(v, "after")) ? read_get(v, "after") : read_list(r, at, v, "after", LIMIT_AFTER);
  if (!after) return;
  const char *names[LIMIT_PROCESSES];
  for (size_t i = 0; i < r->plan->processes_n; i++) names[i] = r->plan->processes[i].name;
  size_t most = cJSON_IsString(after) ? 1 : (size_t)cJSON_GetArraySize(after);
  p->after = plan_alloc(r, most, sizeof(*p->after));
  if (!p->after) return;
  const struct at here = {.up = at, .key = "after"};
  size_t i = 0;
  for (const cJSON *e = cJSON_IsString(after) ? after : after->child; e;
       e = cJSON_IsString(after) ? NULL : e->next, i++) {
    int found = cJSON_IsString(e) ? plan_find_process(r->plan, e->valuestring) : -1;
    if (found < 0) {
      const char *near = cJSON_IsString(e) ? str_nearest(e->valuestring, names, r->plan->processes_n) : NULL;
      plan_problem(r, AT_INDEX(&here, i), e, "the name of a process of this flow", near ? "did you mean \"%s\"?" : "%s",
                   near ? near : "");
      continue;
    }
    bool twice = false;
    for (size_t k = 0; k < p->after_n; k++) twice |= p->after[k] == found;
    if (twice)
      plan_problem(r, AT_INDEX(&here, i), e, "each name once", "remove one of the two");
    else if (&r->plan->processes[found] == p)
      plan_problem(r, AT_INDEX(&here, i), e, "another process", "a process cannot come after itself");
    else
      p->after[p->after_n++] = (uint16_t)found;
  }
}

static void find_main(struct plan_reader *r, const struct at *at) {
  struct plan *plan = r->plan;
  int main = plan_find_process(plan, "main");
  if (main < 0 && plan->processes_n == 1) main = 0;
  if (main < 0) {
    plan_problem(r, at, NULL, "a process named main, which decides the life of the container",
                 "name one of the processes main");
    return;
  }
  plan->main = (size_t)main;
  plan->processes[main].essential = true;
  if (plan_slots(&plan->processes[main]) != 1)
    plan_problem(r, AT_KEY(AT_KEY(at, plan->processes[main].name), "instances"), NULL,
                 "one instance of the main process", "put what runs several times into a process of its own");
}

void plan_read_processes(struct plan_reader *r, const struct at *at, const cJSON *flow) {
  struct plan *plan = r->plan;
  const struct at here = {.up = at, .key = "processes"};
  const cJSON *list = read_object(r, at, flow, "processes");
  if (!list || !list->child) {
    if (list || !read_get(flow, "processes"))
      plan_problem(r, &here, NULL, "at least the main process",
                   "write processes = { main = { command = { \"program\", ... } } }");
    return;
  }
  int n = cJSON_GetArraySize(list);
  if (n > LIMIT_PROCESSES) {
    plan_problem(r, &here, NULL, "at most 1024 processes", "it has %d", n);
    return;
  }
  plan->processes = plan_alloc(r, (size_t)n, sizeof(*plan->processes));
  if (!plan->processes) return;
  unsigned instances = 0;
  const cJSON *v;
  cJSON_ArrayForEach(v, list) {
    const struct at place = {.up = &here, .key = v->string};
    if (plan_find_process(plan, v->string) >= 0) {
      plan_problem(r, &place, NULL, "each name once", "remove one of the two");
      continue;
    }
    struct plan_process *p = &plan->processes[plan->processes_n];
    read_process(r, &place, v, p);
    plan->processes_n++;
    instances += plan_slots(p);
  }
  if (instances > LIMIT_INSTANCES)
    plan_problem(r, &here, NULL, "at most 1024 instances of all processes together", "there are %u", instances);
  for (size_t i = 0; i < plan->processes_n; i++) {
    const char *name = plan->processes[i].name;
    read_after(r, &(const struct at){.up = &here, .key = name}, cJSON_GetObjectItemCaseSensitive(list, name),
               &plan->processes[i]);
  }
  find_main(r, &here);
  plan_order(r, &here);
}
