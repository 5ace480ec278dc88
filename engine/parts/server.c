/* The part "server": the library on the host's loop, and what the part offers. */
#include "parts/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS_MAX = 8 }; /* of the library in a row, before the loop gets its turn */

static void on_again(void *arg) {
  struct tend_server *s = arg;
  if (s->deaf) {
    s->deaf = false;
    s->host->watch_set(s->accept_watch, s->fd, TEND_READ);
  }
  server_pump(s);
}

void server_pump(struct tend_server *s) {
  if (s->running) return; /* the one that runs goes on until there is nothing to do */
  s->running = true;
  MHD_UNSIGNED_LONG_LONG ms = 0;
  bool waits = false;
  for (int i = 0; i < RUNS_MAX; i++) {
    MHD_run(s->daemon);
    waits = MHD_get_timeout(s->daemon, &ms) == MHD_YES;
    if (!waits || ms) break;
  }
  s->running = false;
  if (waits && !s->stopping) s->host->timer_at(s->again, s->host->now_ns(s->host->self) + (int64_t)ms * 1000000);
}

static void on_ready(void *arg, int fd, int events) {
  (void)fd;
  (void)events;
  server_pump(arg);
}

static void on_connection(void *arg, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode what) {
  if (what == MHD_CONNECTION_NOTIFY_STARTED) {
    struct server_conn *c = server_conn_of(arg, mhd);
    if (c) c->mhd = mhd;
    *context = c;
  } else if (*context) {
    server_conn_free(*context);
    *context = NULL;
  }
}

static void on_completed(void *arg, struct MHD_Connection *mhd, void **state, enum MHD_RequestTerminationCode why) {
  (void)arg;
  (void)why;
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  struct server_conn *c = info ? info->socket_context : NULL;
  *state = NULL;
  if (c && !c->ending) server_conn_phase(c, SERVER_IDLE);
}

static void stop(struct tend_server *s) {
  if (!s) return;
  s->stopping = true;
  s->host->watch_free(s->accept_watch);
  if (s->daemon) {
    for (struct server_conn *c = s->first; c; c = c->next)
      if (c->stream) server_stream_end(c->stream, false);
    server_pump(s);
    for (struct server_conn *c = s->first; c; c = c->next)
      if (c->stream) server_stream_end(c->stream, true); /* nothing may be suspended when the daemon stops */
    server_pump(s);
    s->host->watch_free(s->watch);
    MHD_stop_daemon(s->daemon);
  }
  while (s->first) server_conn_free(s->first);
  s->host->timer_free(s->timer);
  s->host->timer_free(s->again);
  free(s);
}

static struct tend_server *start(const struct tend_host *host, int fd, const struct tend_server_limits *limits,
                                 tend_request_fn *fn, void *arg, char *msg, size_t size) {
  struct tend_server *s = calloc(1, sizeof *s);
  if (!s) goto memory;
  *s = (struct tend_server){.host = host, .limits = *limits, .fn = fn, .arg = arg, .fd = fd, .timer_due_ns = INT64_MAX};
  s->timer = host->timer_new(host->self, server_on_deadline, s);
  s->again = host->timer_new(host->self, on_again, s);
  if (!s->timer || !s->again) goto memory;
  /* those that were shut down are the library's until its next run */
  unsigned most = 2 * limits->connections + 64;
  s->daemon =
      MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
                       server_on_request, s, MHD_OPTION_CONNECTION_LIMIT, most, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                       limits->head + 2048, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION,
                       on_connection, s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_END);
  const union MHD_DaemonInfo *info = s->daemon ? MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
  if (!info) {
    snprintf(msg, size, "libmicrohttpd does not start (epoll, descriptors or memory)");
    stop(s);
    return NULL;
  }
  s->watch = host->watch_new(host->self, info->epoll_fd, TEND_READ, on_ready, s);
  s->accept_watch = host->watch_new(host->self, fd, TEND_READ, server_accept, s);
  if (!s->watch || !s->accept_watch) goto memory;
  server_pump(s);
  return s;
memory:
  snprintf(msg, size, "out of memory");
  if (s && s->timer && s->again)
    stop(s);
  else
    free(s);
  return NULL;
}

static void counts(const struct tend_server *s, struct tend_server_counts *out) { *out = s->counts; }
static const char *method(const struct tend_request *q) { return q->method; }
static const char *path(const struct tend_request *q) { return q->path; }

const struct tend_part *tend_part(void) {
  static struct tend_server_ops ops = {
      .start = start,
      .stop = stop,
      .counts = counts,
      .method = method,
      .path = path,
      .argument = server_argument,
      .loopback = server_loopback,
      .headers = server_headers,
      .answer = server_answer,
      .stream = server_stream,
      .stream_wake = server_stream_wake,
  };
  static const struct tend_part part = {.abi = TEND_ABI, .name = "server", .ops = &ops};
  ops.page = server_page(&ops.page_len);
  return &part;
}
