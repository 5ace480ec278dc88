#include "core/scenario.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/plan_read.h"
#include "core/shutdown.h"

#define DAY_NS (24 * 3600 * NS_PER_S)
#define LASTS_MAX_NS (3660 * DAY_NS)
#define TIME_TEXT "seconds as a number, or text like \"250ms\", \"90s\", \"5m\", \"2h\", \"7d\""

enum { LIST_MAX = 100000, NAMES_MAX = 256 };

struct reading {
  struct plan_reader r;
  const struct plan *plan;
  struct scenario *s;
};

int scenario_duration(const cJSON *v, int64_t *out_ns) {
  int64_t ns = -1;
  if (cJSON_IsNumber(v) && v->valuedouble >= 0 && v->valuedouble < 1e9) {
    ns = (int64_t)llround(v->valuedouble * 1e9);
  } else if (cJSON_IsString(v)) {
    char text[32];
    size_t n = strlen(v->valuestring);
    bool days = n > 1 && n < sizeof text && v->valuestring[n - 1] == 'd';
    str_copy(text, sizeof text, v->valuestring);
    if (days) text[n - 1] = 0;
    if (n >= sizeof text || (days && strspn(text, "0123456789.") != n - 1)) return -EINVAL;
    int rc = str_duration(text, days ? DAY_NS : NS_PER_S, &ns);
    if (rc) return rc;
  } else {
    return -EINVAL;
  }
  if (ns < 0 || ns > LASTS_MAX_NS) return -ERANGE;
  *out_ns = ns;
  return 0;
}

static bool read_time(struct reading *x, const struct at *at, const cJSON *object, const char *key, int64_t *out) {
  const cJSON *v = read_get(object, key);
  if (!v) return false;
  if (scenario_duration(v, out) == 0) return true;
  plan_problem(&x->r, AT_KEY(at, key), v, TIME_TEXT, "ten years at most");
  return false;
}

static bool is_table(const cJSON *v) { return cJSON_IsObject(v) && !json_fn(v); }

/* A name that is not among those that there are. */
static void unknown_name(struct reading *x, const struct at *at, const char *name, const char *what,
                         const char *const *names, size_t n) {
  const char *near = str_nearest(name, names, n);
  auto_buf struct buf allowed = {0};
  buf_fmt(&allowed, "%s of flow %s", what, x->plan->name);
  for (size_t i = 0; i < n && i < 16; i++) buf_fmt(&allowed, "%s%s", i ? ", " : ": ", names[i]);
  if (!n) buf_str(&allowed, "; it has none");
  plan_problem(&x->r, at, NULL, buf_cstr(&allowed), near ? "did you mean \"%s\"?" : "%s", near ? near : "remove it");
}

/* --- time lines -------------------------------------------------------------------------------------------------- */

static void read_is(struct reading *x, const struct at *at, const cJSON *v, bool number, struct scenario_entry *e) {
  if (number) {
    if (cJSON_IsNumber(v) && v->valuedouble >= 0)
      e->number = v->valuedouble;
    else
      plan_problem(&x->r, at, v, "how many instances are wanted, a number", "write is = 3");
    return;
  }
  if (!cJSON_IsString(v) || !*v->valuestring) {
    plan_problem(&x->r, at, v,
                 "\"ok\", \"warn\", \"unknown\", or why it is bad: \"fail\", \"refused\", \"timeout\" ...",
                 "write is = \"ok\"");
    return;
  }
  e->result = CHECK_FAIL;
  for (int i = CHECK_OK; i <= CHECK_CANNOT; i++)
    if (STR_EQ(v->valuestring, check_result_name((enum check_result)i))) e->result = (enum check_result)i;
  bool named = STR_EQ(v->valuestring, check_result_name(e->result));
  e->reason = named ? "" : v->valuestring;
}

static void read_entry(struct reading *x, const struct at *at, const cJSON *v, bool number, struct scenario_entry *e) {
  static const char *const keys[] = {"at", "is", "lasts", "every", "heals"};
  if (!is_table(v)) {
    plan_problem(&x->r, at, v, "a table", "write { at = 0, is = %s }", number ? "1" : "\"ok\"");
    return;
  }
  read_keys(&x->r, at, v, keys, ARRAY_LEN(keys));
  read_time(x, at, v, "at", &e->at_ns);
  read_time(x, at, v, "lasts", &e->lasts_ns);
  read_time(x, at, v, "every", &e->every_ns);
  read_text(&x->r, at, v, "heals", &e->heals);
  read_is(x, AT_KEY(at, "is"), read_get(v, "is"), number, e);
  if (e->every_ns && (e->lasts_ns == TIME_NEVER || e->lasts_ns > e->every_ns))
    plan_problem(&x->r, AT_KEY(at, "every"), read_get(v, "every"), "together with lasts, which is no longer than it",
                 "say how long it lasts each time");
}

static void read_line(struct reading *x, const struct at *at, const cJSON *v, bool number, struct scenario_line *out) {
  bool list = cJSON_IsArray(v);
  size_t n = list ? (size_t)cJSON_GetArraySize(v) : 1;
  if (n > LIST_MAX) {
    plan_problem(&x->r, at, NULL, "a shorter list", "%d entries are possible", LIST_MAX);
    return;
  }
  out->entries = plan_alloc(&x->r, n + 1, sizeof *out->entries);
  if (!out->entries) return;
  const cJSON *item = list ? v->child : v;
  for (size_t i = 0; i < n; i++, item = item->next) {
    struct scenario_entry *e = &out->entries[i];
    *e = (struct scenario_entry){.lasts_ns = TIME_NEVER, .reason = ""};
    if (list)
      read_entry(x, AT_INDEX(at, i), item, number, e);
    else if (is_table(v))
      read_entry(x, at, v, number, e);
    else
      read_is(x, at, v, number, e);
  }
  out->n = n;
}

static void read_lines(struct reading *x, const struct at *top, const cJSON *json, const char *key, const char *what,
                       const char *const *names, size_t n_names, struct scenario_line **out, size_t *n) {
  const cJSON *all = read_object(&x->r, top, json, key);
  size_t count = all ? (size_t)cJSON_GetArraySize(all) : 0;
  if (!count) return;
  *out = plan_alloc(&x->r, count, sizeof **out);
  if (!*out) return;
  const cJSON *v;
  cJSON_ArrayForEach(v, all) {
    const struct at at = {.up = AT_KEY(top, key), .key = v->string};
    bool known = false;
    for (size_t i = 0; i < n_names && !known; i++) known = STR_EQ(names[i], v->string);
    if (!known) unknown_name(x, &at, v->string, what, names, n_names);
    (*out)[*n].name = v->string;
    read_line(x, &at, v, STR_EQ(key, "scale"), &(*out)[(*n)++]);
  }
}

static size_t names_of_checks(const struct plan_check *list, size_t n, const char **names, size_t at) {
  for (size_t i = 0; i < n && at < NAMES_MAX; i++) names[at++] = list[i].name;
  return at;
}

static void read_all_lines(struct reading *x, const struct at *top, const cJSON *json) {
  const char *names[NAMES_MAX];
  const struct plan *p = x->plan;
  struct scenario *s = x->s;
  size_t n = names_of_checks(p->dependencies, p->dependencies_n, names, 0);
  read_lines(x, top, json, "dependencies", "a dependency", names, n, &s->dependencies, &s->dependencies_n);
  n = names_of_checks(p->checks, p->checks_n, names, 0);
  read_lines(x, top, json, "checks", "a check", names, n, &s->checks, &s->checks_n);
  n = 0;
  for (size_t i = 0; i < p->processes_n && n < NAMES_MAX; i++)
    if (p->processes[i].scale) names[n++] = p->processes[i].name;
  read_lines(x, top, json, "scale", "a process that is scaled", names, n, &s->scale, &s->scale_n);
}

/* --- processes --------------------------------------------------------------------------------------------------- */

static void read_ready(struct reading *x, const struct at *at, const cJSON *v, struct scenario_run *run) {
  const cJSON *ready = read_get(v, "ready");
  if (cJSON_IsFalse(ready))
    run->ready_ns = TIME_NEVER;
  else if (ready && !cJSON_IsTrue(ready))
    read_time(x, at, v, "ready", &run->ready_ns);
  if (cJSON_IsFalse(read_get(v, "stops")))
    run->stops_ns = TIME_NEVER;
  else
    read_time(x, at, v, "stops", &run->stops_ns);
  const cJSON *repeats = read_get(v, "repeats");
  int times = 1;
  if (cJSON_IsTrue(repeats))
    run->repeats = 0;
  else if (repeats && read_int(&x->r, at, v, "repeats", 1, 1000000, &times))
    run->repeats = (unsigned)times;
}

static void read_run(struct reading *x, const struct at *at, const cJSON *v, struct scenario_run *run) {
  static const char *const keys[] = {"runs",  "exit",  "signal",    "oom",    "fails",
                                     "ready", "stops", "stop_exit", "repeats"};
  if (!is_table(v)) {
    plan_problem(&x->r, at, v, "a table", "write { runs = 60, exit = 3 }");
    return;
  }
  read_keys(&x->r, at, v, keys, ARRAY_LEN(keys));
  int code = 0, signal = 0;
  bool ends = read_time(x, at, v, "runs", &run->runs_ns);
  bool exits = read_int(&x->r, at, v, "exit", 0, 255, &code);
  bool killed = read_signal(&x->r, at, v, "signal", &signal);
  read_bool(&x->r, at, v, "oom", &run->oom);
  if (run->oom && !killed) signal = 9;
  run->status = signal ? signal : code << 8;
  if (exits && signal)
    plan_problem(&x->r, AT_KEY(at, "exit"), read_get(v, "exit"), "either exit or signal", "remove one");
  const char *fails = NULL;
  run->fails = read_text(&x->r, at, v, "fails", &fails);
  if (run->fails) {
    run->error = STR_EQ(fails, "ENOENT")   ? ENOENT
                 : STR_EQ(fails, "EACCES") ? EACCES
                 : STR_EQ(fails, "EAGAIN") ? EAGAIN
                                           : 0;
    if (!run->error)
      plan_problem(&x->r, AT_KEY(at, "fails"), read_get(v, "fails"), "\"ENOENT\", \"EACCES\" or \"EAGAIN\"",
                   "the reason for which it cannot be started");
  } else if (!ends && (exits || signal)) {
    plan_problem(&x->r, AT_KEY(at, "runs"), NULL, TIME_TEXT, "say how long it runs before it ends");
  }
  read_ready(x, at, v, run);
  read_int(&x->r, at, v, "stop_exit", 0, 255, &run->stop_exit);
}

/* "worker", or "worker/2" for one instance. */
static bool find_process(const struct plan *plan, const char *name, struct scenario_process *out) {
  out->instance = -1;
  int i = plan_find_process(plan, name);
  const char *slash = i < 0 ? strrchr(name, '/') : NULL;
  if (slash) {
    char base[LIMIT_NAME];
    int64_t number = -1;
    snprintf(base, sizeof base, "%.*s", (int)(slash - name), name);
    i = plan_find_process(plan, base);
    if (i < 0 || str_int(slash + 1, 0, plan_slots(&plan->processes[i]) - 1, &number)) return false;
    out->instance = (int)number;
  }
  out->process = (unsigned)i;
  return i >= 0;
}

static size_t names_of_processes(const struct plan *plan, const char **names) {
  size_t n = 0;
  for (size_t i = 0; i < plan->processes_n && n < NAMES_MAX; i++) names[n++] = plan->processes[i].name;
  return n;
}

static void read_processes(struct reading *x, const struct at *top, const cJSON *json) {
  const cJSON *all = read_object(&x->r, top, json, "processes");
  size_t count = all ? (size_t)cJSON_GetArraySize(all) : 0;
  x->s->processes = plan_alloc(&x->r, count + 1, sizeof *x->s->processes);
  const cJSON *v;
  cJSON_ArrayForEach(v, all) {
    if (!x->s->processes) return;
    struct scenario_process *p = &x->s->processes[x->s->processes_n];
    const struct at at = {.up = AT_KEY(top, "processes"), .key = v->string};
    const char *names[NAMES_MAX];
    if (!find_process(x->plan, v->string, p)) {
      unknown_name(x, &at, v->string, "a process, or NAME/INSTANCE,", names, names_of_processes(x->plan, names));
      continue;
    }
    const cJSON *runs = read_list(&x->r, at.up, all, v->string, LIST_MAX);
    size_t n = runs ? (size_t)cJSON_GetArraySize(runs) : 0;
    p->runs = plan_alloc(&x->r, n + 1, sizeof *p->runs);
    if (!p->runs) return;
    p->n = n;
    const cJSON *item = runs ? runs->child : NULL;
    for (size_t i = 0; i < n; i++, item = item->next) {
      p->runs[i] =
          (struct scenario_run){.runs_ns = TIME_NEVER, .stops_ns = 10 * NS_PER_MS, .stop_exit = -1, .repeats = 1};
      read_run(x, AT_INDEX(&at, i), item, &p->runs[i]);
    }
    x->s->processes_n++;
  }
}

/* --- steps of remedies, orders ----------------------------------------------------------------------------------- */

static bool has_step(const struct plan_remedy *m, const char *name) {
  for (size_t k = 0; k < m->steps_n + m->escalations_n; k++)
    if (STR_EQ(m->steps[k].name, name)) return true;
  return false;
}

/* A step by its name, or REMEDY/STEP. */
static bool is_step(const struct plan *plan, const char *name) {
  for (size_t i = 0; i < plan->remedies_n; i++) {
    const struct plan_remedy *m = &plan->remedies[i];
    size_t n = strlen(m->name);
    if (has_step(m, name) || (str_starts(name, m->name) && name[n] == '/' && has_step(m, name + n + 1))) return true;
  }
  return false;
}

static size_t names_of_steps(const struct plan *plan, const char **names) {
  size_t n = 0;
  for (size_t i = 0; i < plan->remedies_n; i++)
    for (size_t k = 0; k < plan->remedies[i].steps_n + plan->remedies[i].escalations_n && n < NAMES_MAX; k++)
      names[n++] = plan->remedies[i].steps[k].name;
  return n;
}

static void read_steps(struct reading *x, const struct at *top, const cJSON *json) {
  static const char *const keys[] = {"is", "takes"};
  const cJSON *all = read_object(&x->r, top, json, "remedies");
  size_t count = all ? (size_t)cJSON_GetArraySize(all) : 0;
  x->s->steps = plan_alloc(&x->r, count + 1, sizeof *x->s->steps);
  const char *outcomes[REMEDY_OUTCOMES];
  for (int i = 0; i < REMEDY_OUTCOMES; i++) outcomes[i] = remedy_outcome_name((enum remedy_outcome)i);
  const cJSON *v;
  cJSON_ArrayForEach(v, all) {
    if (!x->s->steps) return;
    struct scenario_step *step = &x->s->steps[x->s->steps_n++];
    const struct at at = {.up = AT_KEY(top, "remedies"), .key = v->string};
    const char *names[NAMES_MAX];
    step->name = v->string;
    if (!is_step(x->plan, v->string))
      unknown_name(x, &at, v->string, "a step of a remedy, or REMEDY/STEP,", names, names_of_steps(x->plan, names));
    int outcome = REMEDY_OK;
    if (is_table(v)) {
      read_keys(&x->r, &at, v, keys, ARRAY_LEN(keys));
      read_choice(&x->r, &at, v, "is", outcomes, REMEDY_OUTCOMES, &outcome);
      read_time(x, &at, v, "takes", &step->takes_ns);
    } else {
      read_choice(&x->r, at.up, all, v->string, outcomes, REMEDY_OUTCOMES, &outcome);
    }
    step->outcome = (enum remedy_outcome)outcome;
  }
}

static void read_target(struct reading *x, const struct at *at, const cJSON *v, struct scenario_order *o) {
  o->process = -1;
  if (cJSON_IsTrue(v)) return;
  const char *names[NAMES_MAX];
  o->process = cJSON_IsString(v) ? plan_find_process(x->plan, v->valuestring) : -1;
  if (o->process < 0)
    unknown_name(x, at, cJSON_IsString(v) ? v->valuestring : "", "true for all, or a process", names,
                 names_of_processes(x->plan, names));
}

static void read_remediate(struct reading *x, const struct at *at, const cJSON *v, struct scenario_order *o) {
  const char *names[NAMES_MAX];
  size_t n = 0;
  for (size_t i = 0; i < x->plan->remedies_n && n < NAMES_MAX; i++) {
    names[n++] = x->plan->remedies[i].name;
    o->remedy = (unsigned)i;
    if (cJSON_IsString(v) && STR_EQ(v->valuestring, x->plan->remedies[i].name)) return;
  }
  unknown_name(x, at, cJSON_IsString(v) ? v->valuestring : "", "a remedy", names, n);
}

/* The others do not reach the policy. */
static void read_stop_signal(struct reading *x, const struct at *at, const cJSON *v, struct scenario_order *o) {
  if (read_signal(&x->r, at->up, v, at->key, &o->signal) && o->signal != SIGNAL_TERM && o->signal != SIGNAL_INT &&
      o->signal != SIGNAL_QUIT)
    plan_problem(&x->r, at, read_get(v, at->key), "\"TERM\", \"INT\" or \"QUIT\"", "%s", "");
}

static void read_order(struct reading *x, const struct at *at, const cJSON *v, struct scenario_order *o) {
  static const char *const keys[] = {"signal",   "start",       "stop",      "restart",
                                     "shutdown", "maintenance", "remediate", "at"};
  if (!is_table(v)) {
    plan_problem(&x->r, at, v, "a table", "write { at = 3600, signal = \"TERM\" }");
    return;
  }
  read_keys(&x->r, at, v, keys, ARRAY_LEN(keys));
  read_time(x, at, v, "at", &o->at_ns);
  unsigned found = 0;
  for (unsigned i = 0; i < ARRAY_LEN(keys) - 1; i++) {
    const cJSON *what = read_get(v, keys[i]);
    const struct at here = {.up = at, .key = keys[i]};
    if (!what) continue;
    found++;
    o->kind = (enum scenario_order_kind)i;
    if (o->kind == ORDER_SIGNAL)
      read_stop_signal(x, &here, v, o);
    else if (o->kind == ORDER_START || o->kind == ORDER_STOP || o->kind == ORDER_RESTART)
      read_target(x, &here, what, o);
    else if (o->kind == ORDER_REMEDIATE)
      read_remediate(x, &here, what, o);
    else if (o->kind == ORDER_MAINTENANCE && cJSON_IsBool(what))
      o->lasts_ns = cJSON_IsTrue(what) ? TIME_NEVER : 0;
    else if (o->kind == ORDER_MAINTENANCE)
      read_time(x, at, v, keys[i], &o->lasts_ns);
  }
  if (found != 1)
    plan_problem(&x->r, at, NULL, "at, and one of signal, start, stop, restart, shutdown, maintenance, remediate",
                 "write { at = 3600, signal = \"TERM\" }");
}

static int by_time(const void *a, const void *b) {
  const struct scenario_order *x = a, *y = b;
  if (x->at_ns != y->at_ns) return x->at_ns < y->at_ns ? -1 : 1;
  return x->number < y->number ? -1 : 1;
}

static void read_orders(struct reading *x, const struct at *top, const cJSON *json) {
  const cJSON *list = read_list(&x->r, top, json, "orders", LIST_MAX);
  size_t n = list ? (size_t)cJSON_GetArraySize(list) : 0;
  x->s->orders = plan_alloc(&x->r, n + 1, sizeof *x->s->orders);
  if (!x->s->orders) return;
  const cJSON *item = list ? list->child : NULL;
  const struct at at = {.up = top, .key = "orders"};
  for (size_t i = 0; i < n; i++, item = item->next) {
    x->s->orders[i].number = i;
    read_order(x, AT_INDEX(&at, i), item, &x->s->orders[i]);
  }
  x->s->orders_n = n;
  qsort(x->s->orders, n, sizeof *x->s->orders, by_time);
}

/* --- the whole --------------------------------------------------------------------------------------------------- */

int scenario_read(const cJSON *json, const struct plan *plan, const struct plan_options *options, struct scenario **out,
                  struct problems *problems) {
  static const char *const keys[] = {"lasts",     "seed",     "dependencies", "checks",
                                     "processes", "remedies", "scale",        "orders"};
  struct scenario *s = calloc(1, sizeof *s);
  struct plan *memory = s ? calloc(1, sizeof *memory) : NULL;
  if (!memory) {
    free(s);
    return -ENOMEM;
  }
  *s = (struct scenario){.lasts_ns = 3600 * NS_PER_S, .seed = 1, .memory_ = memory};
  struct reading x = {.r = {.options = options, .problems = problems, .plan = memory}, .plan = plan, .s = s};
  s->json_ = json ? cJSON_Duplicate(json, true) : cJSON_CreateObject();
  if (!s->json_) x.r.no_memory = true;
  json = s->json_;
  int seed = 1;
  read_keys(&x.r, NULL, json, keys, ARRAY_LEN(keys));
  read_time(&x, NULL, json, "lasts", &s->lasts_ns);
  if (read_int(&x.r, NULL, json, "seed", 0, INT32_MAX, &seed)) s->seed = (uint64_t)seed;
  read_all_lines(&x, NULL, json);
  read_processes(&x, NULL, json);
  read_steps(&x, NULL, json);
  read_orders(&x, NULL, json);
  plan_reader_end(&x.r);
  int rc = x.r.no_memory ? -ENOMEM : x.r.told ? -EINVAL : 0;
  if (rc)
    scenario_free(s);
  else
    *out = s;
  return rc;
}

void scenario_free(struct scenario *s) {
  if (!s) return;
  plan_free(s->memory_);
  cJSON_Delete(s->json_);
  free(s);
}
