#include <arpa/inet.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts/postgres.h"

enum { ADDRESSES_MAX = 16, PORT_DEFAULT = 5432 };
#define NS_PER_MS INT64_C(1000000)

struct pg_dial {
  const struct tend_host *host;
  struct pg_conninfo info;
  int64_t deadline_ns, attempt_started_ns;
  struct tend_timer *timer; /* the next step, or the end of this attempt */
  struct tend_resolve *resolve;
  struct tend_watch *watch;
  PGconn *conn;
  size_t target, opened;                                /* the present one; how many were tried */
  char addresses[ADDRESSES_MAX][INET6_ADDRSTRLEN + 20]; /* of it; "" : none needed */
  size_t n, next;
  bool hopeless; /* the server has answered in a way that other hosts cannot mend */
  char peer[160], doing[200];
  struct pg_failure failure; /* the one that says most */
  pg_progress_fn *progress;
  pg_dial_fn *done;
  void *arg;
};

static void hang_up(struct pg_dial *d) {
  d->host->watch_free(d->watch);
  d->watch = NULL;
  PQfinish(d->conn);
  d->conn = NULL;
}

void pg_dial_cancel(struct pg_dial *d) {
  if (!d) return;
  hang_up(d);
  if (d->resolve) d->host->resolve_cancel(d->resolve);
  d->host->timer_free(d->timer);
  pg_conninfo_free(&d->info);
  free(d);
}

static void finish(struct pg_dial *d, PGconn *conn) {
  pg_dial_fn *done = d->done;
  void *arg = d->arg;
  struct pg_failure failure = d->failure;
  char peer[sizeof d->peer];
  memcpy(peer, d->peer, sizeof peer);
  pg_dial_cancel(d);
  done(arg, conn, peer, conn ? NULL : &failure);
}

static void tell(struct pg_dial *d, const char *what) {
  char doing[sizeof d->doing];
  snprintf(doing, sizeof doing, "%s %s", what, d->peer);
  if (strcmp(doing, d->doing) == 0) return;
  memcpy(d->doing, doing, sizeof doing);
  if (d->progress) d->progress(d->arg, doing);
}

/* Only a network failure lets a later one take its place: what a server said says more. */
static bool says_little(const char *reason) {
  static const char *const little[] = {"dns", "timeout", "unreachable", "refused", "closed"};
  for (size_t i = 0; i < sizeof little / sizeof *little; i++)
    if (strcmp(reason, little[i]) == 0) return true;
  return false;
}

static void failed(struct pg_dial *d, const struct pg_failure *f) {
  hang_up(d);
  if (!d->failure.reason || (says_little(d->failure.reason) && !says_little(f->reason)))
    d->failure = *f;
  else if (says_little(d->failure.reason)) {
    size_t n = strlen(d->failure.message);
    snprintf(d->failure.message + n, sizeof d->failure.message - n, "; %s", f->message);
  }
  d->hopeless = strcmp(f->reason, "authentication") == 0 || strcmp(f->reason, "no_database") == 0;
  d->host->timer_at(d->timer, 0); /* on with the next from the loop */
}

/* What is left, shared by all that is still to be tried. */
static int64_t attempt_deadline(const struct pg_dial *d) {
  int64_t now = d->attempt_started_ns, left = d->deadline_ns - now;
  size_t tries = d->n - d->next + 1 + (d->info.n - d->target - 1);
  const char *limit = pg_conninfo_get(&d->info, "connect_timeout");
  int64_t most = limit ? strtoll(limit, NULL, 10) * 1000 * NS_PER_MS : 0;
  left = left > 0 ? left / (int64_t)tries : 0;
  return now + (most > 0 && most < left ? most : left);
}

static void timed_out(struct pg_dial *d) {
  struct pg_failure f = {.reason = "timeout"};
  int64_t ms = (d->host->now_ns(d->host->self) - d->attempt_started_ns) / NS_PER_MS;
  snprintf(f.message, sizeof f.message, "no answer within %" PRId64 " ms while %s", ms, d->doing);
  failed(d, &f);
}

static void on_ready(void *arg, int fd, int events) {
  (void)fd;
  (void)events;
  struct pg_dial *d = arg;
  PostgresPollingStatusType status = PQconnectPoll(d->conn);
  if (status == PGRES_POLLING_OK) {
    PGconn *conn = d->conn;
    d->conn = NULL;
    finish(d, conn);
    return;
  }
  if (status == PGRES_POLLING_FAILED) {
    struct pg_failure f;
    pg_failure_of_connection(&f, PQerrorMessage(d->conn), d->peer);
    failed(d, &f);
    return;
  }
  if (PQstatus(d->conn) != CONNECTION_STARTED) tell(d, "waiting for an answer of");
  /* libpq may have changed to another socket, also to one of the same number */
  d->host->watch_set(d->watch, PQsocket(d->conn), status == PGRES_POLLING_READING ? TEND_READ : TEND_WRITE);
}

static void on_notice(void *arg, const PGresult *r) {
  (void)arg; /* libpq would write it to standard error */
  (void)r;
}

static void connect_to(struct pg_dial *d, const char *address) {
  const struct pg_target *t = &d->info.targets[d->target];
  char name[128];
  pg_target_name(t, name, sizeof name);
  if (*address && t->host && strcmp(t->host, address) != 0)
    snprintf(d->peer, sizeof d->peer, "%s (%s)", name, address);
  else
    snprintf(d->peer, sizeof d->peer, "%s", name);
  tell(d, "connecting to");
  struct pg_failure f = {.reason = "tls"};
  if (*address && pg_conninfo_unfit_file(&d->info, f.message, sizeof f.message)) {
    failed(d, &f);
    return;
  }
  d->attempt_started_ns = d->host->now_ns(d->host->self);
  d->host->timer_at(d->timer, attempt_deadline(d));
  d->conn = pg_conninfo_connect(&d->info, t, *address ? address : NULL);
  if (d->conn && PQstatus(d->conn) != CONNECTION_BAD) {
    PQsetErrorVerbosity(d->conn, PQERRORS_VERBOSE); /* now, or a refusal has no SQLSTATE */
    PQsetNoticeReceiver(d->conn, on_notice, NULL);
    d->watch = d->host->watch_new(d->host->self, PQsocket(d->conn), TEND_WRITE, on_ready, d);
    if (d->watch) return;
  }
  f.reason = "memory";
  if (d->conn && PQstatus(d->conn) == CONNECTION_BAD)
    pg_failure_of_connection(&f, PQerrorMessage(d->conn), d->peer);
  else
    snprintf(f.message, sizeof f.message, "%s: no memory", d->peer);
  failed(d, &f);
}

static void on_resolved(void *arg, const struct tend_addresses *found) {
  struct pg_dial *d = arg;
  d->resolve = NULL;
  if (!found->n) {
    struct pg_failure f = {.reason = found->reason};
    snprintf(f.message, sizeof f.message, "%s", found->detail);
    failed(d, &f);
    return;
  }
  for (size_t i = 0; i < found->n && d->n < ADDRESSES_MAX; i++)
    if (getnameinfo((const struct sockaddr *)&found->list[i].addr, found->list[i].len, d->addresses[d->n],
                    sizeof d->addresses[0], NULL, 0, NI_NUMERICHOST) == 0)
      d->n++;
  d->host->timer_at(d->timer, 0);
}

static uint16_t port_of(const struct pg_target *t) {
  long port = t->port ? strtol(t->port, NULL, 10) : 0;
  return port > 0 && port <= UINT16_MAX ? (uint16_t)port : PORT_DEFAULT;
}

static void open_target(struct pg_dial *d) {
  const struct pg_target *t = &d->info.targets[d->target];
  d->n = d->next = 0;
  pg_target_name(t, d->peer, sizeof d->peer);
  if (t->addr || !t->host || *t->host == '/' || *t->host == '@') {
    snprintf(d->addresses[d->n++], sizeof d->addresses[0], "%s", t->addr ? t->addr : "");
    connect_to(d, d->addresses[d->next++]);
    return;
  }
  tell(d, "resolving the name of");
  d->attempt_started_ns = d->host->now_ns(d->host->self);
  d->host->timer_at(d->timer, INT64_MAX);
  d->resolve = d->host->resolve(d->host->self, t->host, port_of(t), attempt_deadline(d), on_resolved, d);
  if (!d->resolve) failed(d, &(struct pg_failure){.reason = "memory", .message = "no memory"});
}

static void on_timer(void *arg) {
  struct pg_dial *d = arg;
  if (d->conn) {
    timed_out(d);
  } else if (d->hopeless || d->host->now_ns(d->host->self) >= d->deadline_ns) {
    if (!d->failure.reason) d->failure = (struct pg_failure){.reason = "timeout", .message = "no time left"};
    finish(d, NULL);
  } else if (d->next < d->n) {
    connect_to(d, d->addresses[d->next++]);
  } else if (d->opened < d->info.n) {
    d->target = d->opened++;
    open_target(d);
  } else {
    finish(d, NULL);
  }
}

struct pg_dial *pg_dial_start(const struct tend_host *host, struct pg_conninfo *c, int64_t deadline_ns,
                              pg_progress_fn *progress, pg_dial_fn *done, void *arg) {
  struct pg_dial *d = calloc(1, sizeof *d);
  if (!d) return NULL;
  *d = (struct pg_dial){.host = host, .deadline_ns = deadline_ns, .progress = progress, .done = done, .arg = arg};
  d->timer = host->timer_new(host->self, on_timer, d);
  if (!d->timer) {
    free(d);
    return NULL;
  }
  d->info = *c;
  *c = (struct pg_conninfo){0};
  host->timer_at(d->timer, 0);
  return d;
}
