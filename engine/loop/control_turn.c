/* Whose turn it is on the control socket. Clients with a whole request stand in a queue and are served one request
 * each, so one that asks much keeps no other waiting; and after TURN_NS of a turn of the loop the rest waits for the
 * next one, so neither many requests nor costly ones hold up anything else. */
#include <errno.h>

#include "base/frame.h"
#include "base/limits.h"
#include "loop/control_inner.h"

bool turn_may_take(struct client *k) {
  int64_t now = loop_now_ns(k->control->loop);
  k->tokens += (double)(now - k->tokens_ns) / (double)NS_PER_S * LIMIT_CONTROL_RATE;
  if (k->tokens > LIMIT_CONTROL_RATE) k->tokens = LIMIT_CONTROL_RATE;
  k->tokens_ns = now;
  return !k->closing && k->pending < LIMIT_CONTROL_PENDING && k->tokens >= 1 && client_unsent(k) < LIMIT_CONTROL_STREAM;
}

void turn_wait(struct client *k) {
  struct control *c = k->control;
  if (k->dead || k->ready || !frame_length(&k->in, LIMIT_CONTROL_FRAME) || !turn_may_take(k)) return;
  k->ready = true;
  k->ready_next = NULL;
  *c->ready_end = k;
  c->ready_end = &k->ready_next;
}

void turn_leave(struct client *k) {
  struct control *c = k->control;
  if (!k->ready) return;
  struct client **p = &c->ready;
  while (*p != k) p = &(*p)->ready_next;
  *p = k->ready_next;
  if (!*p) c->ready_end = p;
  k->ready = false;
}

/* --- serving ----------------------------------------------------------------------------------------------------- */

static void on_turn_end(void *arg) {
  struct control *c = arg;
  c->turn_due = false;
  c->turn_spent_ns = 0;
}

static bool has_time(struct control *c) {
  if (!c->turn_due) c->turn_due = loop_defer(c->loop, on_turn_end, c) == 0;
  return !c->turn_due || c->turn_spent_ns < TURN_NS;
}

static void take_one(struct client *k) {
  struct control *c = k->control;
  int64_t n = frame_length(&k->in, LIMIT_CONTROL_FRAME);
  if (n < 0) {
    client_complain(k, -1, "too-large", "a request has 1 to 262144 bytes");
    return;
  }
  int64_t begun = clock_mono_ns();
  k->tokens -= 1;
  control_handle(k, k->in.data + FRAME_HEAD, (size_t)n - FRAME_HEAD);
  buf_drop(&k->in, (size_t)n);
  k->frame_since_ns = loop_now_ns(c->loop);
  c->turn_spent_ns += clock_mono_ns() - begun;
}

void turn_serve(struct control *c) {
  if (c->serving) return;
  c->serving = true;
  while (c->ready && has_time(c)) {
    struct client *k = c->ready;
    turn_leave(k);
    if (turn_may_take(k)) take_one(k);
    turn_wait(k);
    client_flush(k);
  }
  c->serving = false;
  if (c->ready) timer_after(c->next_turn, 0);
}

static void on_next_turn(void *arg) { turn_serve(arg); }

int turn_open(struct control *c) {
  c->ready_end = &c->ready;
  c->next_turn = timer_new(c->loop, on_next_turn, c);
  return c->next_turn ? 0 : -ENOMEM;
}

void turn_close(struct control *c) {
  timer_free(c->next_turn);
  loop_cancel(c->loop, on_turn_end, c);
}
