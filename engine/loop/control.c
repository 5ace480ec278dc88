#include "loop/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/frame.h"
#include "base/limits.h"
#include "base/place.h"
#include "base/str.h"
#include "loop/control_inner.h"

enum { PROTOCOL_VERSION = 1, ACCEPTS_A_TURN = 16 };

/* --- the socket ------------------------------------------------------------------------------------------------- */

static void refuse_peer(struct control *c, int fd, const char *why, uid_t uid) {
  auto_buf struct buf frame = {0};
  auto_buf struct buf text = {0};
  buf_fmt(&text, "{\"id\": null, \"ok\": false, \"error\": \"%s\"}", why);
  frame_add(&frame, text.data, text.len);
  (void)!send(fd, frame.data, frame.len, MSG_NOSIGNAL | MSG_DONTWAIT);
  close(fd);
  int64_t now = loop_now_ns(c->loop);
  if (c->refused_told_ns && now - c->refused_told_ns < 60 * NS_PER_S) return;
  c->refused_told_ns = now;
  sink_say(c->sink, EVENT_AUDIT, LEVEL_WARNING, "a control connection of uid %u was refused: %s", (unsigned)uid, why);
}

static void on_accept(void *arg, int listener, int events) {
  (void)events;
  struct control *c = arg;
  for (int i = 0; i < ACCEPTS_A_TURN; i++) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        watch_events(c->watch, 0); /* the connection stays readable: without a pause this would spin */
        timer_after(c->retry, NS_PER_S);
      }
      return;
    }
    struct ucred peer = {0};
    socklen_t n = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) || (peer.uid != geteuid() && peer.uid != 0))
      refuse_peer(c, fd, "only the same user and root may ask", peer.uid);
    else if (c->n_clients >= LIMIT_CONTROL_CLIENTS)
      refuse_peer(c, fd, "too many clients", peer.uid);
    else
      client_open(c, fd, peer.uid, peer.pid);
  }
}

static void on_retry(void *arg) {
  struct control *c = arg;
  watch_events(c->watch, WATCH_READ);
}

static void tell_gone(struct control *c) {
  while (c->orphans) {
    struct control_reply *r = c->orphans;
    reply_unlink(r);
    r->gone(r->arg);
  }
}

static void on_sweep(void *arg) {
  struct control *c = arg;
  while (c->dead) {
    struct client *k = c->dead;
    c->dead = k->next;
    client_free(k);
  }
  tell_gone(c);
}

struct control *control_new(struct loop *loop, struct sink *sink, const struct state_dir *dir, int fd,
                            const struct control_op *ops, void *arg, struct err *err) {
  struct control *c = calloc(1, sizeof *c);
  if (!c) {
    err_set(err, -ENOMEM, "control socket: out of memory");
    return NULL;
  }
  *c = (struct control){
      .loop = loop, .sink = sink, .ops = ops, .arg = arg, .fd = fd, .dir_fd = -1, .patience = CONTROL_PATIENCE_INIT};
  if (fd < 0) {
    if (unlinkat(dir->fd, PLACE_SOCKET, 0) && errno != ENOENT) {
      err_errno(err, -errno, "cannot replace %s/" PLACE_SOCKET, dir->path);
      goto fail;
    }
    c->fd = place_listen(dir->fd, dir->path, PLACE_SOCKET, err);
    if (c->fd < 0) goto fail;
  }
  c->dir_fd = fcntl(dir->fd, F_DUPFD_CLOEXEC, 0);
  c->watch = watch_new(loop, c->fd, WATCH_READ, on_accept, c);
  c->sweep = timer_new(loop, on_sweep, c);
  c->retry = timer_new(loop, on_retry, c);
  if (c->dir_fd >= 0 && c->watch && c->sweep && c->retry) return c;
  err_set(err, -ENOMEM, "control socket: out of memory or descriptors");
fail:
  control_free(c);
  return NULL;
}

void control_free(struct control *c) {
  if (!c) return;
  while (c->clients) {
    struct client *k = c->clients;
    client_pump(k);
    client_drop(k);
  }
  if (c->sweep) on_sweep(c);
  watch_free(c->watch);
  timer_free(c->sweep);
  timer_free(c->retry);
  if (c->dir_fd >= 0) {
    unlinkat(c->dir_fd, PLACE_SOCKET, 0);
    close(c->dir_fd);
  }
  if (c->fd >= 0) close(c->fd);
  free(c);
}

int control_fd(const struct control *c) { return c->fd; }

/* --- requests --------------------------------------------------------------------------------------------------- */

static void op_ops(const struct control *c, struct control_reply *reply) {
  auto_buf struct buf value = {0};
  struct json j = JSON_INIT(&value);
  json_array(&j, NULL);
  json_str(&j, NULL, "events");
  json_str(&j, NULL, "ops");
  for (const struct control_op *op = c->ops; op->name; op++) json_str(&j, NULL, op->name);
  json_array_end(&j);
  control_answer_buf(reply, &value);
}

static void audit(struct control *c, const struct control_request *q) {
  auto_buf struct buf details = {0};
  struct json j = JSON_INIT(&details);
  json_object(&j, NULL);
  json_str(&j, "op", q->op);
  json_int(&j, "uid", q->uid);
  json_int(&j, "pid", q->pid);
  json_value(&j, "args", q->args);
  json_object_end(&j);
  auto_buf struct buf message = {0};
  buf_fmt(&message, "%s, asked for by uid %u, pid %d", q->op, (unsigned)q->uid, (int)q->pid);
  sink_emit(
      c->sink, EVENT_AUDIT,
      &(struct sink_event){
          .level = LEVEL_INFO, .message = buf_cstr(&message), .details = details.failed ? NULL : buf_cstr(&details)});
}

static void dispatch(struct control *c, const struct control_request *q, struct control_reply *reply) {
  if (STR_EQ(q->op, "events")) {
    control_op_events(c, q, reply);
    return;
  }
  if (STR_EQ(q->op, "ops")) {
    op_ops(c, reply);
    return;
  }
  for (const struct control_op *op = c->ops; op->name; op++) {
    if (!STR_EQ(op->name, q->op)) continue;
    if (op->changes) audit(c, q);
    op->fn(c->arg, q, reply);
    return;
  }
  control_refuse(reply, "this engine does not know \"%.64s\"", q->op);
}

void control_handle(struct client *k, const char *text, size_t n) {
  struct err err = ERR_INIT;
  auto_json cJSON *request = NULL;
  auto_json cJSON *no_args = NULL;
  if (json_parse(text, n, "request", &request, &err)) {
    client_complain(k, err.msg);
    return;
  }
  const cJSON *version = cJSON_GetObjectItemCaseSensitive(request, "v");
  const cJSON *op = cJSON_GetObjectItemCaseSensitive(request, "op");
  const cJSON *args = cJSON_GetObjectItemCaseSensitive(request, "args");
  const cJSON *id = cJSON_GetObjectItemCaseSensitive(request, "id");
  if (!cJSON_IsNumber(version) || version->valueint != PROTOCOL_VERSION) {
    client_complain(k, "expected \"v\": 1; is the client of another version?");
    return;
  }
  if (!cJSON_IsString(op) || (args && !cJSON_IsObject(args))) {
    client_complain(k, "expected {\"v\": 1, \"id\": N, \"op\": \"NAME\", \"args\": {}}");
    return;
  }
  if (!args) args = no_args = cJSON_CreateObject();
  struct control_reply *reply = args ? calloc(1, sizeof *reply) : NULL;
  if (!reply) {
    client_complain(k, "out of memory");
    return;
  }
  reply->client = k;
  reply->has_id = cJSON_IsNumber(id);
  reply->id = reply->has_id ? (int64_t)id->valuedouble : 0;
  reply_link(reply, &k->replies);
  k->pending++;
  struct control_request q = {.op = op->valuestring, .args = args, .uid = k->uid, .pid = k->pid};
  dispatch(k->control, &q, reply);
}

/* --- answers ---------------------------------------------------------------------------------------------------- */

static void begin(const struct control_reply *r, struct json *j) {
  json_object(j, NULL);
  if (r->has_id)
    json_int(j, "id", r->id);
  else
    json_null(j, "id");
}

/* Sends the text as the last word of r and frees it. The pump runs later: callers may be inside of it. */
static void finish(struct control_reply *r, const struct buf *text) {
  struct client *k = r->client;
  reply_unlink(r);
  free(r);
  if (!k) return;
  k->pending--;
  k->idle_since_ns = loop_now_ns(k->control->loop);
  if (client_queue(k, text)) timer_after(k->timer, 0);
}

static void answer(struct control_reply *r, const char *value, size_t n) {
  if (n > LIMIT_CONTROL_REPLY) {
    control_refuse(r, "the answer has %zu bytes, at most %d are sent", n, LIMIT_CONTROL_REPLY);
    return;
  }
  auto_buf struct buf text = {0};
  struct json j = JSON_INIT(&text);
  begin(r, &j);
  json_bool(&j, "ok", true);
  json_raw(&j, "value", value, n);
  json_object_end(&j);
  if (text.failed)
    control_refuse(r, "out of memory");
  else
    finish(r, &text);
}

void control_answer(struct control_reply *r, const char *value) {
  if (!value) value = "null";
  answer(r, value, strlen(value));
}

void control_answer_buf(struct control_reply *r, struct buf *value) {
  if (value->failed)
    control_refuse(r, "out of memory");
  else
    answer(r, value->len ? value->data : "null", value->len ? value->len : 4);
}

void control_refuse(struct control_reply *r, const char *fmt, ...) {
  auto_buf struct buf why = {0};
  va_list ap;
  va_start(ap, fmt);
  buf_vfmt(&why, fmt, ap);
  va_end(ap);
  auto_buf struct buf text = {0};
  struct json j = JSON_INIT(&text);
  begin(r, &j);
  json_bool(&j, "ok", false);
  json_str(&j, "error", buf_cstr(&why));
  json_object_end(&j);
  finish(r, &text);
}

void control_stream(struct control_reply *r, control_stream_fn *gone, control_stream_fn *room, void *arg) {
  r->gone = gone;
  r->room = room;
  r->arg = arg;
}

int control_part(struct control_reply *r, const char *json, size_t n) {
  struct client *k = r->client;
  if (!k) return -EPIPE;
  if (k->out.len - k->out_at > LIMIT_CONTROL_STREAM) {
    k->wants_room = true;
    return -EAGAIN;
  }
  auto_buf struct buf text = {0};
  struct json j = JSON_INIT(&text);
  begin(r, &j);
  json_raw(&j, "part", json, n);
  json_object_end(&j);
  if (!client_queue(k, &text)) return -EPIPE;
  timer_after(k->timer, 0);
  return 0;
}

const char *control_arg_str(const struct control_request *q, const char *name, const char *fallback) {
  const cJSON *v = cJSON_GetObjectItemCaseSensitive(q->args, name);
  return cJSON_IsString(v) ? v->valuestring : fallback;
}

int64_t control_arg_int(const struct control_request *q, const char *name, int64_t fallback) {
  const cJSON *v = cJSON_GetObjectItemCaseSensitive(q->args, name);
  return cJSON_IsNumber(v) && v->valuedouble > -9e15 && v->valuedouble < 9e15 ? (int64_t)v->valuedouble : fallback;
}

bool control_arg_bool(const struct control_request *q, const char *name, bool fallback) {
  const cJSON *v = cJSON_GetObjectItemCaseSensitive(q->args, name);
  return cJSON_IsBool(v) ? cJSON_IsTrue(v) : fallback;
}
