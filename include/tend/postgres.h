/* What the part "postgres" offers to scripts: struct tend_part.ops is a const struct tend_postgres *.
 *
 * A session is one connection. Queries on it go one after the other (a second one while one runs is refused), so a
 * transaction is a row of queries on one session. Everything is asynchronous and has a deadline of its own; when a
 * query's deadline comes or it is cancelled, its connection is dropped, for nothing else ends a query without
 * blocking. An answer over 64 MB is refused in the same way. No message holds a password or the connection string.
 * Deadlines are CLOCK_MONOTONIC ns. Sessions belong to who opened them, results and errors to the part.
 */
#ifndef TEND_POSTGRES_H
#define TEND_POSTGRES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tend_host;
struct tend_pg_session;
struct tend_pg_checkout;

/* Why something failed. reason: dns, refused, unreachable, timeout, permission, tls, authentication, no_database,
 * too_many_clients, starting_up, read_only, closed, query, config, memory. */
struct tend_pg_error {
  const char *reason;
  char sqlstate[6]; /* "" when the server did not say */
  const char *message;
  bool closed; /* the connection is gone; only session_close is left */
};

struct tend_pg_result {
  int rows, columns;
  long long affected; /* -1: the statement counts nothing */
  const char *tag;    /* "SELECT 3", "BEGIN" … */
  const char *(*name)(const struct tend_pg_result *r, int column);
  unsigned (*type)(const struct tend_pg_result *r, int column); /* oid */
  /* Text as the server gives it, with its length; NULL for null. */
  const char *(*value)(const struct tend_pg_result *r, int row, int column, size_t *len);
};

struct tend_pg_params {
  int n;
  const char *const *texts; /* NULL for null; text format, terminated */
};

/* Exactly one of the two is not NULL; both valid during the call. */
typedef void tend_pg_open_fn(void *arg, struct tend_pg_session *session, const struct tend_pg_error *error);
typedef void tend_pg_done_fn(void *arg, const struct tend_pg_result *result, const struct tend_pg_error *error);

/* What NOTIFY sent; all NULL and 0: the connection is gone, and nothing more comes. Valid during the call, in which the
 * session must not be closed. */
typedef void tend_pg_notify_fn(void *arg, const char *channel, const char *payload, int pid);

/* A pool keeps connections of one connection string (the text itself names it) and lends them. One that comes back is
 * cleaned on the server (DISCARD ALL) before it is lent again; one that has rested for a second is asked whether it is
 * still good when it is lent; one that is too old is closed instead. */
struct tend_pg_pool_options {
  int size;           /* connections at once, at most; at least 1 */
  int64_t max_age_ns; /* of a connection */
};

struct tend_pg_pool_stats {
  int size, idle, used;     /* used: lent, being made or cleaned */
  int waiting;              /* checkouts that wait for a connection */
  int64_t oldest_ns;        /* age of the oldest connection; 0: there is none */
  uint64_t opened, dropped; /* so far; dropped: lost, failed or reset, not of old age */
};

struct tend_postgres {
  /* Connects and authenticates. Returns the session (usable from its callback on; session_close at any time ends it
   * without the callback), NULL with a message when the connection string is wrong. When the callback gets an error
   * the session is already closed. */
  struct tend_pg_session *(*session_open)(const struct tend_host *host, const char *conninfo, int64_t deadline_ns,
                                          tend_pg_open_fn *done, void *arg, char *msg, size_t size);
  /* 0; -EBUSY (a query runs), -ENOTCONN (the connection is gone), -ENOMEM; then done is not called. */
  int (*session_query)(struct tend_pg_session *s, const char *sql, const struct tend_pg_params *params,
                       int64_t deadline_ns, tend_pg_done_fn *done, void *arg);
  /* Ends everything on it without callbacks, also from inside one. NULL is allowed. */
  void (*session_close)(struct tend_pg_session *s);
  bool (*session_usable)(const struct tend_pg_session *s); /* connected and no query runs */
  /* Borrows a connection; done gets it, or the error, at the deadline at the latest. It goes back by session_release;
   * session_close ends the connection instead. Options of the last call count. NULL with a message when the connection
   * string is wrong. */
  struct tend_pg_checkout *(*checkout)(const struct tend_host *host, const char *conninfo,
                                       const struct tend_pg_pool_options *options, int64_t deadline_ns,
                                       tend_pg_open_fn *done, void *arg, char *msg, size_t size);
  void (*checkout_cancel)(struct tend_pg_checkout *checkout);
  /* Also for a session that is no pool's: it is closed. NULL is allowed. */
  void (*session_release)(struct tend_pg_session *s);
  /* Closes what is idle now, and what is lent when it comes back. Returns how many, 0 where there is no such pool. */
  int (*pool_reset)(const char *conninfo);
  /* False: there is no such pool yet. */
  bool (*pool_stats)(const char *conninfo, struct tend_pg_pool_stats *out);
  /* Host, port, database and user of a connection string, for people; no password. */
  void (*describe)(const char *conninfo, char *text, size_t size);
  /* Who hears of notifications from now on; NULL: they are dropped. */
  void (*session_on_notify)(struct tend_pg_session *s, tend_pg_notify_fn *fn, void *arg);
};

#endif
