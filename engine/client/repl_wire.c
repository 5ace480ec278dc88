/* The prompt's connection: several requests under way at once, and Ctrl-C while one waits. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/frame.h"
#include "base/limits.h"
#include "client/repl.h"

enum { PIECE = 64 * 1024 };

int64_t repl_wire_send(struct repl_wire *w, const char *op, const char *args, struct err *err) {
  auto_buf struct buf text = {0};
  auto_buf struct buf frame = {0};
  struct json j = JSON_INIT(&text);
  json_object(&j, NULL);
  json_int(&j, "v", 1);
  json_int(&j, "id", ++w->id);
  json_str(&j, "op", op);
  if (args) json_raw(&j, "args", args, strlen(args));
  json_object_end(&j);
  frame_add(&frame, text.data, text.len);
  if (text.failed || frame.failed) return err_set(err, -ENOMEM, "out of memory");
  if (text.len > LIMIT_CONTROL_FRAME)
    return err_set(err, -EMSGSIZE, "the chunk is too long: a request has at most %d bytes", LIMIT_CONTROL_FRAME);
  for (size_t done = 0; done < frame.len;) {
    ssize_t n = send(w->fd, frame.data + done, frame.len - done, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return err_set(err, -ECONNRESET, "the engine has ended the connection");
    done += (size_t)n;
  }
  return w->id;
}

static int whole_frame(struct repl_wire *w, cJSON **frame, struct err *err) {
  int64_t n = frame_length(&w->in, LIMIT_CONTROL_REPLY + 4096);
  if (n < 0) return err_set(err, -EPROTO, "the engine's answer is not understood");
  if (n == 0) return 0;
  cJSON *v = cJSON_ParseWithLength(w->in.data + FRAME_HEAD, (size_t)n - FRAME_HEAD);
  buf_drop(&w->in, (size_t)n);
  if (!cJSON_IsObject(v)) {
    cJSON_Delete(v);
    return err_set(err, -EPROTO, "the engine's answer is not understood");
  }
  *frame = v;
  return 1;
}

static int take_frame(struct repl_wire *w, cJSON **frame, struct err *err) {
  if (!w->held) return whole_frame(w, frame, err);
  *frame = w->held;
  w->held = NULL;
  return 1;
}

int repl_wire_next(struct repl_wire *w, int sig_fd, int64_t due_ns, cJSON **frame, struct err *err) {
  for (;;) {
    struct pollfd p[2] = {{.fd = sig_fd, .events = POLLIN}, {.fd = w->fd, .events = POLLIN}};
    int rc = take_frame(w, frame, err);
    /* a chunk that prints without end must not keep Ctrl-C from being seen */
    int ready = poll(p, 2, rc ? 0 : clock_ms_until(due_ns, clock_mono_ns()));
    struct signalfd_siginfo info;
    if (ready > 0 && p[0].revents & POLLIN && read(sig_fd, &info, sizeof info) > 0) {
      if (rc > 0) w->held = *frame; /* for the next call */
      *frame = NULL;
      return -EINTR;
    }
    if (rc) return rc < 0 ? rc : 0;
    if (ready == 0) return err_set(err, -ETIMEDOUT, "the engine does not answer");
    if (ready < 0 || !(p[1].revents & (POLLIN | POLLHUP | POLLERR))) continue;
    char *to = buf_room(&w->in, PIECE);
    if (!to) return err_set(err, -ENOMEM, "out of memory");
    ssize_t n = recv(w->fd, to, PIECE, MSG_DONTWAIT);
    if (n > 0) w->in.len += (size_t)n;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
      return err_set(err, -ECONNRESET, "the engine has ended the connection");
  }
}

int64_t repl_wire_id(const cJSON *frame) {
  const cJSON *id = cJSON_GetObjectItemCaseSensitive(frame, "id");
  return cJSON_IsNumber(id) ? (int64_t)id->valuedouble : -1;
}

void repl_wire_close(struct repl_wire *w) {
  if (w->fd >= 0) close(w->fd);
  w->fd = -1;
  cJSON_Delete(w->held);
  w->held = NULL;
  buf_free(&w->in);
}
