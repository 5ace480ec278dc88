#include "probes/looker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/frame.h"
#include "base/limits.h"
#include "base/str.h"

#define IDLE_NS (3 * NS_PER_S)     /* then the helper ends */
#define STALL_NS (250 * NS_PER_MS) /* so long without an answer: what waits gets another helper */
/* HELPERS_MAX: with those that were killed and that the kernel does not let go */
enum { ANSWER_MAX = LIMIT_HELPER_OUTPUT, HELPERS_MAX = 32, ROOM = 16 * 1024 };

struct look {
  struct helper *helper; /* NULL: failed, the callback is due */
  struct look *next;
  struct buf request; /* the frame, to be sent again */
  bool cancelled;     /* its answer is for nobody */
  look_fn *done;
  void *arg;
};

/* One child. Requests are answered in their order. */
struct helper {
  struct looker *looker;
  struct helper *next;
  uint32_t child;
  int fd; /* -1: it has ended */
  struct watch *watch;
  struct timer *timer; /* idle, or stalled */
  struct look *first, **last;
  struct buf in, out;
  size_t sent;         /* of out */
  bool stalled, ended; /* ended: only its exit is waited for */
  char problem[ERR_MSG_MAX];
};

struct looker {
  struct loop *loop;
  struct children *children;
  struct helper *helpers;
  struct helper *current; /* takes new looks; NULL: none */
  unsigned n;
};

static void look_free(struct look *look) {
  buf_free(&look->request);
  free(look);
}

static void helper_free(struct helper *h) {
  struct looker *l = h->looker;
  struct helper **p = &l->helpers;
  while (*p != h) p = &(*p)->next;
  *p = h->next;
  l->n--;
  free(h);
}

/* Kills the child, hung or not, and drops its looks. It counts until it is gone: whoever looks at a dead mount again
 * and again does not fill the container with processes that nothing can end. */
static void helper_end(struct helper *h) {
  struct looker *l = h->looker;
  if (l->current == h) l->current = NULL;
  watch_free(h->watch);
  timer_free(h->timer);
  if (h->fd >= 0) close(h->fd);
  while (h->first) {
    struct look *look = h->first;
    h->first = look->next;
    look_free(look);
  }
  buf_free(&h->in);
  buf_free(&h->out);
  h->ended = true;
  if (h->child)
    children_kill(l->children, h->child, SIGKILL, KILL_GROUP);
  else
    helper_free(h);
}

static void wait_on(struct helper *h) { timer_after(h->timer, h->first ? STALL_NS : IDLE_NS); }

static void flush(struct helper *h) {
  while (h->fd >= 0 && h->sent < h->out.len) {
    ssize_t n = send(h->fd, h->out.data + h->sent, h->out.len - h->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break; /* full; or the helper is gone, which its exit tells */
    h->sent += (size_t)n;
  }
  if (h->sent == h->out.len) {
    buf_clear(&h->out);
    h->sent = 0;
  }
  if (h->watch) watch_events(h->watch, WATCH_READ | (h->out.len ? WATCH_WRITE : 0));
}

/* The first look has its answer, or gets none. */
static void finish_first(struct helper *h, const char *answer, size_t n) {
  struct look *look = h->first;
  h->first = look->next;
  if (!h->first) h->last = &h->first;
  bool tell = !look->cancelled;
  look_fn *done = look->done;
  void *arg = look->arg;
  look_free(look);
  if (tell) done(arg, answer, n, h->problem);
}

/* No answers come any more: all that wait are told. */
static void give_up(struct helper *h, const char *problem) {
  struct looker *l = h->looker;
  if (l->current == h) l->current = NULL;
  h->child = 0;
  h->stalled = false; /* so that nobody frees it meanwhile */
  timer_stop(h->timer);
  str_copy(h->problem, sizeof h->problem, problem);
  while (h->first) finish_first(h, NULL, 0);
  helper_end(h);
}

static void on_exited(void *arg, uint32_t child, const struct child_exit *e) {
  (void)child;
  struct helper *h = arg;
  char text[ERR_MSG_MAX];
  if (h->ended) {
    helper_free(h);
    return;
  }
  snprintf(text, sizeof text, "tend helper looks ended with status %d: %.100s", e->status,
           e->out ? buf_cstr(e->out) : "");
  give_up(h, text);
}

static void on_failed(void *arg, uint32_t child, enum spawn_stage stage, int error) {
  (void)child;
  (void)stage;
  struct helper *h = arg;
  char text[ERR_MSG_MAX];
  if (h->ended) {
    helper_free(h);
    return;
  }
  snprintf(text, sizeof text, "tend helper looks cannot be run: %s", strerror(error));
  give_up(h, text);
}

static const struct child_ops ops = {.failed = on_failed, .exited = on_exited};

static void take_answers(struct helper *h) {
  int64_t n;
  while (h->first && (n = frame_length(&h->in, ANSWER_MAX)) > 0) {
    auto_buf struct buf answer = {0}; /* callbacks may do anything */
    buf_add(&answer, h->in.data + FRAME_HEAD, (size_t)n - FRAME_HEAD);
    buf_drop(&h->in, (size_t)n);
    wait_on(h);
    if (h->stalled && h->first->next == NULL) { /* it was its last: others are with another helper */
      struct look *look = h->first;
      look_fn *done = look->cancelled ? NULL : look->done;
      void *arg = look->arg;
      helper_end(h);
      if (done) done(arg, buf_cstr(&answer), answer.len, NULL);
      return;
    }
    finish_first(h, buf_cstr(&answer), answer.len);
  }
  wait_on(h);
}

static void on_socket(void *arg, int fd, int events) {
  struct helper *h = arg;
  if (events & WATCH_WRITE) flush(h);
  if (!(events & WATCH_READ)) return;
  char *to = buf_room(&h->in, ROOM);
  ssize_t n = to ? recv(fd, to, ROOM, MSG_DONTWAIT) : -1;
  if (n <= 0) {
    if (n == 0) watch_events(h->watch, 0); /* its exit is near, and says more */
    return;
  }
  h->in.len += (size_t)n;
  take_answers(h);
}

static void on_timer(void *arg);

static struct helper *helper_new(struct looker *l, struct err *err) {
  int pair[2];
  if (l->n >= HELPERS_MAX) {
    err_set(err, -EAGAIN, "%d looks hang already", HELPERS_MAX);
    return NULL;
  }
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
    err_errno(err, -errno, "a socket for tend helper looks");
    return NULL;
  }
  auto_close int theirs = pair[1];
  struct helper *h = calloc(1, sizeof *h);
  if (!h) {
    close(pair[0]);
    err_set(err, -ENOMEM, "out of memory");
    return NULL;
  }
  *h = (struct helper){.looker = l, .next = l->helpers, .fd = pair[0], .last = &h->first};
  l->helpers = h;
  l->n++;
  h->watch = watch_new(l->loop, h->fd, WATCH_READ, on_socket, h);
  h->timer = timer_new(l->loop, on_timer, h);
  char tend[] = "tend", helper[] = "helper", looks[] = "looks", *argv[] = {tend, helper, looks, NULL};
  const struct child_spec spec = {.kind = CHILD_HELPER, .name = "looks", .argv = argv, .input_fd = theirs};
  if (!h->watch || !h->timer)
    err_set(err, -ENOMEM, "out of memory");
  else
    h->child = children_spawn(l->children, &spec, &ops, h, err);
  if (h->child) return h;
  helper_end(h);
  return NULL;
}

static void append(struct helper *h, struct look *look) {
  look->helper = h;
  look->next = NULL;
  *h->last = look;
  h->last = &look->next;
  buf_add(&h->out, look->request.data, look->request.len);
}

static struct helper *current(struct looker *l, struct err *err) {
  if (!l->current) l->current = helper_new(l, err);
  return l->current;
}

/* The first look hangs. It keeps its helper; all behind it go to another one. */
static void move_on(struct helper *h) {
  struct looker *l = h->looker;
  struct look *rest = h->first->next;
  bool for_nobody = h->first->cancelled;
  h->stalled = true;
  h->first->next = NULL;
  h->last = &h->first->next;
  if (l->current == h) l->current = NULL;
  struct err err = ERR_INIT;
  struct helper *to = rest ? current(l, &err) : NULL;
  while (rest) {
    struct look *look = rest;
    rest = look->next;
    if (look->cancelled) {
      look_free(look);
    } else if (to) {
      append(to, look);
    } else {
      look->done(look->arg, NULL, 0, err.msg);
      look_free(look);
    }
  }
  if (to) {
    flush(to);
    wait_on(to);
  }
  if (for_nobody) helper_end(h);
}

static void on_timer(void *arg) {
  struct helper *h = arg;
  if (!h->first)
    helper_end(h);
  else if (!h->stalled)
    move_on(h);
}

/* --- outside ----------------------------------------------------------------------------------------------------- */

struct looker *looker_new(struct loop *loop, struct children *children) {
  struct looker *l = calloc(1, sizeof *l);
  if (l) *l = (struct looker){.loop = loop, .children = children};
  return l;
}

void looker_free(struct looker *l) {
  if (!l) return;
  for (struct helper *h = l->helpers, *next; h; h = next) {
    next = h->next;
    if (h->child) children_forget(l->children, h->child);
    h->child = 0;
    if (h->ended)
      helper_free(h);
    else
      helper_end(h);
  }
  free(l);
}

struct look *look_start(struct looker *l, const char *action, const char *what, const char *option, look_fn *done,
                        void *arg, struct err *err) {
  struct look *look = calloc(1, sizeof *look);
  auto_buf struct buf words = {0};
  buf_add(&words, action, strlen(action) + 1);
  buf_add(&words, what, strlen(what) + 1);
  if (option) buf_add(&words, option, strlen(option) + 1);
  if (look) frame_add(&look->request, words.data, words.len);
  if (!look || words.failed || look->request.failed) {
    if (look) look_free(look);
    err_set(err, -ENOMEM, "out of memory");
    return NULL;
  }
  look->done = done;
  look->arg = arg;
  struct helper *h = current(l, err);
  if (!h) {
    look_free(look);
    return NULL;
  }
  bool waits = h->first != NULL;
  append(h, look);
  flush(h);
  if (!waits) wait_on(h);
  return look;
}

void look_cancel(struct look *look) {
  struct helper *h = look->helper;
  look->cancelled = true;
  if (h->stalled && h->first == look) helper_end(h);
}
