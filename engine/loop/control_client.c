/* Connections of the control socket: frames in and out, and everything that a bad client may do to us. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/frame.h"
#include "base/limits.h"
#include "loop/control_inner.h"

static void on_io(void *arg, int fd, int events);
static void on_timer(void *arg);

struct control_reply *reply_new(struct client *k, int64_t id) {
  struct control_reply *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  r->client = k;
  r->loop = k->control->loop;
  r->has_id = id >= 0;
  r->id = id;
  reply_link(r, &k->replies);
  k->pending++;
  return r;
}

void reply_link(struct control_reply *r, struct control_reply **list) {
  r->next = *list;
  if (r->next) r->next->slot = &r->next;
  r->slot = list;
  *list = r;
}

void reply_unlink(struct control_reply *r) {
  if (!r->slot) return;
  *r->slot = r->next;
  if (r->next) r->next->slot = r->slot;
  r->slot = NULL;
}

size_t client_unsent(const struct client *k) { return k->out.len - k->out_at; }

static void end_now(void *arg) {
  struct control_reply *r = arg;
  if (r->told) return;
  r->told = true;
  r->end(r->arg);
}

/* Of a reply whose client is there; of the others control_free and the sweep take care. */
void reply_end_later(struct control_reply *r) {
  r->cancelled = true;
  if (loop_defer(r->loop, end_now, r) && r->client) client_drop(r->client); /* no memory: this ends it too */
}

void reply_forget(struct control_reply *r) {
  reply_unlink(r);
  if (r->cancelled) loop_cancel(r->loop, end_now, r);
}

void client_open(struct control *c, int fd, uid_t uid, pid_t pid, bool foreign) {
  struct client *k = calloc(1, sizeof *k);
  if (!k) {
    close(fd);
    return;
  }
  k->control = c;
  k->fd = fd;
  k->uid = uid;
  k->pid = pid;
  k->foreign = k->read_only = foreign;
  k->in.max = LIMIT_CONTROL_FRAME + FRAME_HEAD;
  k->tokens = LIMIT_CONTROL_RATE;
  k->tokens_ns = k->idle_since_ns = loop_now_ns(c->loop);
  k->watch = watch_new(c->loop, fd, WATCH_READ, on_io, k);
  k->timer = timer_new(c->loop, on_timer, k);
  if (!k->watch || !k->timer) {
    client_free(k);
    return;
  }
  k->next = c->clients;
  if (k->next) k->next->slot = &k->next;
  k->slot = &c->clients;
  c->clients = k;
  c->n_clients++;
  client_pump(k);
}

void client_free(struct client *k) {
  watch_free(k->watch);
  timer_free(k->timer);
  if (k->fd >= 0) close(k->fd);
  buf_free(&k->in);
  buf_free(&k->out);
  free(k);
}

void client_drop(struct client *k) {
  if (k->dead) return;
  struct control *c = k->control;
  k->dead = true;
  turn_leave(k);
  c->waiting -= client_unsent(k);
  struct control_reply *next;
  for (struct control_reply *r = k->replies; r; r = next) {
    next = r->next;
    reply_unlink(r);
    r->client = NULL;
    if (r->end && !r->told) reply_link(r, &c->orphans);
  }
  watch_free(k->watch);
  timer_free(k->timer);
  k->watch = NULL;
  k->timer = NULL;
  close(k->fd);
  k->fd = -1;
  *k->slot = k->next;
  if (k->next) k->next->slot = k->slot;
  c->n_clients--;
  k->next = c->dead;
  c->dead = k;
  timer_after(c->sweep, 0);
}

bool client_queue(struct client *k, const struct buf *text) {
  size_t before = client_unsent(k);
  if (!before) k->out_since_ns = loop_now_ns(k->control->loop);
  if (!text->failed) frame_add(&k->out, text->data, text->len);
  k->control->waiting += client_unsent(k) - before;
  if (!text->failed && !k->out.failed) return true;
  client_drop(k);
  return false;
}

void client_complain(struct client *k, int64_t id, const char *code, const char *message) {
  auto_buf struct buf text = {0};
  struct json j = JSON_INIT(&text);
  json_object(&j, NULL);
  if (id < 0)
    json_null(&j, "id");
  else
    json_int(&j, "id", id);
  json_bool(&j, "ok", false);
  json_str(&j, "code", code);
  json_str(&j, "error", message);
  json_int(&j, "protocol", CONTROL_VERSION);
  json_object_end(&j);
  if (client_queue(k, &text)) k->closing = true;
}

static void send_out(struct client *k) {
  while (k->out_at < k->out.len) {
    ssize_t n = send(k->fd, k->out.data + k->out_at, k->out.len - k->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
      k->out_at += (size_t)n;
      k->control->waiting -= (size_t)n;
      k->out_since_ns = loop_now_ns(k->control->loop);
    } else if (n < 0 && errno == EINTR) {
      continue;
    } else if (n < 0 && errno == EAGAIN) {
      return;
    } else {
      client_drop(k);
      return;
    }
  }
  if (k->out.cap > LIMIT_CONTROL_FRAME)
    buf_free(&k->out);
  else
    buf_clear(&k->out);
  k->out_at = 0;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static void set_watch(struct client *k) {
  bool whole = frame_length(&k->in, LIMIT_CONTROL_FRAME) != 0;
  bool reads = !k->eof && !k->closing && !whole;
  watch_events(k->watch, (reads ? WATCH_READ : 0) | (client_unsent(k) ? WATCH_WRITE : 0));
  int64_t now = loop_now_ns(k->control->loop);
  const struct control_patience *p = &k->control->patience;
  int64_t due = TIME_NEVER;
  if (client_unsent(k)) due = k->out_since_ns + p->send_ns;
  bool may = turn_may_take(k);
  if (whole && may && !k->ready) due = now;
  if (k->wants_room && !k->ready && client_unsent(k) < LIMIT_CONTROL_STREAM / 2) due = now; /* all was sent at once */
  if (whole && !k->closing && k->tokens < 1) due = least(due, now + NS_PER_S / LIMIT_CONTROL_RATE);
  if (!k->closing && !whole && k->in.len) due = least(due, k->frame_since_ns + p->frame_ns);
  if (!k->pending && !k->in.len) due = least(due, k->idle_since_ns + p->idle_ns);
  timer_at(k->timer, due);
}

/* The peer has sent its last byte: it may still wait for answers, but not for streams without end. */
static bool waits(const struct client *k) {
  struct pollfd p = {.fd = k->fd};
  if (poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR)) return false; /* it has closed, not only its half */
  if (client_unsent(k)) return true;
  for (const struct control_reply *r = k->replies; r; r = r->next)
    if (!r->endless) return true;
  return false;
}

void client_flush(struct client *k) {
  if (!k->dead) send_out(k);
  if (k->dead) return;
  /* a request that stands in the queue first: a stream would fill up the room that its cancel waits for */
  if (k->wants_room && !k->ready && client_unsent(k) < LIMIT_CONTROL_STREAM / 2) {
    k->wants_room = false;
    struct control_reply *next;
    for (struct control_reply *r = k->replies; r && !k->dead; r = next) {
      next = r->next;
      if (r->room) r->room(r->arg);
    }
    if (k->dead) return;
    send_out(k);
    if (k->dead) return;
  }
  bool whole = frame_length(&k->in, LIMIT_CONTROL_FRAME) > 0;
  if ((k->closing && !client_unsent(k)) || (k->eof && !whole && !waits(k)))
    client_drop(k);
  else
    set_watch(k);
}

void client_pump(struct client *k) {
  if (!k->dead) send_out(k); /* what has gone makes room for a request */
  if (k->dead) return;
  turn_wait(k);
  turn_serve(k->control);
  client_flush(k);
}

static void receive(struct client *k) {
  size_t room = k->in.max - k->in.len;
  if (room > 65536) room = 65536;
  char *to = buf_room(&k->in, room);
  if (!to) {
    client_drop(k);
    return;
  }
  ssize_t n = recv(k->fd, to, room, MSG_DONTWAIT);
  if (n > 0) {
    if (!k->in.len) k->frame_since_ns = loop_now_ns(k->control->loop);
    k->in.len += (size_t)n;
    k->idle_since_ns = loop_now_ns(k->control->loop);
  } else if (n == 0) {
    k->eof = true;
  } else if (errno != EAGAIN && errno != EINTR) {
    client_drop(k);
  }
}

static void on_io(void *arg, int fd, int events) {
  (void)fd;
  struct client *k = arg;
  if ((events & WATCH_READ) && !k->eof && !k->closing) receive(k);
  client_pump(k);
}

static void on_timer(void *arg) {
  struct client *k = arg;
  int64_t now = loop_now_ns(k->control->loop);
  bool half = k->in.len && !frame_length(&k->in, LIMIT_CONTROL_FRAME);
  if (client_unsent(k) && now - k->out_since_ns >= k->control->patience.send_ns) {
    client_drop(k);
  } else if (half && !k->closing && now - k->frame_since_ns >= k->control->patience.frame_ns) {
    client_complain(k, -1, "too-slow", "the request was not whole within 5 s");
  } else if (!k->pending && !k->in.len && now - k->idle_since_ns >= k->control->patience.idle_ns) {
    client_drop(k);
  }
  client_pump(k);
}
