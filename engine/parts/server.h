/* What the files of this part share. libmicrohttpd speaks HTTP; its epoll descriptor is watched by the host's loop.
 * Connections are accepted here, not by the library, which knows no deadline for a whole request and would let the
 * newest wait when there are too many.
 */
#ifndef TEND_PARTS_SERVER_H
#define TEND_PARTS_SERVER_H

#include <microhttpd.h>
#include <netinet/in.h>

#include "tend/part.h"
#include "tend/server.h"

enum server_phase {
  SERVER_HEAD,   /* waits for its first request */
  SERVER_IDLE,   /* waits for its next request */
  SERVER_ANSWER, /* is being answered */
  SERVER_STREAM,
};

/* One connection; in the list of its server, the oldest first. */
struct server_conn {
  struct tend_server *server;
  struct server_conn *next, *prev;
  int fd;
  struct MHD_Connection *mhd; /* NULL until the library has it */
  struct in6_addr from;       /* IPv4 mapped */
  enum server_phase phase;
  int64_t since_ns, deadline_ns;
  bool ending; /* was shut down, and counts no more */
  bool begun;  /* its request is whole; the answer comes with the library's next call */
  struct tend_stream *stream;
};

struct tend_server {
  const struct tend_host *host;
  struct tend_server_limits limits;
  struct MHD_Daemon *daemon;
  tend_request_fn *fn;
  void *arg;
  int fd;
  struct tend_watch *accept_watch, *watch;
  struct tend_timer *timer; /* the earliest deadline */
  struct tend_timer *again; /* when the library wants to run, or accepting goes on */
  int64_t timer_due_ns;
  struct server_conn *first, *last;
  struct tend_server_counts counts;
  bool running, stopping, deaf; /* inside the library; stop was called; accepting pauses */
};

struct tend_stream {
  struct server_conn *conn; /* NULL: has gone */
  tend_stream_fill_fn *fill;
  tend_stream_gone_fn *gone;
  void *arg;
  struct tend_watch *watch; /* while suspended */
  bool suspended, ending, broken;
};

struct tend_request {
  struct server_conn *conn;
  const char *method, *path;
  bool answered;
};

/* Lets the library do what there is to do. */
void server_pump(struct tend_server *s);

/* server_conn.c */
void server_accept(void *server, int fd, int events);
struct server_conn *server_conn_of(const struct tend_server *s, struct MHD_Connection *c);
void server_conn_phase(struct server_conn *c, enum server_phase phase);
void server_conn_deadline(struct server_conn *c, int64_t deadline_ns); /* INT64_MAX: none */
void server_conn_end(struct server_conn *c);
void server_conn_free(struct server_conn *c);
void server_on_deadline(void *server);

/* server_request.c */
enum MHD_Result server_on_request(void *server, struct MHD_Connection *mhd, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_size, void **state);
int server_answer(struct tend_request *q, const struct tend_answer *answer);
const char *server_argument(const struct tend_request *q, const char *name);
bool server_loopback(const struct tend_request *q);
void server_headers(const struct tend_request *q, tend_header_fn *each, void *arg);
void server_add_headers(struct MHD_Response *r, const struct tend_answer *a);

/* server_stream.c */
struct tend_stream *server_stream(struct tend_request *q, const struct tend_answer *head, tend_stream_fill_fn *fill,
                                  tend_stream_gone_fn *gone, void *arg, bool *busy);
void server_stream_wake(struct tend_stream *t);
/* It shall end: after what it still has to say, or (now) without. */
void server_stream_end(struct tend_stream *t, bool now);
void server_stream_leave(struct tend_stream *t); /* its connection is freed */

/* server_page.c */
const char *server_page(size_t *n);

#endif
