#include "supervisor/log_follow.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"

#define ASK_EVERY_NS (200 * NS_PER_MS)

struct follow {
  struct log_follows *all;
  struct follow *next;
  struct children *children;
  struct control_reply *reply; /* NULL: the client has gone; freed when init's answer is there */
  struct timer *timer;
  char name[LIMIT_NAME];
  unsigned instance;
  uint64_t sent;     /* bytes of the process that were sent or are lost */
  uint64_t written;  /* at the last look */
  bool asking, last; /* last: the question that is out is the last one */
};

static void follow_free(struct follow *f) {
  struct log_follows *all = f->all;
  struct follow **p = &all->first;
  while (*p != f) p = &(*p)->next;
  *p = f->next;
  timer_free(f->timer);
  free(f);
  if (!all->first && all->done) all->done(all->arg);
}

static void on_gone(void *arg) {
  struct follow *f = arg;
  control_answer(f->reply, NULL);
  f->reply = NULL;
  timer_stop(f->timer);
  if (!f->asking) follow_free(f);
}

static int send_lost(struct follow *f, uint64_t n) {
  auto_buf struct buf part = {0};
  buf_fmt(&part, "{\"lost\": %llu}", (unsigned long long)n);
  return control_part(f->reply, buf_cstr(&part), part.len);
}

static int send_text(struct follow *f, const char *text, size_t n) {
  auto_buf struct buf part = {0};
  struct json j = JSON_INIT(&part);
  json_object(&j, NULL);
  json_strn(&j, "text", text, n);
  json_object_end(&j);
  return control_part(f->reply, buf_cstr(&part), part.len);
}

/* Whole lines; the beginning of one only when it has not grown since the last look. */
static size_t ready(const struct follow *f, const char *text, size_t n, uint64_t written) {
  if (written == f->written || f->last) return n;
  const char *end = memrchr(text, '\n', n);
  return end ? (size_t)(end + 1 - text) : 0;
}

static void send_fresh(struct follow *f, const char *text, size_t n, uint64_t written) {
  if (written < f->sent) f->sent = 0; /* init has lost its count */
  uint64_t oldest = written - n;
  if (f->sent < oldest) {
    if (f->sent && send_lost(f, oldest - f->sent)) return;
    f->sent = oldest;
  }
  const char *fresh = text + (f->sent - oldest);
  size_t k = ready(f, fresh, n - (size_t)(f->sent - oldest), written);
  f->written = written;
  if (k && send_text(f, fresh, k) == 0) f->sent += k;
}

static void on_tail(void *arg, const char *text, size_t n, uint64_t written) {
  struct follow *f = arg;
  f->asking = false;
  if (f->reply) send_fresh(f, text, n, written);
  if (f->reply && !f->last) {
    timer_after(f->timer, f->all->done ? 0 : ASK_EVERY_NS);
    return;
  }
  if (f->reply) control_answer(f->reply, NULL);
  follow_free(f);
}

static void look(void *arg) {
  struct follow *f = arg;
  if (f->asking || !f->reply) return;
  f->asking = true;
  f->last = f->all->done;
  children_tail_since(f->children, f->name, f->instance, f->sent, on_tail, f);
}

void log_follow(struct log_follows *all, struct loop *loop, struct children *children, const char *name,
                unsigned instance, struct control_reply *reply) {
  struct follow *f = calloc(1, sizeof *f);
  if (f) f->timer = timer_new(loop, look, f);
  if (!f || !f->timer) {
    free(f);
    control_refuse(reply, "out of memory");
    return;
  }
  f->all = all;
  f->next = all->first;
  all->first = f;
  f->children = children;
  f->reply = reply;
  f->instance = instance;
  str_copy(f->name, sizeof f->name, name);
  control_stream(reply, on_gone, NULL, f);
  look(f);
}

void log_follow_finish(struct log_follows *all, void (*done)(void *arg), void *arg) {
  all->done = done;
  all->arg = arg;
  if (!all->first) {
    done(arg);
    return;
  }
  struct follow *next;
  for (struct follow *f = all->first; f; f = next) {
    next = f->next;
    look(f);
  }
}
