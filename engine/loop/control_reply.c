/* Answers on the control socket, and the audit events of what changes something: one when it is asked for, one that
 * tells what came of it. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/limits.h"
#include "base/str.h"
#include "loop/control_inner.h"

/* --- audit ------------------------------------------------------------------------------------------------------- */

static void audit_free(struct audit *a) {
  if (!a) return;
  free(a->op);
  free(a->args);
  free(a);
}

struct audited {
  const char *op, *args;
  uid_t uid;
  pid_t pid;
  const char *outcome, *error; /* NULL: it is asked for */
  int64_t duration_ns;
};

static void tell(struct sink *sink, const struct audited *a) {
  auto_buf struct buf details = {0};
  struct json j = JSON_INIT(&details);
  json_object(&j, NULL);
  json_str(&j, "op", a->op);
  json_int(&j, "uid", a->uid);
  json_int(&j, "pid", a->pid);
  json_raw(&j, "args", a->args, strlen(a->args));
  if (a->outcome) json_str(&j, "outcome", a->outcome);
  if (a->error) json_str(&j, "error", a->error);
  json_object_end(&j);
  auto_buf struct buf message = {0};
  buf_fmt(&message, "%s, asked for by uid %u, pid %d", a->op, (unsigned)a->uid, (int)a->pid);
  if (a->outcome) buf_fmt(&message, ": %s", a->outcome);
  if (a->error) buf_fmt(&message, ": %.300s", a->error);
  sink_emit(sink, EVENT_AUDIT,
            &(struct sink_event){.level = a->outcome && STR_EQ(a->outcome, "denied") ? LEVEL_WARNING : LEVEL_INFO,
                                 .message = buf_cstr(&message),
                                 .details = details.failed ? NULL : buf_cstr(&details),
                                 .timed = a->outcome && a->duration_ns >= 0,
                                 .duration_ns = a->duration_ns});
}

static char *args_text(const struct control_request *q) {
  struct buf text = {0};
  struct json j = JSON_INIT(&text);
  json_value(&j, NULL, q->args);
  return buf_take(&text);
}

void audit_begin(struct control *c, struct control_reply *r, const struct control_request *q) {
  struct audit *a = calloc(1, sizeof *a);
  if (a) {
    *a = (struct audit){.sink = c->sink,
                        .op = strdup(q->op),
                        .args = args_text(q),
                        .uid = q->uid,
                        .pid = q->pid,
                        .begun_ns = loop_now_ns(c->loop)};
    r->audit = a;
  }
  tell(c->sink, &(struct audited){.op = q->op, .args = a && a->args ? a->args : "{}", .uid = q->uid, .pid = q->pid});
}

void audit_refused(struct control *c, const struct control_request *q, const char *outcome, const char *why) {
  int64_t now = loop_now_ns(c->loop);
  if (c->denied_told_ns && now - c->denied_told_ns < NS_PER_S) return; /* who may only look may not fill the log */
  c->denied_told_ns = now;
  auto_free char *args = args_text(q);
  tell(c->sink, &(struct audited){.op = q->op,
                                  .args = args ? args : "{}",
                                  .uid = q->uid,
                                  .pid = q->pid,
                                  .outcome = outcome,
                                  .error = why,
                                  .duration_ns = -1});
}

static void audit_end(const struct audit *a, const char *outcome, const char *error) {
  if (!a || !a->op || !a->args) return;
  tell(a->sink, &(struct audited){.op = a->op,
                                  .args = a->args,
                                  .uid = a->uid,
                                  .pid = a->pid,
                                  .outcome = outcome,
                                  .error = error,
                                  .duration_ns = clock_mono_ns() - a->begun_ns});
}

/* --- answers ----------------------------------------------------------------------------------------------------- */

static void begin(const struct control_reply *r, struct json *j) {
  json_object(j, NULL);
  if (r->has_id)
    json_int(j, "id", r->id);
  else
    json_null(j, "id");
}

/* Sends the text as the last word of r and frees it. The pump runs later: callers may be inside of it. */
static void finish(struct control_reply *r, const struct buf *text, const char *outcome, const char *error) {
  struct client *k = r->client;
  audit_end(r->audit, outcome, error);
  audit_free(r->audit);
  reply_forget(r);
  if (r->said) {
    auto_json cJSON *said = cJSON_ParseWithLength(buf_cstr(text), text->len);
    r->said(r->said_arg, said);
  }
  free(r);
  if (!k) return;
  k->pending--;
  k->idle_since_ns = loop_now_ns(k->control->loop);
  if (client_queue(k, text)) timer_after(k->timer, 0);
}

void reply_abandon(struct control_reply *r) {
  struct client *k = r->client;
  auto_buf struct buf text = {0};
  struct json j = JSON_INIT(&text);
  begin(r, &j);
  json_bool(&j, "ok", false);
  json_str(&j, "code", "cancelled");
  json_str(&j, "error", "cancelled; what was begun goes on");
  json_object_end(&j);
  reply_unlink(r);
  r->client = NULL;
  k->pending--;
  if (client_queue(k, &text)) timer_after(k->timer, 0);
}

static bool is_full(const struct control_reply *r, size_t n) {
  return r->client && r->client->control->waiting + n > LIMIT_CONTROL_ALL;
}

static void answer(struct control_reply *r, const char *value, size_t n) {
  if (n > LIMIT_CONTROL_REPLY) {
    control_fail(r, "too-large", "the answer has %zu bytes, at most %d are sent", n, LIMIT_CONTROL_REPLY);
    return;
  }
  if (is_full(r, n)) {
    control_fail(r, "busy", "%d bytes of answers wait for clients that do not read them; ask again", LIMIT_CONTROL_ALL);
    return;
  }
  auto_buf struct buf text = {0};
  struct json j = JSON_INIT(&text);
  begin(r, &j);
  json_bool(&j, "ok", true);
  json_raw(&j, "value", value, n);
  json_object_end(&j);
  if (text.failed)
    control_fail(r, "busy", "out of memory");
  else
    finish(r, &text, "done", NULL);
}

void control_answer(struct control_reply *r, const char *value) {
  if (!value) value = "null";
  answer(r, value, strlen(value));
}

void control_answer_buf(struct control_reply *r, struct buf *value) {
  if (value->failed)
    control_fail(r, "busy", "out of memory");
  else
    answer(r, value->len ? value->data : "null", value->len ? value->len : 4);
}

static void refuse(struct control_reply *r, const char *code, const char *fmt, va_list ap) {
  auto_buf struct buf why = {0};
  buf_vfmt(&why, fmt, ap);
  auto_buf struct buf text = {0};
  struct json j = JSON_INIT(&text);
  begin(r, &j);
  json_bool(&j, "ok", false);
  json_str(&j, "code", code);
  json_str(&j, "error", buf_cstr(&why));
  json_object_end(&j);
  finish(r, &text, STR_EQ(code, "cancelled") ? code : "refused", buf_cstr(&why));
}

void control_refuse(struct control_reply *r, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  refuse(r, r->cancelled || (!r->client && !r->said) ? "cancelled" : "refused", fmt, ap);
  va_end(ap);
}

void control_fail(struct control_reply *r, const char *code, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  refuse(r, code, fmt, ap);
  va_end(ap);
}

/* --- streams ----------------------------------------------------------------------------------------------------- */

void control_wait(struct control_reply *r, control_stream_fn *end, control_stream_fn *room, void *arg) {
  r->end = end;
  r->room = room;
  r->arg = arg;
}

void control_stream(struct control_reply *r, control_stream_fn *end, control_stream_fn *room, void *arg) {
  control_wait(r, end, room, arg);
  r->endless = true;
}

bool control_is_cancelled(const struct control_reply *r) { return r->cancelled || !r->client; }

static bool is_slow(struct client *k) {
  if (client_unsent(k) <= LIMIT_CONTROL_STREAM) return false;
  k->wants_room = true;
  return true;
}

static int send_part(struct control_reply *r, const char *json, size_t n) {
  auto_buf struct buf text = {0};
  struct json j = JSON_INIT(&text);
  begin(r, &j);
  json_raw(&j, "part", json, n);
  json_object_end(&j);
  struct client *k = r->client;
  if (!client_queue(k, &text)) return -EPIPE;
  timer_after(k->timer, 0);
  return 0;
}

int control_part(struct control_reply *r, const char *json, size_t n) {
  if (!r->client) return -EPIPE;
  if (is_slow(r->client)) return -EAGAIN;
  return send_part(r, json, n);
}

int control_push(struct control_reply *r, const char *json, size_t n) {
  if (!r->client) return -EPIPE;
  if (is_full(r, n)) {
    client_drop(r->client);
    return -EPIPE;
  }
  int rc = send_part(r, json, n);
  return !rc && is_slow(r->client) ? -EAGAIN : rc;
}
