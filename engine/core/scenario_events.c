/* A run that has been, as a scenario: the ends of its processes, what checks and dependencies said, the signals. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/event.h"
#include "core/scenario.h"

struct recorded {
  const struct plan *plan;
  cJSON *root;
  cJSON *dependencies, *checks, *processes, *orders, *started; /* started: when each instance was, by its key */
  double first_s, last_s;
  bool begun;
};

static const char *text_of(const cJSON *details, const char *key) {
  return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(details, key));
}

static void begin(struct recorded *r, double at) {
  cJSON_Delete(r->root);
  cJSON_Delete(r->started);
  r->root = cJSON_CreateObject();
  r->started = cJSON_CreateObject();
  r->dependencies = cJSON_AddObjectToObject(r->root, "dependencies");
  r->checks = cJSON_AddObjectToObject(r->root, "checks");
  r->processes = cJSON_AddObjectToObject(r->root, "processes");
  r->orders = cJSON_AddArrayToObject(r->root, "orders");
  r->first_s = r->last_s = at;
  r->begun = true;
}

/* The list under key, made where it is missing. */
static cJSON *list_of(cJSON *of, const char *key) {
  cJSON *list = cJSON_GetObjectItemCaseSensitive(of, key);
  return list ? list : cJSON_AddArrayToObject(of, key);
}

static double after(const struct recorded *r, double at) {
  double s = at - r->first_s;
  return s > 0 ? (double)(int64_t)(s * 1000 + 0.5) / 1000 : 0;
}

static bool is_among(const char *name, const struct plan_check *list, size_t n) {
  for (size_t i = 0; name && i < n; i++)
    if (STR_EQ(list[i].name, name)) return true;
  return false;
}

/* What is told was so a moment before: a run takes time, and one of the simulation that comes just before it shall see
 * it. */
#define MOMENT_S 0.1

/* The first result is what it would have said before, too. */
static void add_change(const struct recorded *r, cJSON *of, const char *name, double at, const char *is) {
  const struct plan *p = r->plan;
  bool known =
      of == r->checks ? is_among(name, p->checks, p->checks_n) : is_among(name, p->dependencies, p->dependencies_n);
  if (!known) return;
  cJSON *entry = cJSON_CreateObject();
  cJSON *list = list_of(of, name);
  cJSON_AddNumberToObject(entry, "at", list && list->child ? after(r, at - MOMENT_S) : 0);
  cJSON_AddStringToObject(entry, "is", is && *is ? is : "fail");
  cJSON_AddItemToArray(list, entry);
}

/* Of which instance of a process it is told; false: there is none such. */
static bool key_of(const struct recorded *r, const cJSON *details, char *to, size_t size) {
  const char *process = text_of(details, "process");
  int at = process ? plan_find_process(r->plan, process) : -1;
  const cJSON *instance = cJSON_GetObjectItemCaseSensitive(details, "instance");
  if (at < 0) return false;
  if (!cJSON_IsNumber(instance))
    snprintf(to, size, "%s", process);
  else if (instance->valueint >= 0 && (unsigned)instance->valueint < plan_slots(&r->plan->processes[at]))
    snprintf(to, size, "%s/%d", process, instance->valueint);
  else
    return false;
  return true;
}

static void process_started(struct recorded *r, const cJSON *details, double at) {
  char key[2 * LIMIT_NAME];
  if (!key_of(r, details, key, sizeof key)) return;
  cJSON_DeleteItemFromObjectCaseSensitive(r->started, key);
  cJSON_AddNumberToObject(r->started, key, at);
}

/* An end that tend had asked for is no end of its own: it runs until it is asked again. */
static void process_exited(struct recorded *r, const cJSON *details, double at) {
  char key[2 * LIMIT_NAME];
  if (!key_of(r, details, key, sizeof key)) return;
  const cJSON *started = cJSON_GetObjectItemCaseSensitive(r->started, key);
  const char *reason = text_of(details, "reason"), *signal = text_of(details, "signal");
  bool asked = reason && (STR_EQ(reason, "stopped") || STR_EQ(reason, "check") || STR_EQ(reason, "start_timeout"));
  cJSON *run = cJSON_CreateObject();
  if (!asked) {
    double from = started ? started->valuedouble : r->first_s;
    cJSON_AddNumberToObject(run, "runs", at > from ? (double)(int64_t)((at - from) * 1000 + 0.5) / 1000 : 0);
    const cJSON *code = cJSON_GetObjectItemCaseSensitive(details, "exit_code");
    if (signal)
      cJSON_AddStringToObject(run, "signal", signal);
    else
      cJSON_AddNumberToObject(run, "exit", code ? code->valuedouble : 0);
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(details, "oom"))) cJSON_AddBoolToObject(run, "oom", true);
  }
  cJSON_AddItemToArray(list_of(r->processes, key), run);
}

static void stopping(struct recorded *r, const cJSON *details, double at) {
  const char *signal = text_of(details, "signal"), *cause = text_of(details, "cause");
  cJSON *order = cJSON_CreateObject();
  if (signal) /* HUP stops where the terminal is gone, as TERM does */
    cJSON_AddStringToObject(order, "signal", STR_EQ(signal, "HUP") ? "TERM" : signal);
  else if (cause && STR_EQ(cause, "shutdown"))
    cJSON_AddBoolToObject(order, "shutdown", true);
  if (order->child) {
    cJSON_AddNumberToObject(order, "at", after(r, at));
    cJSON_AddItemToArray(r->orders, order);
  } else { /* the policy's own doing */
    cJSON_Delete(order);
  }
}

static void operated(struct recorded *r, const cJSON *details, double at) {
  const char *op = text_of(details, "op");
  if (!op || (!STR_EQ(op, "start") && !STR_EQ(op, "stop") && !STR_EQ(op, "restart"))) return;
  const cJSON *args = cJSON_GetObjectItemCaseSensitive(details, "args");
  const char *process = text_of(args ? args : details, "process");
  if (process && plan_find_process(r->plan, process) < 0) return;
  cJSON *order = cJSON_CreateObject();
  if (process)
    cJSON_AddStringToObject(order, op, process);
  else
    cJSON_AddBoolToObject(order, op, true);
  cJSON_AddNumberToObject(order, "at", after(r, at));
  cJSON_AddItemToArray(r->orders, order);
}

static void take(struct recorded *r, const char *event, const cJSON *details, double at) {
  if (STR_EQ(event, "startup_initiated") && text_of(details, "cause") && STR_EQ(text_of(details, "cause"), "begin"))
    begin(r, at);
  if (!r->begun) return;
  r->last_s = at;
  if (STR_EQ(event, "process_started"))
    process_started(r, details, at);
  else if (STR_EQ(event, "process_exited"))
    process_exited(r, details, at);
  else if (STR_EQ(event, "dependency_waiting") || STR_EQ(event, "dependency_failed"))
    add_change(r, r->dependencies, text_of(details, "name"), at, text_of(details, "reason"));
  else if (STR_EQ(event, "dependency_ready"))
    add_change(r, r->dependencies, text_of(details, "name"), at, "ok");
  else if (STR_EQ(event, "health_check_failed"))
    add_change(r, r->checks, text_of(details, "check"), at, text_of(details, "reason"));
  else if (STR_EQ(event, "health_check_passed"))
    add_change(r, r->checks, text_of(details, "check"), at, "ok");
  else if (STR_EQ(event, "shutdown_initiated"))
    stopping(r, details, at);
  else if (STR_EQ(event, "audit") && !text_of(details, "outcome")) /* it was asked for; what came of it is another */
    operated(r, details, at);
}

/* A check that is told under the name of a dependency is that one's. */
static void part_names(struct recorded *r) {
  cJSON *item;
  cJSON_ArrayForEach(item, r->dependencies) cJSON_DeleteItemFromObjectCaseSensitive(r->checks, item->string);
}

int scenario_from_events(const char *text, size_t n, const char *file, const struct plan *plan, cJSON **out,
                         struct err *err) {
  struct recorded r = {.plan = plan};
  size_t line = 0;
  int rc = 0;
  for (const char *p = text, *end = text + n; p < end && !rc; line++) {
    const char *nl = memchr(p, '\n', (size_t)(end - p));
    size_t len = nl ? (size_t)(nl - p) : (size_t)(end - p);
    auto_json cJSON *event = len ? cJSON_ParseWithLength(p, len) : NULL;
    p += len + 1;
    if (len && !cJSON_IsObject(event) && nl) /* a last line may have been cut off */
      rc = err_set(err, -EINVAL, "%s:%zu: expected an event as JSON, as in events.jsonl", file, line + 1);
    int64_t at;
    const char *name = text_of(event, "event"), *time = text_of(event, "timestamp");
    if (name && time && clock_parse(time, &at) == 0)
      take(&r, name, cJSON_GetObjectItemCaseSensitive(event, "details"), (double)at / NS_PER_S);
  }
  if (!rc && !r.begun)
    rc = err_set(err, -EINVAL, "%s: no run begins in it: expected an event startup_initiated with cause begin", file);
  if (!rc) {
    part_names(&r);
    cJSON_AddNumberToObject(r.root, "lasts", after(&r, r.last_s) + 1);
    *out = r.root;
  } else {
    cJSON_Delete(r.root);
  }
  cJSON_Delete(r.started);
  return rc;
}
