/* The op "events": {"from": seq, "last": n, "level": "WARNING", "follow": bool}. Without follow the answer is a list of
 * {"seq", "event"}; with it each is a part, for as long as the client stays. A follower that is slow reads from the
 * ring when it can; what has left the ring by then is told as {"lost": n}. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loop/control_inner.h"

struct follower {
  struct sink *sink;
  struct control_reply *reply;
  uint64_t next; /* the number that it has not seen yet */
  enum level level;
};

static void add_event(struct json *j, const struct event *e, const struct event_source *who) {
  auto_buf struct buf line = {0};
  event_json(e, who, &line);
  json_object(j, NULL);
  json_int(j, "seq", (int64_t)e->seq);
  json_raw(j, "event", buf_cstr(&line), line.len);
  json_object_end(j);
}

static int send_event(struct follower *f, const struct event *e) {
  auto_buf struct buf text = {0};
  struct json j = JSON_INIT(&text);
  add_event(&j, e, sink_who(f->sink));
  return control_part(f->reply, buf_cstr(&text), text.len);
}

static int send_lost(struct follower *f, uint64_t n) {
  auto_buf struct buf text = {0};
  buf_fmt(&text, "{\"lost\": %llu}", (unsigned long long)n);
  return control_part(f->reply, buf_cstr(&text), text.len);
}

static void catch_up(void *arg) {
  struct follower *f = arg;
  const struct event_ring *ring = sink_ring(f->sink);
  for (const struct event *e; (e = event_ring_from(ring, f->next)); f->next = e->seq + 1) {
    if (e->seq > f->next) {
      if (send_lost(f, e->seq - f->next)) return;
      f->next = e->seq;
    }
    if (e->level >= f->level && send_event(f, e)) return;
  }
}

static void on_event(void *arg, const struct event *e) {
  (void)e;
  catch_up(arg);
}

static void on_end(void *arg) {
  struct follower *f = arg;
  sink_unsubscribe(f->sink, on_event, f);
  control_answer(f->reply, NULL);
  free(f);
}

/* The number to begin with, so that `last` events of at least this level follow. */
static uint64_t begin_of(const struct event_ring *ring, uint64_t from, int64_t last, enum level level) {
  const struct event *e = event_ring_from(ring, from);
  int64_t n = 0;
  for (const struct event *x = e; x; x = event_ring_from(ring, x->seq + 1)) n += x->level >= level;
  for (; e && n > last; e = event_ring_from(ring, e->seq + 1)) n -= e->level >= level;
  return e ? e->seq : event_ring_last(ring) + 1;
}

void control_op_events(void *arg, const struct control_request *q, struct control_reply *reply) {
  struct control *c = arg;
  const struct event_ring *ring = sink_ring(c->sink);
  enum level level = LEVEL_INFO;
  const char *name = control_arg_str(q, "level", "INFO");
  if (level_parse(name, &level)) {
    control_refuse(reply, "level \"%.32s\": expected DEBUG, INFO, WARNING, ERROR or CRITICAL", name);
    return;
  }
  int64_t from = control_arg_int(q, "from", 0);
  uint64_t next = begin_of(ring, from > 0 ? (uint64_t)from : 0, control_arg_int(q, "last", INT64_MAX), level);
  if (control_arg_bool(q, "follow", false)) {
    struct follower *f = calloc(1, sizeof *f);
    if (!f || sink_subscribe(c->sink, on_event, f)) {
      free(f);
      control_refuse(reply, "out of memory");
      return;
    }
    *f = (struct follower){.sink = c->sink, .reply = reply, .next = next, .level = level};
    control_stream(reply, on_end, catch_up, f);
    catch_up(f);
    return;
  }
  auto_buf struct buf value = {0};
  struct json j = JSON_INIT(&value);
  json_array(&j, NULL);
  for (const struct event *e; (e = event_ring_from(ring, next)); next = e->seq + 1)
    if (e->level >= level) add_event(&j, e, sink_who(c->sink));
  json_array_end(&j);
  control_answer_buf(reply, &value);
}
