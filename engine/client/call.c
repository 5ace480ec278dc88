/* One request and its answer over the control socket. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/frame.h"
#include "base/str.h"
#include "client/client.h"

enum { REQUEST_ID = 1 };

static int send_request(int fd, const struct call *call, struct err *err) {
  auto_buf struct buf text = {0};
  auto_buf struct buf frame = {0};
  struct json j = JSON_INIT(&text);
  json_object(&j, NULL);
  json_int(&j, "v", 1);
  json_int(&j, "id", REQUEST_ID);
  json_str(&j, "op", call->op);
  if (call->args) json_raw(&j, "args", call->args, strlen(call->args));
  json_object_end(&j);
  frame_add(&frame, text.data, text.len);
  if (text.failed || frame.failed) return err_set(err, -ENOMEM, "out of memory");
  for (size_t done = 0; done < frame.len;) {
    ssize_t n = send(fd, frame.data + done, frame.len - done, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EPIPE) return 0; /* the engine may have said why before it hung up */
    if (n < 0) return err_errno(err, -errno, "cannot send to the engine");
    done += (size_t)n;
  }
  return 0;
}

/* Receives until a whole frame is at the front; its length. */
static int64_t receive(int fd, struct buf *in, int64_t patience_ns, struct err *err) {
  int64_t due = patience_ns == TIME_NEVER ? TIME_NEVER : clock_mono_ns() + patience_ns;
  for (;;) {
    int64_t n = frame_length(in, LIMIT_CONTROL_REPLY + 4096);
    if (n < 0) return err_set(err, -EPROTO, "the engine's answer is not understood");
    if (n > 0) return n;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int ready = poll(&p, 1, clock_ms_until(due, clock_mono_ns()));
    if (ready == 0) return err_set(err, -ETIMEDOUT, "the engine does not answer");
    char *to = buf_room(in, 64 * 1024);
    if (!to) return err_set(err, -ENOMEM, "out of memory");
    ssize_t k = recv(fd, to, 64 * 1024, MSG_DONTWAIT);
    if (k == 0) return err_set(err, -ECONNRESET, "the engine has ended the connection");
    if (k < 0 && errno != EINTR && errno != EAGAIN) return err_errno(err, -errno, "the engine's answer");
    if (k > 0) in->len += (size_t)k;
  }
}

/* 1: go on. */
static int take(const struct call *call, cJSON *frame, cJSON **value, struct err *err) {
  const cJSON *part = cJSON_GetObjectItemCaseSensitive(frame, "part");
  if (part) return !call->on_part || call->on_part(call->arg, part) ? 1 : -EINTR;
  const cJSON *ok = cJSON_GetObjectItemCaseSensitive(frame, "ok");
  if (cJSON_IsTrue(ok)) {
    *value = cJSON_DetachItemFromObjectCaseSensitive(frame, "value");
    return 0;
  }
  const cJSON *error = cJSON_GetObjectItemCaseSensitive(frame, "error");
  if (!cJSON_IsString(error)) return err_set(err, -EPROTO, "the engine's answer is not understood");
  const char *code = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(frame, "code"));
  if (call->code && code) str_copy(call->code, 32, code);
  return err_set(err, -EREMOTEIO, "%s", error->valuestring);
}

int call_engine(int fd, const struct call *call, cJSON **value, struct err *err) {
  int rc = send_request(fd, call, err);
  if (rc) return rc;
  auto_buf struct buf in = {0};
  do {
    int64_t n = receive(fd, &in, call->patience_ns, err);
    if (n < 0) return (int)n;
    auto_json cJSON *frame = cJSON_ParseWithLength(in.data + FRAME_HEAD, (size_t)n - FRAME_HEAD);
    if (!cJSON_IsObject(frame)) return err_set(err, -EPROTO, "the engine's answer is not understood");
    buf_drop(&in, (size_t)n);
    rc = take(call, frame, value, err);
  } while (rc == 1);
  return rc;
}
