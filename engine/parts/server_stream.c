/* Answers that go on. A stream that has nothing to say is suspended, which takes its socket out of the library's epoll
 * set; a watch of our own then sees when its client goes.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "parts/server.h"

enum {
  BLOCK = 8 * 1024,        /* asked of the engine at once */
  KERNEL_QUEUE = 64 * 1024 /* for a client that is slow */
};

static void resume(struct tend_stream *t) {
  if (!t->suspended || !t->conn) return;
  struct tend_server *s = t->conn->server;
  t->suspended = false;
  s->host->watch_free(t->watch);
  t->watch = NULL;
  MHD_resume_connection(t->conn->mhd);
  if (!s->running && !s->stopping) s->host->timer_at(s->again, s->host->now_ns(s->host->self));
}

/* It sent something, where nothing is expected, or its end. */
static void on_client(void *arg, int fd, int events) {
  (void)fd;
  (void)events;
  const struct tend_stream *t = arg;
  struct tend_server *s = t->conn->server;
  server_conn_end(t->conn);
  server_pump(s);
}

static ssize_t on_fill(void *arg, uint64_t at, char *buf, size_t size) {
  (void)at;
  struct tend_stream *t = arg;
  if (t->broken) return MHD_CONTENT_READER_END_WITH_ERROR;
  const struct tend_server *s = t->conn->server;
  ssize_t n = t->fill(t->arg, buf, size);
  if (n < 0 || (n == 0 && t->ending)) return MHD_CONTENT_READER_END_OF_STREAM;
  if (n > 0) {
    server_conn_deadline(t->conn, s->host->now_ns(s->host->self) + s->limits.stall_ns);
    return n;
  }
  t->watch = s->host->watch_new(s->host->self, t->conn->fd, TEND_READ, on_client, t);
  if (!t->watch) return MHD_CONTENT_READER_END_WITH_ERROR;
  server_conn_deadline(t->conn, INT64_MAX);
  t->suspended = true;
  MHD_suspend_connection(t->conn->mhd);
  return 0;
}

void server_stream_leave(struct tend_stream *t) {
  t->conn->server->host->watch_free(t->watch);
  t->watch = NULL;
  t->conn->stream = NULL;
  t->conn = NULL;
}

static void on_free(void *arg) {
  struct tend_stream *t = arg;
  if (t->conn) server_stream_leave(t);
  if (t->gone) t->gone(t->arg);
  free(t);
}

struct tend_stream *server_stream(struct tend_request *q, const struct tend_answer *head, tend_stream_fill_fn *fill,
                                  tend_stream_gone_fn *gone, void *arg, bool *busy) {
  struct server_conn *c = q->conn;
  *busy = c->server->counts.streams >= c->server->limits.streams;
  if (*busy) return NULL;
  struct tend_stream *t = calloc(1, sizeof *t);
  if (!t) return NULL;
  *t = (struct tend_stream){.conn = c, .fill = fill, .arg = arg};
  struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, on_fill, t, on_free);
  if (!r) {
    free(t);
    return NULL;
  }
  server_add_headers(r, head);
  int queue = KERNEL_QUEUE;
  setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &queue, sizeof queue);
  c->stream = t;
  if (MHD_queue_response(c->mhd, (unsigned)head->status, r) != MHD_YES) {
    MHD_destroy_response(r); /* frees t */
    return NULL;
  }
  MHD_destroy_response(r); /* the library holds it until its end */
  t->gone = gone;
  q->answered = true;
  server_conn_phase(c, SERVER_STREAM);
  server_conn_deadline(c, c->since_ns + c->server->limits.stall_ns);
  return t;
}

void server_stream_wake(struct tend_stream *t) { resume(t); }

void server_stream_end(struct tend_stream *t, bool now) {
  t->ending = true;
  t->broken |= now;
  resume(t);
}
