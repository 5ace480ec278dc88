/* What a control client asks of the prompt. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "lua/repl_inner.h"

static const cJSON *option(const struct control_request *q, const char *name) {
  return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(q->args, "options"), name);
}

static int64_t option_int(const struct control_request *q, const char *name, int64_t fallback, int64_t max) {
  const cJSON *v = option(q, name);
  if (!cJSON_IsNumber(v) || !(v->valuedouble >= 0)) return fallback;
  return v->valuedouble < (double)max ? (int64_t)v->valuedouble : max;
}

static bool option_is(const struct control_request *q, const char *name) { return cJSON_IsTrue(option(q, name)); }

/* --- repl: a session --------------------------------------------------------------------------------------------- */

static void on_left(void *arg) { repl_session_end(arg); }

static void op_repl(void *arg, const struct control_request *q, struct control_reply *reply) {
  struct repl *r = arg;
  unsigned n = 0;
  for (const struct repl_session *s = r->sessions; s; s = s->next) n++;
  if (n >= LIMIT_REPL_SESSIONS) {
    control_fail(reply, "busy", "%u prompts are open already, there can be no more", n);
    return;
  }
  struct repl_session *s = repl_session_new(r, q, reply);
  if (!s) {
    control_fail(reply, "busy", "out of memory");
    return;
  }
  s->read_only = q->read_only || option_is(q, "read_only");
  s->dry = option_is(q, "dry");
  control_stream(reply, on_left, NULL, s);
  auto_buf struct buf part = {0};
  struct json j = JSON_INIT(&part);
  json_object(&j, NULL);
  json_int(&j, "session", (int64_t)s->id);
  json_str(&j, "flow", r->o.host.flow);
  json_bool(&j, "read_only", s->read_only);
  json_bool(&j, "policies", r->o.live != NULL);
  json_object_end(&j);
  if (!part.failed) control_part(reply, buf_cstr(&part), part.len);
}

/* --- eval, complete ---------------------------------------------------------------------------------------------- */

static struct repl_session *session_for(struct repl *r, const struct control_request *q, struct control_reply *reply) {
  int64_t id = option_int(q, "session", 0, INT64_C(1) << 53);
  struct repl_session *s = id ? repl_session_find(r, (uint64_t)id, q->uid) : repl_session_new(r, q, NULL);
  if (!s) {
    control_fail(reply, id ? "session" : "busy",
                 id ? "there is no prompt %lld: open one with \"repl\"" : "out of memory", (long long)id);
    return NULL;
  }
  if (!id) {
    s->read_only = q->read_only || option_is(q, "read_only");
    s->dry = option_is(q, "dry");
    s->gone = true; /* with its one chunk */
  }
  return s;
}

static void ask(struct repl *r, const struct control_request *q, struct control_reply *reply, struct repl_ask *a) {
  struct repl_session *s = session_for(r, q, reply);
  if (s) repl_chunk_start(s, a, reply);
}

static void op_eval(void *arg, const struct control_request *q, struct control_reply *reply) {
  const char *name = cJSON_GetStringValue(option(q, "name"));
  struct repl_ask a = {.text = control_arg_str(q, "code", ""),
                       .name = name && *name ? name : "=repl",
                       .width = (unsigned)option_int(q, "width", 100, 1000),
                       .json = option_is(q, "json"),
                       .statement = option_is(q, "statement"),
                       .limit_ns = option_int(q, "seconds", LIMIT_REPL_S, LIMIT_REPL_S) * NS_PER_S};
  ask(arg, q, reply, &a);
}

static void op_complete(void *arg, const struct control_request *q, struct control_reply *reply) {
  struct repl_ask a = {.text = control_arg_str(q, "text", ""), .completes = true, .limit_ns = 2 * NS_PER_S};
  ask(arg, q, reply, &a);
}

const struct control_op repl_ops[] = {
    {"repl", op_repl, NULL}, {"eval", op_eval, NULL}, {"complete", op_complete, NULL}, {0}};
