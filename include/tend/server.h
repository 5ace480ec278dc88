/* What the part "server" offers to the engine: struct tend_part.ops is a const struct tend_server_ops *.
 *
 * An HTTP/1.1 server on a listening socket that the engine has made. The part accepts, reads requests and keeps the
 * limits, so that no client can cost more than its share; the engine decides what each request is answered. Only GET
 * and HEAD without a body come through; all else is answered here.
 *
 * When there is no room for a new connection, the one that has waited longest without a whole request makes place;
 * those whose request is being answered are never ended for a new one.
 */
#ifndef TEND_SERVER_H
#define TEND_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct tend_host;
struct tend_server;
struct tend_request; /* one request; valid until its function returns */
struct tend_stream;  /* an answer that goes on; valid until gone was called */

struct tend_server_limits {
  unsigned connections; /* at once */
  unsigned per_address; /* of one address */
  unsigned streams;
  size_t head;       /* bytes of request line and headers, about */
  int64_t head_ns;   /* for the first request of a connection to be whole */
  int64_t idle_ns;   /* between an answer and the next whole request */
  int64_t answer_ns; /* for an answer to be taken, streams excepted */
  int64_t stall_ns;  /* a stream's client may take nothing for as long */
};

/* All but the first two only rise. */
struct tend_server_counts {
  unsigned connections, streams;
  uint64_t accepted;
  uint64_t refused;   /* no room, and nobody to make place */
  uint64_t displaced; /* made place for a new one */
  uint64_t late;      /* over head_ns, idle_ns or answer_ns */
  uint64_t stalled;   /* streams over stall_ns */
};

struct tend_answer {
  int status;
  const char *type;           /* Content-Type */
  const char *const *headers; /* name, value, name, value … NULL; may be NULL */
  const void *body;
  size_t len;
  void (*release)(void *arg); /* the body is not copied, and this is called when it is not needed any more */
  void *arg;
};

/* What a stream sends next: at most size bytes written to buf, how many they are; 0: nothing for now (stream_wake when
 * there is); -1: the end. */
typedef ssize_t tend_stream_fill_fn(void *arg, char *buf, size_t size);
/* The stream has ended, whoever ended it; the last call for it. */
typedef void tend_stream_gone_fn(void *arg);

/* Answers the request by answer or stream before it returns; else the client gets a 500. */
typedef void tend_request_fn(void *arg, struct tend_request *q);
typedef void tend_header_fn(void *arg, const char *name, const char *value);

struct tend_server_ops {
  const char *page; /* the live page: HTML in which every @NONCE@ is to be replaced */
  size_t page_len;

  /* fd: a listening socket, non-blocking; stays the caller's and must live as long. NULL with a message. */
  struct tend_server *(*start)(const struct tend_host *host, int fd, const struct tend_server_limits *limits,
                               tend_request_fn *fn, void *arg, char *msg, size_t size);
  /* Sends what streams still have, as far as their clients take it at once, then ends everything. NULL is allowed. */
  void (*stop)(struct tend_server *s);
  void (*counts)(const struct tend_server *s, struct tend_server_counts *out);

  const char *(*method)(const struct tend_request *q); /* GET or HEAD */
  const char *(*path)(const struct tend_request *q);
  const char *(*argument)(const struct tend_request *q, const char *name); /* of the query; NULL: not there */
  bool (*loopback)(const struct tend_request *q);                          /* the client's address is of this host */
  void (*headers)(const struct tend_request *q, tend_header_fn *each, void *arg);

  /* 0; -ENOMEM. */
  int (*answer)(struct tend_request *q, const struct tend_answer *answer);
  /* Begins a stream; NULL: no memory, or (busy set) there are enough of them. The answer's body is not used. */
  struct tend_stream *(*stream)(struct tend_request *q, const struct tend_answer *head, tend_stream_fill_fn *fill,
                                tend_stream_gone_fn *gone, void *arg, bool *busy);
  void (*stream_wake)(struct tend_stream *t);
};

#endif
