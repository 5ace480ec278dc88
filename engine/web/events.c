/* /events: the events that the ring keeps, as Server-Sent Events. An event's id is its number; Last-Event-ID goes on
 * after it, as long as the ring has it. No client has a queue: each reads from the ring at its own pace. What a burst
 * has driven out of the ring is told as lost; a client that was behind for seconds before that is dropped. What a
 * client may ask for: last=N (events from before it came; default all), state=1 (also events of type `state`, with
 * status and metrics, at each change and every two seconds).
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "web/inner.h"

#define BEAT_NS (15 * NS_PER_S)
#define STATE_SOON_NS (50 * NS_PER_MS) /* what comes in a row is told at once */
#define STATE_NS (2 * NS_PER_S)
#define BEHIND_NS (5 * NS_PER_S)
#define TELL_NS (60 * NS_PER_S)

struct watcher {
  struct web *web;
  struct tend_stream *stream;
  struct watcher *next, **slot;
  uint64_t seq; /* the number that it has not seen yet */
  uint64_t version;
  int64_t even_ns; /* when it had seen everything */
  bool state, beat;
  struct buf out; /* what is being sent */
  size_t at;
};

static const struct event_ring *ring_of(const struct web *w) { return sink_ring(w->o.sink); }

/* --- what comes next --------------------------------------------------------------------------------------------- */

static void add_event(struct watcher *x, const struct event *e) {
  buf_fmt(&x->out, "id: %llu\ndata: ", (unsigned long long)e->seq);
  event_json(e, sink_who(x->web->o.sink), &x->out);
  buf_str(&x->out, "\n\n");
  x->seq = e->seq + 1;
}

static void add_lost(struct watcher *x, uint64_t first) {
  buf_fmt(&x->out, "event: lost\ndata: {\"lost\": %llu}\n\n", (unsigned long long)(first - x->seq));
  x->seq = first;
}

static void tell_overtaken(struct web *w) {
  w->overtaken++;
  int64_t now = clock_mono_ns();
  if (w->overtaken_told_ns && now - w->overtaken_told_ns < TELL_NS) return;
  w->overtaken_told_ns = now;
  sink_emit(w->o.sink, EVENT_HTTP_CLIENT_DROPPED,
            &(struct sink_event){.level = LEVEL_WARNING,
                                 .message = "a client of /events reads too slowly and was dropped; it may come back "
                                            "with Last-Event-ID"});
}

/* false: the client is to be dropped. */
static bool compose(struct watcher *x) {
  struct web *w = x->web;
  buf_clear(&x->out);
  x->at = 0;
  const struct event *e = event_ring_from(ring_of(w), x->seq);
  bool overtaken = e && e->seq > x->seq;
  if (!e) x->even_ns = clock_mono_ns();
  if (overtaken && clock_mono_ns() - x->even_ns > BEHIND_NS) {
    tell_overtaken(w);
    return false;
  }
  if (overtaken) {
    add_lost(x, e->seq);
  } else if (e) {
    add_event(x, e);
  } else if (x->state && w->now && x->version != w->version) {
    x->version = w->version;
    buf_str(&x->out, "event: state\ndata: ");
    buf_add(&x->out, w->now->text.data, w->now->text.len);
    buf_str(&x->out, "\n\n");
  } else if (x->beat) {
    buf_str(&x->out, ": still there\n\n");
  }
  x->beat = false;
  return !x->out.failed;
}

static ssize_t fill(void *arg, char *to, size_t size) {
  struct watcher *x = arg;
  size_t n = 0;
  while (n < size) {
    if (x->at == x->out.len && !compose(x)) return -1;
    size_t k = x->out.len - x->at;
    if (k == 0) break;
    if (k > size - n) k = size - n;
    memcpy(to + n, x->out.data + x->at, k);
    x->at += k;
    n += k;
  }
  return (ssize_t)n;
}

static void gone(void *arg) {
  struct watcher *x = arg;
  *x->slot = x->next;
  if (x->next) x->next->slot = x->slot;
  buf_free(&x->out);
  free(x);
}

/* --- news -------------------------------------------------------------------------------------------------------- */

static void wake(struct web *w, bool state_only) {
  for (struct watcher *x = w->watchers; x; x = x->next)
    if (x->state || !state_only) w->ops->stream_wake(x->stream);
}

static bool state_wanted(const struct web *w) {
  for (const struct watcher *x = w->watchers; x; x = x->next)
    if (x->state) return true;
  return false;
}

static void state_by(struct web *w, int64_t due_ns) {
  if (w->state_due_ns <= due_ns) return;
  w->state_due_ns = due_ns;
  timer_at(w->state, due_ns);
}

static void on_state(void *arg) {
  struct web *w = arg;
  w->state_due_ns = TIME_NEVER;
  if (!state_wanted(w)) return;
  const struct web_source *s = &w->o.source;
  s->sample(s->arg);
  auto_buf struct buf part = {0};
  struct web_text *t = web_text_new();
  if (!t) return;
  struct json j = JSON_INIT(&t->text);
  json_object(&j, NULL);
  s->status(s->arg, true, &part);
  json_raw(&j, "status", buf_cstr(&part), part.len);
  buf_clear(&part);
  s->metrics(s->arg, &part);
  json_raw(&j, "metrics", buf_cstr(&part), part.len);
  json_object_end(&j);
  if (part.failed || t->text.failed) {
    web_text_free(t);
  } else {
    web_text_free(w->now);
    w->now = t;
    w->version++;
    wake(w, true);
  }
  state_by(w, clock_mono_ns() + STATE_NS);
}

static void on_event(void *arg, const struct event *e) {
  (void)e;
  struct web *w = arg;
  if (!w->watchers) return;
  wake(w, false);
  if (state_wanted(w)) state_by(w, clock_mono_ns() + STATE_SOON_NS);
}

static void on_beat(void *arg) {
  struct web *w = arg;
  for (struct watcher *x = w->watchers; x; x = x->next) x->beat = true;
  wake(w, false);
  if (w->watchers) timer_after(w->beat, BEAT_NS);
}

void web_events_open(struct web *w) {
  w->state_due_ns = TIME_NEVER;
  w->beat = timer_new(w->o.loop, on_beat, w);
  w->state = timer_new(w->o.loop, on_state, w);
  sink_subscribe(w->o.sink, on_event, w);
}

void web_events_close(struct web *w) {
  sink_unsubscribe(w->o.sink, on_event, w);
  timer_free(w->beat);
  timer_free(w->state);
  web_text_free(w->now);
}

/* --- a new client ------------------------------------------------------------------------------------------------ */

static void begin(struct watcher *x, const char *last_event_id, const char *last) {
  const struct event_ring *ring = ring_of(x->web);
  uint64_t newest = event_ring_last(ring);
  const struct event *oldest = event_ring_from(ring, 0);
  uint64_t first = oldest ? oldest->seq : newest + 1;
  int64_t id;
  int64_t n;
  x->seq = first;
  x->even_ns = clock_mono_ns();
  /* a number from the future is one of an engine before this */
  if (str_int(last_event_id, 0, INT64_MAX, &id) == 0 && (uint64_t)id <= newest)
    x->seq = (uint64_t)id + 1;
  else if (last && str_int(last, 0, INT64_MAX, &n) == 0 && (uint64_t)n < newest - first + 1)
    x->seq = newest + 1 - (uint64_t)n;
  buf_str(&x->out, "retry: 2000\n\n");
  if (x->seq < first) add_lost(x, first);
}

void web_events_stream(struct web *w, struct tend_request *q, const char *last_event_id) {
  static const char *const headers[] = {"X-Accel-Buffering", "no", NULL};
  const struct tend_answer head = {.status = 200, .type = "text/event-stream", .headers = headers};
  if (STR_EQ(w->ops->method(q), "HEAD")) {
    w->ops->answer(q, &head);
    return;
  }
  const char *state = w->ops->argument(q, "state");
  struct watcher *x = calloc(1, sizeof *x);
  if (!x) return;
  *x = (struct watcher){.web = w, .state = state && STR_EQ(state, "1")};
  begin(x, last_event_id, w->ops->argument(q, "last"));
  bool busy;
  x->stream = w->ops->stream(q, &head, fill, gone, x, &busy);
  if (!x->stream) {
    buf_free(&x->out);
    free(x);
    auto_buf struct buf body = {0};
    if (!busy) return;
    buf_str(&body,
            "{\"error\": \"too many clients follow the events\", \"help\": \"close a page, or try again later\"}");
    web_send_json(w, q, 503, &body);
    return;
  }
  x->next = w->watchers;
  if (x->next) x->next->slot = &x->next;
  x->slot = &w->watchers;
  w->watchers = x;
  if (w->watchers && !x->next) timer_after(w->beat, BEAT_NS);
  if (x->state) state_by(w, clock_mono_ns());
}
