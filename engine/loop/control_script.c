/* Commands that scripts add (control.command): found at each request, so that a reload changes them; what they print
 * goes to the client, who ends them by leaving or by cancel. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "loop/control_inner.h"

struct script_call {
  const struct policy *policy;
  struct control_reply *reply;
  uint64_t token;
};

const struct operation *script_command(const struct control *c, size_t i) {
  const struct policy *policy = c->policy ? *c->policy : NULL;
  return policy ? policy->command(policy->self, i) : NULL;
}

const struct operation *script_find(const struct control *c, const char *name) {
  const struct operation *op = NULL;
  for (size_t i = 0; (op = script_command(c, i)); i++)
    if (STR_EQ(op->name, name)) return op;
  return NULL;
}

static int on_write(void *arg, const char *text, size_t n) {
  struct script_call *s = arg;
  auto_buf struct buf part = {0};
  struct json j = JSON_INIT(&part);
  json_object(&j, NULL);
  json_strn(&j, "text", text, n);
  json_object_end(&j);
  return part.failed ? -EPIPE : control_push(s->reply, buf_cstr(&part), part.len);
}

/* {"exit": N} with "value" where it returned one. */
static void on_done(void *arg, enum policy_status status, const cJSON *result, const struct err *err) {
  struct script_call *s = arg;
  struct control_reply *r = s->reply;
  free(s);
  const cJSON *first = cJSON_GetArrayItem(result, 0), *second = cJSON_GetArrayItem(result, 1);
  if (status == POLICY_CANCELLED) {
    control_fail(r, "cancelled", "%s", control_is_cancelled(r) ? "cancelled" : "the scripts were loaded anew");
  } else if (status == POLICY_TIMEOUT) {
    control_fail(r, "timeout", "%s", err->msg);
  } else if (status == POLICY_ERROR) {
    control_fail(r, "script", "%s", err->msg);
  } else if (cJSON_IsFalse(first) || (cJSON_IsNull(first) && second && !cJSON_IsNull(second))) {
    const cJSON *message = cJSON_IsObject(second) ? cJSON_GetObjectItemCaseSensitive(second, "message") : second;
    control_fail(r, "refused", "%s", cJSON_IsString(message) ? message->valuestring : "no");
  } else {
    auto_buf struct buf b = {0};
    struct json j = JSON_INIT(&b);
    bool code = cJSON_IsNumber(first);
    json_object(&j, NULL);
    json_int(&j, "exit", code ? first->valueint & 0xff : 0);
    if (first && !code && !cJSON_IsNull(first) && !cJSON_IsTrue(first)) json_value(&j, "value", first);
    json_object_end(&j);
    control_answer_buf(r, &b);
  }
}

/* Its answer comes through on_done. */
static void on_end(void *arg) {
  const struct script_call *s = arg;
  s->policy->cancel(s->policy->self, s->token);
}

static void on_room(void *arg) {
  const struct script_call *s = arg;
  s->policy->room(s->policy->self, s->token);
}

void script_run(struct control *c, const struct operation *op, const struct control_request *q,
                struct control_reply *reply) {
  struct script_call *s = calloc(1, sizeof *s);
  if (!s) {
    control_fail(reply, "busy", "out of memory");
    return;
  }
  const struct policy *policy = *c->policy;
  *s = (struct script_call){.policy = policy, .reply = reply};
  struct err err = ERR_INIT;
  const struct policy_command command = {
      .op = op, .args = q->args, .uid = q->uid, .pid = q->pid, .write = on_write, .done = on_done, .arg = s};
  s->token = policy->run_command(policy->self, &command, &err);
  if (s->token) {
    control_wait(reply, on_end, on_room, s);
    return;
  }
  free(s);
  control_fail(reply, "script", "%s", err.msg);
}
