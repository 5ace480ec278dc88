#include <unistd.h>

#include "base/str.h"
#include "loop/children_inner.h"

/* Notes who asks; 0 without memory, and then no answer comes. */
static uint32_t ask(struct children *c, const struct child_request *who) {
  struct child_request *r = calloc(1, sizeof *r);
  if (!r) return 0;
  *r = *who;
  r->next = c->requests;
  r->number = ++c->last_request;
  c->requests = r;
  return r->number;
}

static bool answered(struct children *c, uint32_t number, struct child_request *out) {
  for (struct child_request **at = &c->requests; *at; at = &(*at)->next) {
    if ((*at)->number != number) continue;
    struct child_request *r = *at;
    *out = *r;
    *at = r->next;
    free(r);
    return true;
  }
  return false;
}

void children_sweep(struct children *c, int sig, children_swept_fn *done, void *arg) {
  struct proto_sweep m = {.head = {PROTO_SWEEP, ask(c, &(struct child_request){.swept = done, .arg = arg})},
                          .sig = sig};
  children_post(c, &m, sizeof m, NULL, 0);
}

static void ask_tail(struct children *c, const char *name, int instance, uint64_t since,
                     const struct child_request *who) {
  struct proto_tail m = {
      .head = {PROTO_TAIL, ask(c, who)}, .instance = instance, .since = since, .no_text = who->silent != NULL};
  str_copy(m.name, sizeof m.name, name);
  children_post(c, &m, sizeof m, NULL, 0);
}

void children_tail(struct children *c, const char *name, int instance, children_tail_fn *done, void *arg) {
  ask_tail(c, name, instance, 0, &(struct child_request){.tail = done, .arg = arg});
}

void children_tail_since(struct children *c, const char *name, unsigned instance, uint64_t since,
                         children_follow_fn *done, void *arg) {
  ask_tail(c, name, (int)instance, since, &(struct child_request){.follow = done, .arg = arg});
}

void children_silent(struct children *c, const char *name, int instance, children_silent_fn *done, void *arg) {
  ask_tail(c, name, instance, 0, &(struct child_request){.silent = done, .arg = arg});
}

static void nobody(void *arg, int64_t silent_ns) {
  (void)arg;
  (void)silent_ns;
}

void children_ask_cancel(struct children *c, void *arg) {
  for (struct child_request *r = c->requests; r; r = r->next)
    if (r->arg == arg && r->silent) r->silent = nobody;
}

void children_on_swept(struct children *c, const struct proto_swept *m) {
  struct child_request r;
  if (answered(c, m->head.child, &r) && r.swept) r.swept(r.arg, m->left);
}

void children_on_tail(struct children *c, const struct proto_tail_reply *m, int fd) {
  struct child_request r;
  if (!answered(c, m->head.child, &r)) return;
  auto_buf struct buf text = {0};
  lseek(fd, 0, SEEK_SET);
  for (ssize_t n = 1; fd >= 0 && n > 0;) {
    char *room = buf_room(&text, 65536);
    n = room ? read(fd, room, 65536) : 0;
    if (n > 0) text.len += (size_t)n;
  }
  if (r.tail) r.tail(r.arg, buf_cstr(&text), text.len);
  if (r.silent) r.silent(r.arg, m->silent_ns);
  if (r.follow) r.follow(r.arg, buf_cstr(&text), text.len, m->end);
}
