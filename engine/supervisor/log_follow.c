#include "supervisor/log_follow.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"

#define ASK_EVERY_NS (200 * NS_PER_MS)

struct source {
  struct log_source what;
  uint64_t sent;    /* bytes of the process that were sent or are lost */
  uint64_t written; /* at the last look */
};

struct follow {
  struct log_follows *all;
  struct follow *next;
  struct children *children;
  struct control_reply *reply; /* NULL: the client has gone; freed when init's answer is there */
  struct timer *timer;
  bool asking, last; /* last: this round is the last one */
  size_t n, at;      /* of the sources; whose turn it is */
  struct source sources[];
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
  const struct log_source *from = &f->sources[f->at].what;
  auto_buf struct buf part = {0};
  struct json j = JSON_INIT(&part);
  json_object(&j, NULL);
  json_strn(&j, "text", text, n);
  if (f->n > 1) json_str(&j, "process", from->name);
  if (f->n > 1) json_int(&j, "instance", from->instance);
  json_object_end(&j);
  return control_part(f->reply, buf_cstr(&part), part.len);
}

/* Whole lines; the beginning of one only when it has not grown since the last look. */
static size_t ready(const struct follow *f, const char *text, size_t n, uint64_t written) {
  if (written == f->sources[f->at].written || f->last) return n;
  const char *end = memrchr(text, '\n', n);
  return end ? (size_t)(end + 1 - text) : 0;
}

static void send_fresh(struct follow *f, const char *text, size_t n, uint64_t written) {
  struct source *s = &f->sources[f->at];
  if (written < s->sent) s->sent = 0; /* init has lost its count */
  uint64_t oldest = written - n;
  if (s->sent < oldest) {
    if (s->sent && send_lost(f, oldest - s->sent)) return;
    s->sent = oldest;
  }
  const char *fresh = text + (s->sent - oldest);
  size_t k = ready(f, fresh, n - (size_t)(s->sent - oldest), written);
  s->written = written;
  if (k && send_text(f, fresh, k) == 0) s->sent += k;
}

static void ask(struct follow *f);

static void on_tail(void *arg, const char *text, size_t n, uint64_t written) {
  struct follow *f = arg;
  f->asking = false;
  if (f->reply) send_fresh(f, text, n, written);
  if (f->reply && ++f->at < f->n) {
    ask(f);
    return;
  }
  if (f->reply && !f->last) {
    timer_after(f->timer, f->all->done ? 0 : ASK_EVERY_NS);
    return;
  }
  if (f->reply) control_answer(f->reply, NULL);
  follow_free(f);
}

static void ask(struct follow *f) {
  const struct source *s = &f->sources[f->at];
  f->asking = true;
  children_tail_since(f->children, s->what.name, s->what.instance, s->sent, on_tail, f);
}

static void look(void *arg) {
  struct follow *f = arg;
  if (f->asking || !f->reply) return;
  f->last = f->all->done;
  f->at = 0;
  ask(f);
}

void log_follow(struct log_follows *all, struct loop *loop, struct children *children, const struct log_source *sources,
                size_t n, struct control_reply *reply) {
  struct follow *f = calloc(1, sizeof *f + n * sizeof f->sources[0]);
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
  f->n = n;
  for (size_t i = 0; i < n; i++) f->sources[i].what = sources[i];
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
