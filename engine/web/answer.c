/* What each path answers. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/str.h"
#include "web/inner.h"

/* However often it is asked for, a text is made ten times a second at most; an event makes it old at once. */
#define FRESH_NS (100 * NS_PER_MS)

#define JSON_TYPE "application/json"

/* What matters of a request's headers. */
struct asked {
  struct access_request access;
  char accept[1024];
  char last_event_id[32];
};

static void on_header(void *arg, const char *name, const char *value) {
  struct asked *a = arg;
  access_header(&a->access, name, value);
  if (strcasecmp(name, "Last-Event-ID") == 0) str_copy(a->last_event_id, sizeof a->last_event_id, value);
  if (strcasecmp(name, "Accept") != 0) return;
  size_t n = strlen(a->accept);
  snprintf(a->accept + n, sizeof a->accept - n, "%s%s", n ? ", " : "", value);
}

/* --- texts ------------------------------------------------------------------------------------------------------- */

struct web_text *web_text_new(void) {
  struct web_text *t = calloc(1, sizeof *t);
  if (t) t->refs = 1;
  return t;
}

void web_text_free(void *text) {
  struct web_text *t = text;
  if (!t || --t->refs) return;
  buf_free(&t->text);
  free(t);
}

static void publish(struct web *w) {
  struct tend_server_counts n;
  w->ops->counts(w->server, &n);
  const struct {
    const char *name, *help;
    double value;
  } gauges[] = {{"tend_http_connections", "Connections to the HTTP server.", n.connections},
                {"tend_http_streams", "Clients that follow the events.", n.streams}};
  struct err err = ERR_INIT;
  for (size_t i = 0; i < ARRAY_LEN(gauges); i++) {
    struct metric *m = metrics_declare(
        w->o.metrics,
        &(struct metric_spec){.type = METRIC_GAUGE, .name = gauges[i].name, .help = gauges[i].help, .builtin = true},
        &err);
    if (m) metric_set(m, NULL, gauges[i].value);
  }
  static const char *const label = "reason";
  struct metric *m =
      metrics_declare(w->o.metrics,
                      &(struct metric_spec){.type = METRIC_COUNTER,
                                            .name = "tend_http_clients_dropped_total",
                                            .help = "Connections ended by the HTTP server, or not taken at all.",
                                            .labels = &label,
                                            .n_labels = 1,
                                            .builtin = true},
                      &err);
  const struct {
    const char *reason;
    uint64_t n;
  } drops[] = {
      {"refused", n.refused}, {"displaced", n.displaced}, {"late", n.late}, {"slow", n.stalled + w->overtaken}};
  for (size_t i = 0; m && i < ARRAY_LEN(drops); i++) metric_raise(m, &drops[i].reason, (double)drops[i].n);
}

static void make(struct web *w, enum web_kept which, struct buf *out) {
  const struct web_source *s = &w->o.source;
  switch (which) {
    case WEB_STATUS:
      s->status(s->arg, false, out);
      break;
    case WEB_REPORT:
      s->report(s->arg, out);
      break;
    case WEB_METRICS:
      s->metrics(s->arg, out);
      break;
    case WEB_PROMETHEUS:
    case WEB_OPENMETRICS:
      publish(w);
      s->exposition(s->arg, which == WEB_PROMETHEUS ? METRICS_PROMETHEUS : METRICS_OPENMETRICS, out);
      return;
    case WEB_HISTORY:
      s->history(s->arg, out);
      break;
    case WEB_KEPT:
      break;
  }
  buf_char(out, '\n');
}

struct web_text *web_keep(struct web *w, enum web_kept which) {
  struct web_text *t = w->kept[which];
  int64_t now = clock_mono_ns();
  uint64_t seq = event_ring_last(sink_ring(w->o.sink));
  if (t && t->seq == seq && now - t->made_ns < FRESH_NS) return t;
  struct web_text *made = web_text_new();
  if (made) make(w, which, &made->text);
  if (!made || made->text.failed) {
    web_text_free(made);
    return NULL;
  }
  made->made_ns = now;
  made->seq = seq;
  web_text_free(t);
  return w->kept[which] = made;
}

/* --- answers ----------------------------------------------------------------------------------------------------- */

static int send_text(struct web *w, struct tend_request *q, const char *type, struct web_text *t) {
  if (!t) return -1;
  t->refs++;
  return w->ops->answer(q, &(struct tend_answer){.status = 200,
                                                 .type = type,
                                                 .body = buf_cstr(&t->text),
                                                 .len = t->text.len,
                                                 .release = web_text_free,
                                                 .arg = t});
}

int web_send_json(struct web *w, struct tend_request *q, int status, struct buf *body) {
  buf_char(body, '\n');
  if (body->failed) return -1;
  return w->ops->answer(
      q, &(struct tend_answer){.status = status, .type = JSON_TYPE, .body = body->data, .len = body->len});
}

static void send_verdict(struct web *w, struct tend_request *q, enum web_verdict which) {
  auto_buf struct buf body = {0};
  bool good = w->o.source.verdict(w->o.source.arg, which, &body);
  web_send_json(w, q, good ? 200 : 503, &body);
}

static void send_metrics(struct web *w, struct tend_request *q, const struct asked *a) {
  if (access_wants_openmetrics(*a->accept ? a->accept : NULL))
    send_text(w, q, METRICS_TYPE_OPENMETRICS, web_keep(w, WEB_OPENMETRICS));
  else
    send_text(w, q, METRICS_TYPE_PROMETHEUS, web_keep(w, WEB_PROMETHEUS));
}

/* The page holds no data, so it also comes with a refusal where a token would help: it can ask for one. */
static void send_page(struct web *w, struct tend_request *q, int status) {
  static const char mark[] = "@NONCE@";
  unsigned char random[16];
  char nonce[2 * sizeof random + 1];
  if (getrandom(random, sizeof random, GRND_NONBLOCK) != sizeof random) return;
  for (size_t i = 0; i < sizeof random; i++) snprintf(nonce + 2 * i, 3, "%02x", random[i]);
  auto_buf struct buf page = {0};
  const char *p = w->ops->page;
  const char *end = p + w->ops->page_len;
  for (const char *at; (at = memmem(p, (size_t)(end - p), mark, sizeof mark - 1)); p = at + sizeof mark - 1) {
    buf_add(&page, p, (size_t)(at - p));
    buf_str(&page, nonce);
  }
  buf_add(&page, p, (size_t)(end - p));
  auto_buf struct buf policy = {0};
  buf_fmt(&policy,
          "default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; connect-src 'self'; img-src data:; "
          "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
          nonce, nonce);
  const char *const headers[] = {"Content-Security-Policy", buf_cstr(&policy), "WWW-Authenticate",
                                 "Bearer realm=\"tend\"", NULL};
  const char *const granted[] = {headers[0], headers[1], NULL};
  if (page.failed || policy.failed) return;
  w->ops->answer(q, &(struct tend_answer){.status = status,
                                          .type = "text/html; charset=utf-8",
                                          .headers = status == 401 ? headers : granted,
                                          .body = page.data,
                                          .len = page.len});
}

static void refuse(struct web *w, struct tend_request *q, bool unauthorized, const char *why) {
  static const char *const bearer[] = {"WWW-Authenticate", "Bearer realm=\"tend\"", NULL};
  auto_buf struct buf body = {0};
  struct json j = JSON_INIT(&body);
  json_object(&j, NULL);
  json_str(&j, "error", unauthorized ? "unauthorized" : "forbidden");
  json_str(&j, "reason", why);
  json_str(&j, "help",
           unauthorized
               ? "send the value of CONTAINER_HTTP_TOKEN: Authorization: Bearer TOKEN; in a browser open /#token=TOKEN"
               : "ask from the container itself (http://localhost:PORT), or set CONTAINER_HTTP_TOKEN and send "
                 "Authorization: Bearer TOKEN, or set CONTAINER_HTTP_DETAIL=all; tend status shows the same");
  json_object_end(&j);
  buf_char(&body, '\n');
  if (body.failed) return;
  w->ops->answer(q, &(struct tend_answer){.status = unauthorized ? 401 : 403,
                                          .type = JSON_TYPE,
                                          .headers = unauthorized ? bearer : NULL,
                                          .body = body.data,
                                          .len = body.len});
}

/* --- paths ------------------------------------------------------------------------------------------------------- */

enum path { LIVEZ, STARTUPZ, READYZ, HEALTHZ, METRICS, METRICS_JSON, STATUS, REPORT, HISTORY, EVENTS, PAGE, PATHS };

static const struct {
  const char *path;
  bool detail;
} paths[PATHS] = {
    [LIVEZ] = {"/livez", false},
    [STARTUPZ] = {"/startupz", false},
    [READYZ] = {"/readyz", false},
    [HEALTHZ] = {"/healthz", false},
    [METRICS] = {"/metrics", false},
    [METRICS_JSON] = {"/metrics.json", false},
    [STATUS] = {"/status", true},
    [REPORT] = {"/report", true},
    [HISTORY] = {"/history", true},
    [EVENTS] = {"/events", true},
    [PAGE] = {"/", true},
};

static void not_found(struct web *w, struct tend_request *q) {
  auto_buf struct buf body = {0};
  struct json j = JSON_INIT(&body);
  json_object(&j, NULL);
  json_str(&j, "error", "not found");
  json_array(&j, "paths");
  for (int i = 0; i < PATHS; i++) json_str(&j, NULL, paths[i].path);
  json_array_end(&j);
  json_object_end(&j);
  web_send_json(w, q, 404, &body);
}

static void serve_path(struct web *w, struct tend_request *q, enum path path, const struct asked *a) {
  switch (path) {
    case LIVEZ:
    case STARTUPZ:
    case READYZ:
    case HEALTHZ:
      send_verdict(w, q, (enum web_verdict)(path - LIVEZ) + WEB_LIVE);
      break;
    case METRICS:
      send_metrics(w, q, a);
      break;
    case METRICS_JSON:
      send_text(w, q, JSON_TYPE, web_keep(w, WEB_METRICS));
      break;
    case STATUS:
      send_text(w, q, JSON_TYPE, web_keep(w, WEB_STATUS));
      break;
    case REPORT:
      send_text(w, q, JSON_TYPE, web_keep(w, WEB_REPORT));
      break;
    case HISTORY:
      send_text(w, q, JSON_TYPE, web_keep(w, WEB_HISTORY));
      break;
    case EVENTS:
      web_events_stream(w, q, a->last_event_id);
      break;
    case PAGE:
      send_page(w, q, 200);
      break;
    case PATHS:
      break;
  }
}

/* A server takes the absolute form of a target, too (RFC 9112, 3.2.2): http://host/path is /path. */
static const char *path_of_target(const char *target) {
  if (strncasecmp(target, "http://", 7) != 0) return target;
  const char *path = strchr(target + 7, '/');
  return path ? path : "/";
}

void web_answer(void *arg, struct tend_request *q) {
  struct web *w = arg;
  int path = 0;
  const char *wanted = path_of_target(w->ops->path(q));
  while (path < PATHS && !STR_EQ(paths[path].path, wanted)) path++;
  if (path == PATHS) {
    not_found(w, q);
    return;
  }
  struct asked a = {.access = {.loopback = w->ops->loopback(q)}};
  w->ops->headers(q, on_header, &a);
  /* a link from another site may open the page, which asks for its data as its own site */
  if (path == PAGE) a.access.foreign = false;
  const char *why;
  enum access_verdict v = ACCESS_GRANTED;
  if (paths[path].detail)
    v = access_check((enum access_detail)settings_choice(w->o.settings, SET_HTTP_DETAIL),
                     settings_str(w->o.settings, SET_HTTP_TOKEN), &a.access, &why);
  if (v == ACCESS_GRANTED)
    serve_path(w, q, (enum path)path, &a);
  else if (v == ACCESS_UNAUTHORIZED && path == PAGE && strstr(a.accept, "text/html"))
    send_page(w, q, 401);
  else
    refuse(w, q, v == ACCESS_UNAUTHORIZED, why);
}
