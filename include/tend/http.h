/* What the part "http" offers to scripts: struct tend_part.ops is a const struct tend_http *.
 *
 * One request, one answer. Only http and https; names are resolved by the host; proxies of the environment are not
 * used. A redirect is followed only where asked for, at most `redirects` times, and only to the same scheme, host and
 * port. No message holds a password, a query or a header. Deadlines are CLOCK_MONOTONIC ns. A response and an error
 * belong to the part and are valid during the callback.
 */
#ifndef TEND_HTTP_H
#define TEND_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tend_host;
struct tend_http_call;

enum { TEND_HTTP_REDIRECTS_MAX = 3 };

/* All of it is copied. Texts may be NULL. */
struct tend_http_request {
  const char *url;
  const char *method;         /* NULL: GET, with a body POST */
  const char *const *headers; /* "Name: value" */
  size_t nheaders;
  const char *body;
  size_t body_len;
  size_t max_body; /* bytes of the answer that are read */
  bool cut;        /* a longer answer is cut there; else it is an error */
  int redirects;
  const char *ca_file, *cert_file, *key_file; /* PEM; ca_file replaces the system's */
  const char *proxy;                          /* http://[USER:PASSWORD@]HOST:PORT */
  bool insecure;                              /* certificates are not checked; told once as a warning */
  bool fresh;                                 /* a connection of its own, closed afterwards */
};

struct tend_http_response {
  int status;
  const char *headers; /* lines "Name: value" of the last answer, each ended by \n */
  const char *body;
  size_t body_len;
  bool cut;
  const char *redirect; /* where it wants to be followed to and was not, without query; or NULL */
  const char *address;  /* "10.0.0.1:80" */
  double connect_ms, total_ms;
};

/* Why something failed. reason: dns, refused, unreachable, permission, timeout, tls, closed, protocol, too_large,
 * memory. */
struct tend_http_error {
  const char *reason;
  const char *message;
};

/* Exactly one of the two is not NULL; both valid during the call. */
typedef void tend_http_done_fn(void *arg, const struct tend_http_response *response,
                               const struct tend_http_error *error);
/* What the request is at: "connecting to web:80". */
typedef void tend_http_progress_fn(void *arg, const char *doing);

struct tend_http {
  /* 0, or -1 with a message that names the wrong field first ("url: ..."). */
  int (*check)(const struct tend_http_request *request, char *msg, size_t size);
  /* done is called at the deadline at the latest; progress may be NULL. NULL with a message as of check. */
  struct tend_http_call *(*start)(const struct tend_host *host, const struct tend_http_request *request,
                                  int64_t deadline_ns, tend_http_progress_fn *progress, tend_http_done_fn *done,
                                  void *arg, char *msg, size_t size);
  /* Ends it without a callback; the call is gone. Not after done. */
  void (*cancel)(struct tend_http_call *call);
};

#endif
