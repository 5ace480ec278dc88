/* What the files of this part share. A connection is dialled (conninfo, dial), used (session), and looked at by the
 * probe. Only the asynchronous half of libpq is used, and never PQcancel, which connects and waits.
 */
#ifndef TEND_PARTS_POSTGRES_H
#define TEND_PARTS_POSTGRES_H

#include <libpq-fe.h>

#include "tend/part.h"
#include "tend/postgres.h"

enum { PG_TARGETS_MAX = 16, PG_MESSAGE_MAX = 512, PG_ANSWER_MAX = 64 << 20 /* bytes of one answer */ };

/* One host of the connection string. host NULL, a path or an abstract name: a Unix socket, nothing to resolve. */
struct pg_target {
  char *host, *addr, *port;
};

struct pg_conninfo {
  PQconninfoOption *options; /* as parsed; host, hostaddr and port are in targets */
  struct pg_target targets[PG_TARGETS_MAX];
  size_t n;
};

/* 0, or -1 with a message that holds nothing of the text. */
int pg_conninfo_parse(struct pg_conninfo *c, const char *text, char *msg, size_t size);
void pg_conninfo_free(struct pg_conninfo *c);
const char *pg_conninfo_get(const struct pg_conninfo *c, const char *key); /* NULL: not given */
/* NULL, or msg: OpenSSL would open this one here and now, and a pipe would keep it for good. */
const char *pg_conninfo_unfit_file(const struct pg_conninfo *c, char *msg, size_t size);
/* "db:5432"; a socket's folder; the address where there is no name. Returns buf. */
const char *pg_target_name(const struct pg_target *t, char *buf, size_t size);
/* Starts to connect to one numeric address of the target (NULL: as it stands). */
PGconn *pg_conninfo_connect(const struct pg_conninfo *c, const struct pg_target *t, const char *address);

struct pg_failure {
  const char *reason;
  char sqlstate[6];
  char message[PG_MESSAGE_MAX];
};

/* From libpq's text of a failed connection or a lost one. */
void pg_failure_of_connection(struct pg_failure *f, const char *text, const char *peer);
void pg_failure_of_result(struct pg_failure *f, const PGresult *r);
const char *pg_reason_of_state(const char *sqlstate);

typedef void pg_progress_fn(void *arg, const char *doing);
/* conn is the callee's from now on; NULL with the failure. */
typedef void pg_dial_fn(void *arg, PGconn *conn, const char *peer, const struct pg_failure *failure);

/* Host after host, address after address, until one lets us in or time is up. Takes over *c's contents. NULL: no
 * memory. */
struct pg_dial;
struct pg_dial *pg_dial_start(const struct tend_host *host, struct pg_conninfo *c, int64_t deadline_ns,
                              pg_progress_fn *progress, pg_dial_fn *done, void *arg);
void pg_dial_cancel(struct pg_dial *d); /* NULL is allowed */

/* Rows copied out of libpq's. Zero-initialise. */
struct pg_rows {
  char *text; /* the values, each terminated */
  void *cells;
  size_t text_len, text_cap, cells_cap, columns, n;
};

/* Adds the one row of a PGRES_SINGLE_TUPLE: 0, -E2BIG (over PG_ANSWER_MAX), -ENOMEM. */
int pg_rows_add(struct pg_rows *rows, const PGresult *r);
const char *pg_rows_value(const struct pg_rows *rows, int row, int column, size_t *len); /* NULL: null */
void pg_rows_free(struct pg_rows *rows);

/* As session_open of the public interface, with progress (may be NULL, gets arg). */
struct tend_pg_session *pg_session_open(const struct tend_host *host, const char *conninfo, int64_t deadline_ns,
                                        pg_progress_fn *progress, tend_pg_open_fn *done, void *arg, char *msg,
                                        size_t size);
int pg_session_query(struct tend_pg_session *s, const char *sql, const struct tend_pg_params *params,
                     int64_t deadline_ns, tend_pg_done_fn *done, void *arg);
void pg_session_close(struct tend_pg_session *s);
void pg_session_on_notify(struct tend_pg_session *s, tend_pg_notify_fn *fn, void *arg);
bool pg_session_usable(const struct tend_pg_session *s);
const char *pg_session_peer(const struct tend_pg_session *s);
int pg_session_server_version(const struct tend_pg_session *s); /* 150020 */

/* A session may belong to a pool, which is told of its end. */
struct pg_pool;
void pg_session_set_pool(struct tend_pg_session *s, struct pg_pool *pool);
struct pg_pool *pg_session_pool(const struct tend_pg_session *s);
bool pg_session_in_transaction(const struct tend_pg_session *s);
void pg_pool_lost(struct pg_pool *pool, struct tend_pg_session *s); /* the session is being closed */

/* As in the public interface; progress may be NULL and gets arg. */
struct tend_pg_checkout *pg_pool_checkout(const struct tend_host *host, const char *conninfo,
                                          const struct tend_pg_pool_options *options, int64_t deadline_ns,
                                          pg_progress_fn *progress, tend_pg_open_fn *done, void *arg, char *msg,
                                          size_t size);
void pg_pool_checkout_cancel(struct tend_pg_checkout *c); /* NULL is allowed */
void pg_session_release(struct tend_pg_session *s);
int pg_pool_reset(const char *conninfo);
bool pg_pool_stats(const char *conninfo, struct tend_pg_pool_stats *out);

extern const struct tend_probe_kind pg_probe_kind;

#endif
