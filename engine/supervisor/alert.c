#include "supervisor/alert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "loop/part.h"
#include "tend/http.h"

enum { QUEUE_MAX = 100, BATCH_MAX = 20, ANSWER_BYTES = 4096 };

#define REQUEST_TIMEOUT_NS (10 * NS_PER_S)
#define DELAY_FIRST_NS NS_PER_S
#define DELAY_MOST_NS (60 * NS_PER_S)
/* What happens together goes together. */
#define GATHER_NS (50 * NS_PER_MS)

struct waiting {
  char *json, *line;
};

struct alert {
  struct alert_options o;
  char *url;
  const struct tend_http *http;
  struct tend_http_call *call;
  struct timer *timer; /* the next request; while finishing the deadline */
  struct waiting queue[QUEUE_MAX];
  size_t n, in_flight; /* the first in_flight ones are in the request */
  int64_t delay_ns;    /* before the next try; 0: the last one succeeded */
  bool own;            /* the event is about alerts */
  bool refused;        /* the last answer was a final no */
  uint64_t sent, dropped;
  loop_fn *done;
  void *done_arg;
};

static void send_batch(struct alert *a);

static void drop_first(struct alert *a, size_t n) {
  for (size_t i = 0; i < n; i++) {
    free(a->queue[i].json);
    free(a->queue[i].line);
  }
  memmove(a->queue, a->queue + n, (a->n - n) * sizeof a->queue[0]);
  a->n -= n;
}

static void say(struct alert *a, enum level level, const char *fmt, const char *why) {
  a->own = true;
  sink_say(a->o.sink, EVENT_NOTICE, level, fmt, why);
  a->own = false;
}

/* why: what keeps those back that are left. */
static void finished(struct alert *a, const char *why) {
  loop_fn *done = a->done;
  char text[ERR_MSG_MAX];
  snprintf(text, sizeof text, "%zu: %s", a->n, why);
  if (a->n) say(a, LEVEL_WARNING, "alerts are lost at the end, so many events: %s", text);
  a->done = NULL;
  timer_stop(a->timer);
  if (a->call) a->http->cancel(a->call);
  a->call = NULL;
  done(a->done_arg);
}

/* Why the receiver cannot be reached, or refuses, is said once, until it takes them. */
static void failed(struct alert *a, const char *why) {
  a->in_flight = 0;
  if (!a->delay_ns && !a->done) say(a, LEVEL_WARNING, "alerts cannot be delivered, they are tried again: %s", why);
  a->delay_ns = !a->delay_ns ? DELAY_FIRST_NS : a->delay_ns * 2 < DELAY_MOST_NS ? a->delay_ns * 2 : DELAY_MOST_NS;
  if (a->done)
    finished(a, why);
  else
    timer_after(a->timer, a->delay_ns);
}

static void on_done(void *arg, const struct tend_http_response *response, const struct tend_http_error *error) {
  struct alert *a = arg;
  char why[64];
  a->call = NULL;
  if (error) {
    failed(a, error->message);
    return;
  }
  int status = response->status;
  snprintf(why, sizeof why, "the receiver answered with status %d", status);
  if (status == 408 || status == 429 || status >= 500) {
    failed(a, why);
    return;
  }
  if (status >= 200 && status < 300) {
    if (a->delay_ns || a->refused) say(a, LEVEL_INFO, "alerts are delivered again%s", "");
    a->refused = false;
    a->sent += a->in_flight;
  } else {
    if (!a->refused) say(a, LEVEL_WARNING, "alerts are refused and not tried again, see CONTAINER_ALERT_URL: %s", why);
    a->refused = true;
    a->dropped += a->in_flight;
  }
  a->delay_ns = 0;
  drop_first(a, a->in_flight);
  a->in_flight = 0;
  if (a->n)
    send_batch(a);
  else if (a->done)
    finished(a, "");
}

static void batch_json(const struct alert *a, size_t n, struct buf *out) {
  const struct event_source *who = sink_who(a->o.sink);
  auto_buf struct buf text = {0};
  struct json j = JSON_INIT(out);
  for (size_t i = 0; i < n; i++) buf_fmt(&text, "%s%s: %s", i ? "\n" : "", who->container_id, a->queue[i].line);
  json_object(&j, NULL);
  json_strn(&j, "text", buf_cstr(&text), text.len);
  json_str(&j, "container_id", who->container_id);
  json_str(&j, "flow", who->flow);
  json_array(&j, "events");
  for (size_t i = 0; i < n; i++) json_raw(&j, NULL, a->queue[i].json, strlen(a->queue[i].json));
  json_array_end(&j);
  json_object_end(&j);
}

static bool load(struct alert *a, struct err *err) {
  if (a->http) return true;
  const struct tend_part *part = part_load("http", err);
  a->http = part ? part->ops : NULL;
  return a->http != NULL;
}

static void send_batch(struct alert *a) {
  if (a->call || !a->n) return;
  struct err err = ERR_INIT;
  auto_buf struct buf body = {0};
  size_t n = a->n < BATCH_MAX ? a->n : BATCH_MAX;
  static const char *const headers[] = {"Content-Type: application/json"};
  if (!load(a, &err)) {
    failed(a, err.msg);
    return;
  }
  batch_json(a, n, &body);
  const struct tend_http_request request = {.url = a->url,
                                            .method = "POST",
                                            .headers = headers,
                                            .nheaders = 1,
                                            .body = buf_cstr(&body),
                                            .body_len = body.len,
                                            .max_body = ANSWER_BYTES,
                                            .cut = true};
  a->in_flight = n;
  a->call = a->http->start(&a->o.probes->host, &request, clock_mono_ns() + REQUEST_TIMEOUT_NS, NULL, on_done, a,
                           err.msg, sizeof err.msg);
  if (!a->call) failed(a, err.msg);
}

static void on_timer(void *arg) {
  struct alert *a = arg;
  if (a->done)
    finished(a, "no answer in time");
  else
    send_batch(a);
}

static void on_event(void *arg, const struct event *e) {
  struct alert *a = arg;
  if (e->level < a->o.level || a->own) return;
  if (a->n == QUEUE_MAX) { /* the oldest that is not on its way */
    struct waiting *oldest = &a->queue[a->in_flight];
    free(oldest->json);
    free(oldest->line);
    memmove(oldest, oldest + 1, (a->n - a->in_flight - 1) * sizeof *oldest);
    a->n--;
    a->dropped++;
  }
  auto_buf struct buf json = {0}, line = {0};
  event_json(e, sink_who(a->o.sink), &json);
  buf_fmt(&line, "%s %s%s%s", level_name(e->level), event_title(e), e->message ? ": " : "",
          e->message ? e->message : "");
  struct waiting new = {buf_take(&json), buf_take(&line)};
  if (!new.json || !new.line) {
    free(new.json);
    free(new.line);
    a->dropped++;
    return;
  }
  a->queue[a->n++] = new;
  if (!a->call && !a->delay_ns && a->n == 1) timer_after(a->timer, GATHER_NS);
}

struct alert *alert_new(const struct alert_options *options, struct err *err) {
  struct alert *a = calloc(1, sizeof *a);
  if (a)
    *a = (struct alert){.o = *options, .url = strdup(options->url), .timer = timer_new(options->loop, on_timer, a)};
  if (!a || !a->url || !a->timer || sink_subscribe(options->sink, on_event, a)) {
    alert_free(a);
    err_set(err, -ENOMEM, "no memory for alerts");
    return NULL;
  }
  a->o.url = a->url;
  return a;
}

void alert_free(struct alert *a) {
  if (!a) return;
  sink_unsubscribe(a->o.sink, on_event, a);
  if (a->call) a->http->cancel(a->call);
  drop_first(a, a->n);
  timer_free(a->timer);
  free(a->url);
  free(a);
}

void alert_finish(struct alert *a, int64_t deadline_ns, struct loop *loop, loop_fn *done, void *arg) {
  if (!a || !a->n) {
    if (loop_defer(loop, done, arg)) done(arg);
    return;
  }
  a->done = done;
  a->done_arg = arg;
  timer_at(a->timer, deadline_ns);
  send_batch(a);
}

uint64_t alert_sent(const struct alert *a) { return a ? a->sent : 0; }
uint64_t alert_dropped(const struct alert *a) { return a ? a->dropped : 0; }
