/* Kind postgres: connects, authenticates, asks, and where it is to be written to makes sure that it can be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts/postgres.h"

#define POOL_MAX_AGE_NS (INT64_C(1800) * 1000000000)

static const struct tend_param params[] = {
    {"conninfo", TEND_TEXT, false, 0, 0, "connection string, URI or keywords"},
    {"setting", TEND_TEXT, false, 0, 0, "the setting that holds the connection string"},
    {"query", TEND_TEXT, false, 0, 0, "a query that must not fail (default SELECT 1)"},
    {"writable", TEND_BOOL, false, 0, 0, "a standby or a read-only database is not good enough"},
    {"slow", TEND_DURATION, false, 0, 0, "an answer that takes longer is a warning"},
    {"pool", TEND_INTEGER, false, 1, 1000,
     "borrows a connection of the pool of at most so many, in place of a new one"},
    {"pool_max_age", TEND_DURATION, false, 0, 0, "so old a connection of the pool becomes (30 minutes)"},
    {0},
};

struct run {
  const struct tend_host *host;
  struct tend_probe *probe;
  const char *query; /* the probe's */
  bool writable;
  int64_t started_ns, connected_ns, answered_ns, slow_ns;
  struct tend_pg_session *session;
  struct tend_pg_checkout *checkout; /* of the pool, until there is a session */
  char conninfo[];
};

static void cancel(void *arg) {
  struct run *r = arg;
  pg_pool_checkout_cancel(r->checkout);
  pg_session_release(r->session);
  free(r);
}

static void fail(struct run *r, const char *reason, const char *detail) {
  const struct tend_host *host = r->host;
  struct tend_probe *p = r->probe;
  cancel(r);
  host->probe_done(p, &(struct tend_result){.status = TEND_FAIL, .reason = reason, .detail = detail});
}

static void succeed(struct run *r) {
  int version = pg_session_server_version(r->session);
  char server[32], peer[160], took[32], most[32], detail[256] = "";
  snprintf(server, sizeof server, "%d.%d", version / 10000, version % 10000);
  snprintf(peer, sizeof peer, "%s", pg_session_peer(r->session));
  double response_ms = (double)(r->answered_ns - r->connected_ns) / 1e6;
  struct tend_fact facts[10] = {
      {.name = "response_ms", .number = response_ms},
      {.name = "connect_ms", .number = (double)(r->connected_ns - r->started_ns) / 1e6},
      {.name = "server_version", .text = server},
      {.name = "address", .text = peer},
  };
  size_t n = 4;
  struct tend_pg_pool_stats pool;
  pg_session_release(r->session);
  r->session = NULL;
  if (pg_pool_stats(r->conninfo, &pool)) {
    facts[n++] = (struct tend_fact){.name = "pool_size", .number = pool.size};
    facts[n++] = (struct tend_fact){.name = "pool_idle", .number = pool.idle};
    facts[n++] = (struct tend_fact){.name = "pool_used", .number = pool.used};
    facts[n++] = (struct tend_fact){.name = "pool_waiting", .number = pool.waiting};
    facts[n++] = (struct tend_fact){.name = "pool_oldest_s", .number = (double)(pool.oldest_ns / 1000000) / 1e3};
  }
  bool slow = r->slow_ns && r->answered_ns - r->connected_ns > r->slow_ns;
  if (slow) {
    snprintf(took, sizeof took, "%.1f", response_ms);
    snprintf(most, sizeof most, "%.6g", (double)r->slow_ns / 1e6);
    snprintf(detail, sizeof detail, "%.60s took %s ms, expected at most %s", r->query, took, most);
  }
  const struct tend_host *host = r->host;
  struct tend_probe *p = r->probe;
  cancel(r);
  host->probe_done(p, &(struct tend_result){.status = slow ? TEND_WARN : TEND_OK,
                                            .reason = slow ? "slow" : "",
                                            .detail = detail,
                                            .facts = facts,
                                            .nfacts = n});
}

static void on_mode(void *arg, const struct tend_pg_result *result, const struct tend_pg_error *error) {
  struct run *r = arg;
  size_t len = 0;
  const char *mode = result && result->rows == 1 ? result->value(result, 0, 0, &len) : NULL;
  char detail[256];
  if (error) {
    snprintf(detail, sizeof detail, "%s", error->message);
    fail(r, error->reason, detail);
  } else if (mode && strcmp(mode, "on") == 0) {
    snprintf(detail, sizeof detail, "%s takes no writes: it is a standby or set to read-only",
             pg_session_peer(r->session));
    fail(r, "read_only", detail);
  } else {
    succeed(r);
  }
}

static void ask(struct run *r, const char *sql, tend_pg_done_fn *done) {
  char doing[160];
  snprintf(doing, sizeof doing, "waiting for the answer to %.60s from %s", sql, pg_session_peer(r->session));
  r->host->probe_progress(r->probe, doing);
  /* the attempt's deadline is kept by who started it */
  if (pg_session_query(r->session, sql, NULL, INT64_MAX, done, r))
    fail(r, "closed", "the connection was closed right after it was made");
}

static void on_answer(void *arg, const struct tend_pg_result *result, const struct tend_pg_error *error) {
  (void)result;
  struct run *r = arg;
  if (error) {
    char detail[256];
    snprintf(detail, sizeof detail, "%.60s: %s%s%s%s", r->query, error->message, *error->sqlstate ? " (SQLSTATE " : "",
             error->sqlstate, *error->sqlstate ? ")" : "");
    fail(r, error->reason, detail);
    return;
  }
  r->answered_ns = r->host->now_ns(r->host->self);
  if (r->writable)
    ask(r, "SHOW transaction_read_only", on_mode);
  else
    succeed(r);
}

static void on_open(void *arg, struct tend_pg_session *session, const struct tend_pg_error *error) {
  struct run *r = arg;
  r->checkout = NULL;
  r->session = session;
  if (!session) {
    char detail[256];
    snprintf(detail, sizeof detail, "%s", error->message);
    fail(r, error->reason, detail);
    return;
  }
  r->connected_ns = r->host->now_ns(r->host->self);
  ask(r, r->query, on_answer);
}

static void on_progress(void *arg, const char *doing) {
  struct run *r = arg;
  r->host->probe_progress(r->probe, doing);
}

static int check(const struct tend_host *host, const struct tend_params *ps, char *msg, size_t size) {
  const char *conninfo = host->param_text(ps, "conninfo"), *setting = host->param_text(ps, "setting");
  struct pg_conninfo c = {0};
  char why[400];
  if (!conninfo == !setting) {
    snprintf(msg, size,
             "conninfo: expected either conninfo, a connection string, or setting, the name of the setting "
             "that holds one");
    return -1;
  }
  if (conninfo && pg_conninfo_parse(&c, conninfo, why, sizeof why)) {
    snprintf(msg, size, "conninfo: %s", why);
    return -1;
  }
  /* settings may not be known yet */
  const char *value = setting ? host->setting(host->self, setting) : NULL;
  if (value && *value && pg_conninfo_parse(&c, value, why, sizeof why)) {
    snprintf(msg, size, "%s: %s", setting, why);
    return -1;
  }
  pg_conninfo_free(&c);
  return 0;
}

static void *start(const struct tend_host *host, struct tend_probe *p, const struct tend_params *ps,
                   int64_t deadline_ns, char *msg, size_t size) {
  const char *conninfo = host->param_text(ps, "conninfo"), *setting = host->param_text(ps, "setting");
  const char *query = host->param_text(ps, "query");
  char why[400], detail[480];
  if (!conninfo) conninfo = host->setting(host->self, setting);
  if (!conninfo || !*conninfo) {
    snprintf(detail, sizeof detail, "the setting %s has no value", setting);
    host->probe_done(p, &(struct tend_result){.status = TEND_FAIL, .reason = "config", .detail = detail});
    return NULL;
  }
  double size_of_pool = host->param_number(ps, "pool", 0);
  size_t n = strlen(conninfo);
  struct run *r = calloc(1, sizeof *r + n + 1);
  if (!r) {
    snprintf(msg, size, "no memory");
    return NULL;
  }
  *r = (struct run){.host = host, .probe = p};
  memcpy(r->conninfo, conninfo, n);
  r->query = query ? query : "SELECT 1";
  r->writable = host->param_bool(ps, "writable", false);
  r->slow_ns = host->param_ns(ps, "slow", 0);
  r->started_ns = host->now_ns(host->self);
  const struct tend_pg_pool_options options = {(int)size_of_pool, host->param_ns(ps, "pool_max_age", POOL_MAX_AGE_NS)};
  if (size_of_pool > 0)
    r->checkout = pg_pool_checkout(host, conninfo, &options, deadline_ns, on_progress, on_open, r, why, sizeof why);
  else
    r->session = pg_session_open(host, conninfo, deadline_ns, on_progress, on_open, r, why, sizeof why);
  if (!r->session && !r->checkout) {
    free(r);
    snprintf(detail, sizeof detail, "%s%s%s", setting ? setting : "", setting ? ": " : "", why);
    host->probe_done(p, &(struct tend_result){.status = TEND_FAIL, .reason = "config", .detail = detail});
    return NULL;
  }
  return r;
}

const struct tend_probe_kind pg_probe_kind = {.name = "postgres",
                                              .doc = "A PostgreSQL server lets us in and answers a query.",
                                              .params = params,
                                              .check = check,
                                              .start = start,
                                              .cancel = cancel};
