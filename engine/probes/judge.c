#include "probes/judge.h"

#include <errno.h>
#include <stdio.h>

#include "base/str.h"

void probe_say(struct probe_result *out, enum probe_status status, const char *reason, const char *detail) {
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
  probe_say(out, PROBE_UNKNOWN, "script", "");
  snprintf(out->detail, sizeof out->detail,
           "the function returned %s%s%.40s%s; expected true, nil and a reason, or { status = ... }", what,
           word ? " \"" : "", word ? word : "", word ? "\"" : "");
}

static void judge_refusal(const cJSON *error, struct probe_result *out) {
  const char *text = cJSON_IsString(error) ? error->valuestring : member(error, "message");
  const char *code = member(error, "reason");
  if (!code) code = member(error, "code");
  probe_say(out, PROBE_FAIL, code ? code : "script", text ? text : "the function did not return true");
}

void probe_judge(const cJSON *values, struct probe_result *out) {
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
    probe_say(out, status, status == PROBE_OK ? "" : reason ? reason : "script", detail ? detail : "");
    if (cJSON_IsObject(first)) out->data = first;
  }
}
