/* What the files of this part share. A call is checked (url, check), its name resolved by the host, then carried out
 * by libcurl's multi-socket interface (pool), which the host's watches and one timer drive.
 */
#ifndef TEND_PARTS_HTTP_H
#define TEND_PARTS_HTTP_H

#include <curl/curl.h>

#include "tend/http.h"
#include "tend/part.h"

enum {
  HTTP_PROBE_READ = 10 * 1024,  /* bytes of an answer that a probe reads */
  HTTP_HEADERS_MAX = 64 * 1024, /* of one answer */
  HTTP_URL_MAX = 8 * 1024,
  HTTP_NAME_MAX = 208, /* of a peer, for people; longer names are cut there */
};

#define NS_PER_MS INT64_C(1000000)

struct http_url {
  char *host; /* as it is resolved: no brackets, punycode */
  char *user, *password;
  char scheme[8];
  uint16_t port;
  unsigned scope;            /* the interface of a link-local address of IPv6, 0 for none */
  bool literal;              /* an address, no name */
  CURLU *parts;              /* all of it, as libcurl reads it */
  char shown[HTTP_NAME_MAX]; /* without user, password and query */
  char peer[HTTP_NAME_MAX];  /* "web:80" */
};

/* 0, or -1 with what is wrong, which holds nothing of the text. */
int http_url_parse(struct http_url *u, const char *text, char *msg, size_t size);
void http_url_free(struct http_url *u);
bool http_url_same_origin(const struct http_url *a, const struct http_url *b);

/* 0 with both (proxy empty where there is none), or -1 with what is wrong with the request. */
int http_urls_parse(const struct tend_http_request *q, struct http_url *url, struct http_url *proxy, char *msg,
                    size_t size);
int http_check(const struct tend_http_request *q, char *msg, size_t size);

/* A request that is made into a handle, without callbacks and addresses. */
struct http_ready {
  CURL *easy; /* NULL until it is taken first */
  struct http_url url, proxy;
  struct curl_slist *headers;
  char *texts; /* what it was made of; NULL: it is not worth keeping */
  size_t nheaders;
  bool insecure;
  struct http_ready *next;
};
/* NULL with a message: the request is wrong, or no memory. */
struct http_ready *http_ready_take(const struct tend_http_request *q, char *msg, size_t size);
void http_ready_keep(struct http_ready *r); /* it is as it was taken, and nothing was wrong with it */
void http_ready_free(struct http_ready *r); /* NULL is allowed */

/* Everything but callbacks and addresses. *headers is the caller's, also on failure; false: no memory. */
bool http_options_set(CURL *e, const struct http_url *url, const struct tend_http_request *q,
                      struct curl_slist **headers);

/* False, with a message: a file of the request is none, such as a pipe, which would keep who opens it. */
bool http_files_fit(const struct tend_http_request *q, char *msg, size_t size);

/* The multi handle of a host. Held while a call needs it; connections outlive that. NULL: no memory. */
struct http_pool;
struct http_pool *http_pool_hold(const struct tend_host *host);
void http_pool_release(struct http_pool *p);
/* Starts a transfer whose CURLOPT_PRIVATE is a struct tend_http_call; it ends, never from inside, by http_call_ended.
 */
int http_pool_add(struct http_pool *p, CURL *easy);
void http_pool_remove(struct http_pool *p, CURL *easy);
/* A transfer has ended and is out of the pool. */
void http_call_ended(struct tend_http_call *c, CURLcode rc);
/* It is connected and waits for the other side. */
void http_call_reads(struct tend_http_call *c);

struct tend_http_call *http_call_start(const struct tend_host *host, const struct tend_http_request *q,
                                       int64_t deadline_ns, tend_http_progress_fn *progress, tend_http_done_fn *done,
                                       void *arg, char *msg, size_t size);
void http_call_cancel(struct tend_http_call *c);             /* NULL is allowed */
const char *http_call_shown(const struct tend_http_call *c); /* its URL, for people */

/* The reason, with the message written to out. text is libcurl's own. */
const char *http_failure(CURL *easy, CURLcode rc, const struct http_url *to, const char *text, char *out, size_t size);

extern const struct tend_probe_kind http_probe_kind;

#endif
