/* The part "postgres": what it offers. */
#include "parts/postgres.h"

#include <stdio.h>
#include <string.h>

static struct tend_pg_session *session_open(const struct tend_host *host, const char *conninfo, int64_t deadline_ns,
                                            tend_pg_open_fn *done, void *arg, char *msg, size_t size) {
  return pg_session_open(host, conninfo, deadline_ns, NULL, done, arg, msg, size);
}

static void describe(const char *conninfo, char *text, size_t size) {
  struct pg_conninfo c = {0};
  char peer[128];
  if (pg_conninfo_parse(&c, conninfo, text, size)) return;
  const char *database = pg_conninfo_get(&c, "dbname"), *user = pg_conninfo_get(&c, "user");
  snprintf(text, size, "%s%s%s%s%s%s", pg_target_name(&c.targets[0], peer, sizeof peer), c.n > 1 ? " and others" : "",
           database ? ", database " : "", database ? database : "", user ? ", user " : "", user ? user : "");
  pg_conninfo_free(&c);
}

static struct tend_pg_checkout *checkout(const struct tend_host *host, const char *conninfo,
                                         const struct tend_pg_pool_options *options, int64_t deadline_ns,
                                         tend_pg_open_fn *done, void *arg, char *msg, size_t size) {
  return pg_pool_checkout(host, conninfo, options, deadline_ns, NULL, done, arg, msg, size);
}

static const struct tend_postgres ops = {
    .session_open = session_open,
    .session_query = pg_session_query,
    .session_close = pg_session_close,
    .session_usable = pg_session_usable,
    .checkout = checkout,
    .checkout_cancel = pg_pool_checkout_cancel,
    .session_release = pg_session_release,
    .pool_reset = pg_pool_reset,
    .pool_stats = pg_pool_stats,
    .describe = describe,
    .session_on_notify = pg_session_on_notify,
};

const struct tend_part *tend_part(void) {
  static struct tend_probe_kind kinds[2];
  static const struct tend_part part = {.abi = TEND_ABI, .name = "postgres", .kinds = kinds, .ops = &ops};
  kinds[0] = pg_probe_kind;
  /* a key with a pass phrase: libpq's own way, or OpenSSL asks at the terminal, and waits */
  PQsetSSLKeyPassHook_OpenSSL(PQdefaultSSLKeyPassHook_OpenSSL);
  return &part;
}
