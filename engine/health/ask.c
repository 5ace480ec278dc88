#include "health/ask.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/str.h"

void ask_result(struct probe_result *out, enum probe_status status, const char *reason, const char *detail) {
  *out = (struct probe_result){.status = status};
  str_copy(out->reason, sizeof out->reason, reason);
  str_copy(out->detail, sizeof out->detail, detail);
}

static const char *member(const cJSON *table, const char *key) {
  return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(table, key));
}

/* 0 with *out, or -EINVAL. */
static int parse_status(const char *word, enum probe_status *out) {
  for (int i = 0; i <= PROBE_UNKNOWN; i++)
    if (STR_EQ(probe_status_name((enum probe_status)i), word)) {
      *out = (enum probe_status)i;
      return 0;
    }
  return -EINVAL;
}

static void nonsense(struct probe_result *out, const char *what, const char *word) {
  ask_result(out, PROBE_UNKNOWN, "script", "");
  snprintf(out->detail, sizeof out->detail,
           "the function returned %s%s%.40s%s; expected true, nil and a reason, or { status = ... }", what,
           word ? " \"" : "", word ? word : "", word ? "\"" : "");
}

static void judge_refusal(const cJSON *error, struct probe_result *out) {
  const char *text = cJSON_IsString(error) ? error->valuestring : member(error, "message");
  const char *code = member(error, "reason");
  if (!code) code = member(error, "code");
  ask_result(out, PROBE_FAIL, code ? code : "script", text ? text : "the function did not return true");
}

void ask_judge(const cJSON *values, struct probe_result *out) {
  const cJSON *first = cJSON_GetArrayItem(values, 0), *second = cJSON_GetArrayItem(values, 1);
  const cJSON *given = cJSON_GetObjectItemCaseSensitive(first, "status");
  const char *word = cJSON_IsString(first) ? first->valuestring : cJSON_GetStringValue(given);
  enum probe_status status = PROBE_OK;
  if (!first || cJSON_IsNull(first) || cJSON_IsFalse(first))
    judge_refusal(second, out);
  else if (word && parse_status(word, &status))
    nonsense(out, "the status", word);
  else if (cJSON_IsNumber(first))
    nonsense(out, "a number", NULL);
  else if (given && !word)
    nonsense(out, "a status that is no text", NULL);
  else {
    const char *reason = member(first, "reason"), *detail = member(first, "detail");
    if (word == cJSON_GetStringValue(first) && cJSON_IsString(second)) detail = second->valuestring;
    ask_result(out, status, status == PROBE_OK ? "" : reason ? reason : "script", detail ? detail : "");
    if (cJSON_IsObject(first)) out->data = first;
  }
}

static void finish(struct ask *a, struct probe_result *r) {
  r->duration_ns = clock_mono_ns() - a->started_ns;
  probe_done_fn *done = a->done;
  void *arg = a->arg;
  a->probe = NULL;
  a->task = 0;
  done(arg, r);
}

static void on_probe(void *arg, const struct probe_result *result) {
  struct probe_result r = *result;
  finish(arg, &r);
}

static void on_function(void *arg, enum policy_status status, const cJSON *values, const struct err *err) {
  struct probe_result r;
  if (status == POLICY_OK)
    ask_judge(values, &r);
  else
    ask_result(&r, PROBE_UNKNOWN, status == POLICY_TIMEOUT ? "timeout" : "script", err ? err->msg : "");
  finish(arg, &r);
}

int ask_start(struct ask *a, const struct ask_what *what, const char *about, int64_t deadline_ns, probe_done_fn *done,
              void *arg, struct probe_result *failed) {
  struct err err = ERR_INIT;
  *a = (struct ask){.policy = what->policy, .started_ns = clock_mono_ns(), .done = done, .arg = arg};
  if (what->kind)
    a->probe = probe_start(what->probes, what->kind, what->params, deadline_ns, on_probe, a, &err);
  else if (what->policy)
    a->task = what->policy->call(what->policy->self, what->fn, what->name, about, deadline_ns, on_function, a, &err);
  else
    err_set(&err, -EINVAL, "it is a function, and there are no scripts");
  if (ask_runs(a)) return 0;
  ask_result(failed, PROBE_UNKNOWN, what->kind ? "config" : "script", err.msg);
  return -EINVAL;
}

bool ask_runs(const struct ask *a) { return a->probe || a->task; }

void ask_cancel(struct ask *a) {
  if (a->probe) probe_cancel(a->probe);
  if (a->task) a->policy->cancel(a->policy->self, a->task);
  a->probe = NULL;
  a->task = 0;
}
