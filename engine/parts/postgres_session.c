#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts/postgres.h"

#define NS_PER_MS INT64_C(1000000)

struct tend_pg_session {
  const struct tend_host *host;
  struct pg_dial *dial; /* while connecting */
  PGconn *conn;         /* NULL: not yet, or gone */
  char peer[160];
  struct tend_watch *watch;
  struct tend_timer *timer; /* of the query */
  bool busy;
  int64_t asked_ns;
  PGresult *result; /* the end of the answer: columns and tag */
  struct pg_rows rows;
  struct pg_failure failure;
  tend_pg_open_fn *opened;
  tend_pg_done_fn *done;
  pg_progress_fn *progress;
  tend_pg_notify_fn *notified;
  void *open_arg, *query_arg, *notify_arg;
  bool calling, doomed; /* inside a callback; closed there */
  struct pg_pool *pool; /* whose it is; NULL: nobody's */
};

struct view {
  struct tend_pg_result pub; /* first: callers have a pointer to it */
  const PGresult *result;
  const struct pg_rows *rows;
};

static const struct view *of(const struct tend_pg_result *r) { return (const struct view *)(const void *)r; }

static const char *view_name(const struct tend_pg_result *r, int column) { return PQfname(of(r)->result, column); }

static unsigned view_type(const struct tend_pg_result *r, int column) { return PQftype(of(r)->result, column); }

static const char *view_value(const struct tend_pg_result *r, int row, int column, size_t *len) {
  return pg_rows_value(of(r)->rows, row, column, len);
}

/* A callback may close the session; true: it did, and the session is gone. */
static bool closed_by(struct tend_pg_session *s) {
  s->calling = false;
  if (!s->doomed) return false;
  pg_session_close(s);
  return true;
}

static void drop_connection(struct tend_pg_session *s) {
  s->host->watch_free(s->watch);
  s->watch = NULL;
  PQfinish(s->conn);
  s->conn = NULL;
}

void pg_session_close(struct tend_pg_session *s) {
  if (!s) return;
  if (s->calling) {
    s->doomed = true;
    return;
  }
  if (s->pool) pg_pool_lost(s->pool, s);
  pg_dial_cancel(s->dial);
  drop_connection(s);
  PQclear(s->result);
  pg_rows_free(&s->rows);
  s->host->timer_free(s->timer);
  free(s);
}

static void finish_query(struct tend_pg_session *s) {
  s->busy = false;
  s->host->timer_at(s->timer, INT64_MAX);
  tend_pg_done_fn *done = s->done;
  PGresult *result = s->result;
  struct pg_rows rows = s->rows;
  s->result = NULL;
  s->rows = (struct pg_rows){0};
  s->calling = true;
  if (result && !s->failure.reason) {
    const char *affected = PQcmdTuples(result);
    struct view v = {.pub = {.rows = (int)rows.n,
                             .columns = PQnfields(result),
                             .affected = *affected ? strtoll(affected, NULL, 10) : -1,
                             .tag = PQcmdStatus(result),
                             .name = view_name,
                             .type = view_type,
                             .value = view_value},
                     .result = result,
                     .rows = &rows};
    done(s->query_arg, &v.pub, NULL);
  } else {
    struct tend_pg_error e = {
        .reason = s->failure.reason ? s->failure.reason : "closed", .message = s->failure.message, .closed = !s->conn};
    memcpy(e.sqlstate, s->failure.sqlstate, sizeof e.sqlstate);
    done(s->query_arg, NULL, &e);
  }
  PQclear(result);
  pg_rows_free(&rows);
  closed_by(s);
}

/* The connection is of no use any more; a query that waits is told. */
static void lose(struct tend_pg_session *s, const char *reason, const char *message) {
  if (!s->failure.reason) {
    s->failure = (struct pg_failure){.reason = reason};
    snprintf(s->failure.message, sizeof s->failure.message, "%s", message);
  }
  drop_connection(s);
  if (s->notified) s->notified(s->notify_arg, NULL, NULL, 0);
  if (s->busy) finish_query(s);
}

static void lose_by_libpq(struct tend_pg_session *s) {
  struct pg_failure f;
  pg_failure_of_connection(&f, PQerrorMessage(s->conn), s->peer);
  if (!s->failure.reason) s->failure = f;
  lose(s, "closed", "");
}

enum took { TOOK_ONE, TOOK_LAST, TOOK_COPY, TOOK_TOO_MUCH };

static enum took take_result(struct tend_pg_session *s, PGresult *r) {
  if (!r) return TOOK_LAST;
  int rc;
  switch (PQresultStatus(r)) {
    case PGRES_SINGLE_TUPLE:
      rc = pg_rows_add(&s->rows, r);
      PQclear(r);
      return rc ? TOOK_TOO_MUCH : TOOK_ONE;
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
      PQclear(s->result);
      s->result = r;
      return TOOK_ONE;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
      PQclear(r);
      return TOOK_COPY;
    default:
      if (!s->failure.reason) pg_failure_of_result(&s->failure, r);
      PQclear(r);
      return TOOK_ONE;
  }
}

/* Always taken: libpq would keep them without bound. */
static void take_notifications(struct tend_pg_session *s) {
  PGnotify *n;
  while ((n = PQnotifies(s->conn))) {
    if (s->notified) s->notified(s->notify_arg, n->relname, n->extra, n->be_pid);
    PQfreemem(n);
  }
}

void pg_session_on_notify(struct tend_pg_session *s, tend_pg_notify_fn *fn, void *arg) {
  s->notified = fn;
  s->notify_arg = arg;
}

/* After lose() and finish_query() the session may be gone: its owner may close it in the callback. */
static void on_ready(void *arg, int fd, int events) {
  (void)fd;
  struct tend_pg_session *s = arg;
  if ((events & TEND_READ) && !PQconsumeInput(s->conn)) {
    lose_by_libpq(s);
    return;
  }
  take_notifications(s);
  while (s->busy && !PQisBusy(s->conn)) {
    enum took took = take_result(s, PQgetResult(s->conn));
    if (took == TOOK_ONE) continue;
    if (took == TOOK_LAST) {
      take_notifications(s); /* those that came behind the answer */
      finish_query(s);
    } else if (took == TOOK_TOO_MUCH)
      lose(s, "memory", "the answer is larger than 64 MB; ask for less (LIMIT); the connection was dropped");
    else
      lose(s, "query", "COPY from or to the client is not supported; the connection was dropped");
    return;
  }
  int unsent = PQflush(s->conn);
  if (unsent < 0)
    lose_by_libpq(s);
  else
    s->host->watch_set(s->watch, PQsocket(s->conn), unsent ? TEND_READ | TEND_WRITE : TEND_READ);
}

static void on_deadline(void *arg) {
  struct tend_pg_session *s = arg;
  char text[240];
  int64_t ms = (s->host->now_ns(s->host->self) - s->asked_ns) / NS_PER_MS;
  snprintf(text, sizeof text, "%s: no answer to the query within %" PRId64 " ms; the connection was dropped", s->peer,
           ms);
  lose(s, "timeout", text);
}

int pg_session_query(struct tend_pg_session *s, const char *sql, const struct tend_pg_params *params,
                     int64_t deadline_ns, tend_pg_done_fn *done, void *arg) {
  if (!s->conn) return -ENOTCONN;
  if (s->busy) return -EBUSY;
  int n = params ? params->n : 0;
  if (!PQsendQueryParams(s->conn, sql, n, NULL, n ? params->texts : NULL, NULL, NULL, 0)) return -ENOTCONN;
  PQsetSingleRowMode(s->conn);
  s->busy = true;
  s->failure = (struct pg_failure){0};
  s->done = done;
  s->query_arg = arg;
  s->asked_ns = s->host->now_ns(s->host->self);
  s->host->timer_at(s->timer, deadline_ns);
  s->host->watch_set(s->watch, PQsocket(s->conn), TEND_READ | TEND_WRITE); /* writable: flushes */
  return 0;
}

static void on_dialled(void *arg, PGconn *conn, const char *peer, const struct pg_failure *failure) {
  struct tend_pg_session *s = arg;
  s->dial = NULL;
  snprintf(s->peer, sizeof s->peer, "%s", peer);
  struct tend_pg_error e = {0};
  if (conn) {
    s->conn = conn;
    PQsetnonblocking(conn, 1);
    PQsetErrorVerbosity(conn, PQERRORS_DEFAULT);
    s->watch = s->host->watch_new(s->host->self, PQsocket(conn), TEND_READ, on_ready, s);
    if (!s->watch) e = (struct tend_pg_error){.reason = "memory", .message = "no memory", .closed = true};
  } else {
    e = (struct tend_pg_error){.reason = failure->reason, .message = failure->message, .closed = true};
    memcpy(e.sqlstate, failure->sqlstate, sizeof e.sqlstate);
  }
  s->calling = true;
  if (e.reason) s->doomed = true;
  s->opened(s->open_arg, e.reason ? NULL : s, e.reason ? &e : NULL);
  closed_by(s);
}

static void on_progress(void *arg, const char *doing) {
  struct tend_pg_session *s = arg;
  if (s->progress) s->progress(s->open_arg, doing);
}

struct tend_pg_session *pg_session_open(const struct tend_host *host, const char *conninfo, int64_t deadline_ns,
                                        pg_progress_fn *progress, tend_pg_open_fn *done, void *arg, char *msg,
                                        size_t size) {
  struct pg_conninfo info = {0};
  if (pg_conninfo_parse(&info, conninfo, msg, size)) return NULL;
  struct tend_pg_session *s = calloc(1, sizeof *s);
  if (s) {
    s->host = host;
    s->opened = done;
    s->open_arg = arg;
    s->progress = progress;
    s->timer = host->timer_new(host->self, on_deadline, s);
    s->dial = pg_dial_start(host, &info, deadline_ns, on_progress, on_dialled, s);
  }
  pg_conninfo_free(&info);
  if (!s || !s->timer || !s->dial) {
    pg_session_close(s);
    snprintf(msg, size, "no memory for a connection");
    return NULL;
  }
  return s;
}

bool pg_session_usable(const struct tend_pg_session *s) {
  return s && s->conn && !s->busy && PQstatus(s->conn) == CONNECTION_OK;
}

const char *pg_session_peer(const struct tend_pg_session *s) { return s->peer; }

int pg_session_server_version(const struct tend_pg_session *s) { return s->conn ? PQserverVersion(s->conn) : 0; }

void pg_session_set_pool(struct tend_pg_session *s, struct pg_pool *pool) { s->pool = pool; }

struct pg_pool *pg_session_pool(const struct tend_pg_session *s) {
  return s->pool;
}

bool pg_session_in_transaction(const struct tend_pg_session *s) {
  return s->conn && PQtransactionStatus(s->conn) != PQTRANS_IDLE;
}
