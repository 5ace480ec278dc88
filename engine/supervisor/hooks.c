#include "supervisor/hooks.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

struct hook_run {
  struct hook_call call;
  const struct policy *policy;
  struct plan_hook hook[LIMIT_HOOKS]; /* copies: the plan may be another one before the last is called */
  char name[LIMIT_HOOKS][LIMIT_NAME];
  size_t n, at;
  uint64_t task;
  char *about;
  struct hook_answer answer;
  char word[HOOK_WORD];
};

static const char *const points[PLAN_HOOKS_N] = {
#define P(id, key, doc) [PLAN_HOOK_##id] = key,
    PLAN_HOOKS(P)
#undef P
};

const char *hook_point_name(enum plan_hook_kind kind) { return points[kind]; }

static void run_free(struct hook_run *r) {
  free(r->about);
  free(r);
}

static void tell(const struct hook_run *r, const char *what) {
  auto_buf struct buf details = {0};
  struct json j = JSON_INIT(&details);
  json_object(&j, NULL);
  json_str(&j, "hook", points[r->call.kind]);
  json_str(&j, "name", r->name[r->at]);
  json_object_end(&j);
  auto_buf struct buf message = {0};
  buf_fmt(&message, "hook %s: %s", points[r->call.kind], what);
  sink_emit(r->call.sink, EVENT_SCRIPT_ERROR,
            &(struct sink_event){.level = LEVEL_ERROR, .message = buf_cstr(&message), .details = buf_cstr(&details)});
}

/* --- answers ----------------------------------------------------------------------------------------------------- */

static const char *text(const cJSON *object, const char *key) {
  return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static int find_choice(const struct hook_run *r, const char *word) {
  for (int i = 0; i < HOOK_CHOICES && r->call.choices[i]; i++)
    if (STR_EQ(r->call.choices[i], word)) return i;
  return -1;
}

/* A word; or { action = word, delay = seconds, reason = text }; nil and nothing: no choice. */
static void take_answer(struct hook_run *r, const cJSON *values) {
  const cJSON *first = cJSON_GetArrayItem(values, 0);
  if (!first || cJSON_IsNull(first) || !r->call.choices[0]) return;
  const char *word = cJSON_IsString(first) ? first->valuestring : text(first, "action");
  int choice = word ? find_choice(r, word) : -1;
  if (choice < 0) {
    auto_buf struct buf b = {0};
    buf_fmt(&b, "it returned %s%.40s%s, expected nil or one of", word ? "\"" : "", word ? word : "something else",
            word ? "\"" : "");
    for (int i = 0; i < HOOK_CHOICES && r->call.choices[i]; i++)
      buf_fmt(&b, "%s \"%s\"", i ? "," : "", r->call.choices[i]);
    tell(r, buf_cstr(&b));
    return;
  }
  const cJSON *delay = cJSON_GetObjectItemCaseSensitive(first, "delay");
  const char *reason =
      cJSON_IsObject(first) ? text(first, "reason") : cJSON_GetStringValue(cJSON_GetArrayItem(values, 1));
  bool timed = cJSON_IsNumber(delay) && delay->valuedouble >= 0 && delay->valuedouble <= 86400;
  if (delay && !timed) tell(r, "delay: expected seconds from 0 to 86400; it is passed over");
  str_copy(r->word, sizeof r->word, r->call.choices[choice]);
  r->answer.delay_ns = timed ? (int64_t)(delay->valuedouble * (double)NS_PER_S) : -1;
  str_copy(r->answer.by, sizeof r->answer.by, r->name[r->at]);
  str_copy(r->answer.reason, sizeof r->answer.reason, reason ? reason : "");
}

/* --- one after the other ----------------------------------------------------------------------------------------- */

static void next(struct hook_run *r);

static void on_done(void *arg, enum policy_status status, const cJSON *values, const struct err *err) {
  struct hook_run *r = arg;
  r->task = 0;
  if (status == POLICY_OK)
    take_answer(r, values);
  else
    tell(r, err->msg);
  r->at++;
  next(r);
}

static void write_about(const struct hook_run *r, struct buf *out) {
  struct json j = JSON_INIT(out);
  json_object(&j, NULL);
  json_str(&j, "hook", points[r->call.kind]);
  json_str(&j, "name", r->name[r->at]);
  if (r->call.choices[0]) {
    json_str(&j, "default", r->call.choices[0]);
    json_str(&j, "decision", r->word);
    json_array(&j, "choices");
    for (int i = 0; i < HOOK_CHOICES && r->call.choices[i]; i++) json_str(&j, NULL, r->call.choices[i]);
    json_array_end(&j);
  }
  json_object_end(&j);
  if (!r->about || out->failed) return;
  out->len--; /* the last brace */
  buf_fmt(out, ", %s}", r->about);
}

/* Starts the one that is next; false: it cannot be. */
static bool start(struct hook_run *r) {
  const struct plan_hook *h = &r->hook[r->at];
  int64_t now = clock_mono_ns();
  int64_t due = now + (h->timeout_ns == PLAN_UNSET ? r->call.each_ns : h->timeout_ns);
  if (due > r->call.deadline_ns) due = r->call.deadline_ns;
  auto_buf struct buf about = {0};
  struct err err = ERR_INIT;
  char name[2 * LIMIT_NAME];
  snprintf(name, sizeof name, "%s %s", points[r->call.kind], r->name[r->at]);
  write_about(r, &about);
  if (!about.failed)
    r->task = r->policy->call(r->policy->self, h->fn, name, buf_cstr(&about), due, on_done, r, &err);
  else
    err_set(&err, -12, "no memory");
  if (!r->task) tell(r, err.msg);
  return r->task != 0;
}

static void next(struct hook_run *r) {
  /* a generation that was replaced has nothing more to say */
  while (r->at < r->n && *r->call.policy == r->policy && clock_mono_ns() < r->call.deadline_ns) {
    if (start(r)) return;
    r->at++;
  }
  hook_done_fn *done = r->call.done;
  void *arg = r->call.arg;
  struct hook_answer answer = r->answer;
  char word[HOOK_WORD];
  str_copy(word, sizeof word, r->word);
  answer.word = word;
  run_free(r);
  if (done) done(arg, &answer);
}

struct hook_run *hooks_run(const struct hook_call *call) {
  const struct plan_hooks *hooks = &call->plan->hooks[call->kind];
  if (!hooks->n || !*call->policy || clock_mono_ns() >= call->deadline_ns) return NULL;
  struct hook_run *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  r->call = *call;
  r->policy = *call->policy;
  r->n = hooks->n;
  r->answer.delay_ns = -1;
  r->about = call->about ? strdup(call->about) : NULL;
  if (call->choices[0]) str_copy(r->word, sizeof r->word, call->choices[0]);
  for (size_t i = 0; i < r->n; i++) {
    r->hook[i] = hooks->list[i];
    str_copy(r->name[i], LIMIT_NAME, hooks->list[i].name);
  }
  while (r->at < r->n && !start(r)) r->at++;
  if (r->at < r->n) return r;
  run_free(r);
  return NULL;
}

void hooks_cancel(struct hook_run *r) {
  if (!r) return;
  if (r->task) r->policy->cancel(r->policy->self, r->task);
  run_free(r);
}
