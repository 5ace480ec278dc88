/* One request: options, resolving, the answer within its bounds, redirects, the end. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "parts/http.h"

enum phase { PHASE_RESOLVING, PHASE_CONNECTING, PHASE_HANDSHAKE, PHASE_WAITING, PHASE_READING };

struct bytes {
  char *data; /* terminated */
  size_t len, cap;
};

struct tend_http_call {
  const struct tend_host *host;
  struct http_pool *pool;
  struct http_ready *ready;
  CURL *easy; /* of it */
  bool added; /* in the pool */
  bool proxied;
  bool moved; /* the handle is no longer as it was made */
  struct curl_slist *addresses;
  struct tend_resolve *resolve;
  struct tend_address *found;             /* where the name leads */
  size_t nfound, turn;                    /* the present turn: the turn-th address of each family */
  struct tend_timer *deadline, *turn_end; /* turn_end: made when there is more than one turn */
  int64_t started_ns, deadline_ns;
  enum phase phase;
  char doing[HTTP_NAME_MAX + 40];
  struct bytes head, body;
  size_t head_bytes; /* with those of the answers before: 100 Continue */
  size_t max_body;
  bool cut_allowed, cut, head_too_long, simple, unfit; /* simple: GET or HEAD, may be repeated elsewhere */
  int redirects;
  char error[CURL_ERROR_SIZE];
  tend_http_progress_fn *progress;
  tend_http_done_fn *done;
  void *arg;
};

static bool bytes_add(struct bytes *b, const char *data, size_t n) {
  if (b->len + n + 1 > b->cap) {
    size_t cap = (b->len + n + 1) * 2;
    char *p = realloc(b->data, cap);
    if (!p) return false;
    b->data = p;
    b->cap = cap;
  }
  memcpy(b->data + b->len, data, n);
  b->len += n;
  b->data[b->len] = 0;
  return true;
}

static const char *bytes_text(const struct bytes *b) { return b->data ? b->data : ""; }

static void tell(struct tend_http_call *c, enum phase phase) {
  static const char *const texts[] = {"resolving", "connecting to", "waiting for the TLS handshake of",
                                      "waiting for the answer of", "reading the answer of"};
  if (phase == c->phase && c->doing[0]) return;
  c->phase = phase;
  const struct http_url *to = c->proxied && phase <= PHASE_CONNECTING ? &c->ready->proxy : &c->ready->url;
  snprintf(c->doing, sizeof c->doing, "%s %s", texts[phase], to->peer);
  if (c->progress) c->progress(c->arg, c->doing);
}

const char *http_call_shown(const struct tend_http_call *c) { return c->ready->url.shown; }

void http_call_cancel(struct tend_http_call *c) {
  if (!c) return;
  if (c->resolve) c->host->resolve_cancel(c->resolve);
  if (c->added) http_pool_remove(c->pool, c->easy);
  http_ready_free(c->ready);
  curl_slist_free_all(c->addresses);
  if (c->deadline) c->host->timer_free(c->deadline);
  if (c->turn_end) c->host->timer_free(c->turn_end);
  free(c->found);
  http_pool_release(c->pool);
  free(c->head.data);
  free(c->body.data);
  free(c);
}

static void fail(struct tend_http_call *c, const char *reason, const char *message) {
  char text[2 * HTTP_NAME_MAX + 100];
  snprintf(text, sizeof text, "%s", message);
  tend_http_done_fn *done = c->done;
  void *arg = c->arg;
  http_call_cancel(c);
  done(arg, NULL, &(struct tend_http_error){reason, text});
}

/* Also the end of a call that did not begin: who starts one is told later, as of any other failure. */
static void on_deadline(void *arg) {
  struct tend_http_call *c = arg;
  if (c->unfit) {
    fail(c, "tls", c->error);
    return;
  }
  char text[2 * HTTP_NAME_MAX + 100];
  snprintf(text, sizeof text, "%s: no answer within %" PRId64 " ms while %s", c->ready->url.shown,
           (c->host->now_ns(c->host->self) - c->started_ns) / NS_PER_MS, c->doing);
  fail(c, "timeout", text);
}

/* --- libcurl's callbacks: none of them may end the call --- */

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a) {
  (void)arg;
  (void)purpose;
  int fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
  return fd < 0 ? CURL_SOCKET_BAD : fd;
}

/* Every name was resolved before; libcurl itself would start a thread. */
static int on_resolver_start(void *state, void *reserved, void *arg) {
  (void)state;
  (void)reserved;
  (void)arg;
  return 1;
}

static int on_connected(void *arg, char *remote, char *local, int remote_port, int local_port) {
  (void)remote;
  (void)local;
  (void)remote_port;
  (void)local_port;
  tell(arg, PHASE_WAITING);
  return CURL_PREREQFUNC_OK;
}

static size_t on_header(char *data, size_t size, size_t n, void *arg) {
  struct tend_http_call *c = arg;
  n *= size;
  tell(c, PHASE_READING);
  c->head_bytes += n;
  if (c->head_bytes > HTTP_HEADERS_MAX) {
    c->head_too_long = true;
    return 0;
  }
  if (n >= 5 && memcmp(data, "HTTP/", 5) == 0) { /* also of a 100 before the answer */
    c->head.len = 0;
    return bytes_add(&c->head, "", 0) ? n : 0;
  }
  size_t len = n;
  while (len && (data[len - 1] == '\r' || data[len - 1] == '\n')) len--;
  if (len && (!bytes_add(&c->head, data, len) || !bytes_add(&c->head, "\n", 1))) return 0;
  return n;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg) {
  struct tend_http_call *c = arg;
  n *= size;
  size_t room = c->max_body - c->body.len, take = n < room ? n : room;
  if (!bytes_add(&c->body, data, take)) return 0;
  c->cut = take < n;
  return take; /* less than n ends the transfer */
}

void http_call_reads(struct tend_http_call *c) {
  if (c->phase == PHASE_CONNECTING && !c->proxied && strcmp(c->ready->url.scheme, "https") == 0)
    tell(c, PHASE_HANDSHAKE);
}

/* --- the way through --- */

static void on_resolved(void *arg, const struct tend_addresses *found);

static bool take_turn(struct tend_http_call *c);

/* False: no memory. */
static bool go(struct tend_http_call *c) {
  const struct http_url *to = c->proxied ? &c->ready->proxy : &c->ready->url;
  c->nfound = c->turn = 0;
  c->doing[0] = 0;
  if (to->literal) return take_turn(c);
  tell(c, PHASE_RESOLVING);
  c->resolve = c->host->resolve(c->host->self, to->host, to->port, c->deadline_ns, on_resolved, c);
  return c->resolve;
}

/* The n-th address of a family, or NULL. */
static const struct tend_address *address_of(const struct tend_http_call *c, int family, size_t n) {
  for (size_t i = 0; i < c->nfound; i++)
    if (c->found[i].addr.ss_family == family && n-- == 0) return &c->found[i];
  return NULL;
}

static size_t turns_left(const struct tend_http_call *c) {
  size_t n = 0;
  while (address_of(c, AF_INET6, c->turn + 1 + n) || address_of(c, AF_INET, c->turn + 1 + n)) n++;
  return n;
}

/* "+HOST:PORT:ADDRESS,ADDRESS": takes the place of what libcurl remembers. It gets one address of each family, between
 * which it races: among those of one family it is left waiting for a silent one (7.88 with a loop of one's own). */
static int give_addresses(struct tend_http_call *c, const struct http_url *to) {
  static const int families[] = {AF_INET6, AF_INET};
  struct bytes b = {0};
  char text[INET6_ADDRSTRLEN + 2], port[16];
  snprintf(port, sizeof port, ":%u:", to->port);
  bool ok = bytes_add(&b, "+", 1) && bytes_add(&b, to->host, strlen(to->host)) && bytes_add(&b, port, strlen(port));
  for (size_t i = 0, n = 0; ok && i < 2; i++) {
    const struct tend_address *a = address_of(c, families[i], c->turn);
    if (!a) continue;
    bool six = families[i] == AF_INET6;
    const void *raw = six ? (const void *)&((const struct sockaddr_in6 *)&a->addr)->sin6_addr
                          : (const void *)&((const struct sockaddr_in *)&a->addr)->sin_addr;
    char ip[INET6_ADDRSTRLEN];
    if (!inet_ntop(families[i], raw, ip, sizeof ip)) continue;
    snprintf(text, sizeof text, six ? "[%s]" : "%s", ip);
    ok = (!n++ || bytes_add(&b, ",", 1)) && bytes_add(&b, text, strlen(text));
  }
  struct curl_slist *list = ok ? curl_slist_append(NULL, b.data) : NULL;
  free(b.data);
  if (!list) return -1;
  curl_easy_setopt(c->easy, CURLOPT_RESOLVE, list);
  curl_slist_free_all(c->addresses);
  c->addresses = list;
  return 0;
}

static void on_turn_end(void *arg);

/* The turn ends when its share of the time is over, where there is another one. */
static bool arm_turn_end(struct tend_http_call *c, int64_t now, int64_t left_ns) {
  size_t more = turns_left(c);
  if (more && !c->turn_end) c->turn_end = c->host->timer_new(c->host->self, on_turn_end, c);
  if (more && !c->turn_end) return false;
  if (c->turn_end) c->host->timer_at(c->turn_end, more ? now + left_ns / (int64_t)(more + 1) : INT64_MAX);
  return true;
}

/* False: no memory. */
static bool take_turn(struct tend_http_call *c) {
  const struct http_url *to = c->proxied ? &c->ready->proxy : &c->ready->url;
  int64_t now = c->host->now_ns(c->host->self), left_ns = c->deadline_ns - now;
  int64_t left_ms = left_ns < NS_PER_MS ? 1 : (left_ns + NS_PER_MS - 1) / NS_PER_MS;
  if (left_ms > 3600 * 1000) left_ms = 3600 * 1000;
  c->error[0] = 0;
  /* its own would be 300 s; the whole is ended by us, who know what it was at, and never by this on a busy machine */
  curl_easy_setopt(c->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)left_ms + 5000);
  curl_easy_setopt(c->easy, CURLOPT_RESOLVER_START_FUNCTION, to->literal ? NULL : on_resolver_start);
  if (!arm_turn_end(c, now, left_ns) || (!to->literal && give_addresses(c, to))) return false;
  tell(c, PHASE_CONNECTING);
  c->added = http_pool_add(c->pool, c->easy) == 0;
  return c->added;
}

static void no_memory(struct tend_http_call *c) { fail(c, "memory", "no memory for a request"); }

/* True: the next address gets its turn. */
static bool next_turn(struct tend_http_call *c) {
  if (c->phase > PHASE_CONNECTING || !turns_left(c)) return false;
  if (c->added) http_pool_remove(c->pool, c->easy);
  c->added = false;
  c->turn++;
  if (!take_turn(c)) no_memory(c);
  return true;
}

static void on_turn_end(void *arg) { next_turn(arg); }

static void on_resolved(void *arg, const struct tend_addresses *found) {
  struct tend_http_call *c = arg;
  c->resolve = NULL;
  if (!found->n) {
    fail(c, found->reason, found->detail);
    return;
  }
  free(c->found);
  c->found = calloc(found->n, sizeof *c->found);
  if (!c->found) {
    no_memory(c);
    return;
  }
  memcpy(c->found, found->list, found->n * sizeof *found->list);
  c->nfound = found->n;
  if (!take_turn(c)) no_memory(c);
}

/* True: it goes on elsewhere, or has ended. `where` gets what is not followed. */
static bool redirected(struct tend_http_call *c, char *where, size_t size) {
  const char *next = NULL;
  char why[256];
  struct http_url to = {0};
  *where = 0;
  curl_easy_getinfo(c->easy, CURLINFO_REDIRECT_URL, &next);
  if (!next) return false;
  if (http_url_parse(&to, next, why, sizeof why)) {
    snprintf(where, size, "a place that is none");
    return false;
  }
  snprintf(where, size, "%s", to.shown);
  bool follow = c->redirects > 0 && c->simple && http_url_same_origin(&to, &c->ready->url);
  if (!follow) {
    http_url_free(&to);
    return false;
  }
  c->redirects--;
  char *url = strdup(next); /* libcurl's own copy goes with the next option */
  bool ok = url && !curl_easy_setopt(c->easy, CURLOPT_URL, url) && !curl_easy_setopt(c->easy, CURLOPT_CURLU, NULL);
  free(url);
  http_url_free(&c->ready->url);
  c->ready->url = to;
  c->moved = true;
  c->head.len = c->body.len = c->head_bytes = 0;
  c->cut = false;
  if (!ok || !go(c)) no_memory(c);
  return true;
}

static void answer(struct tend_http_call *c) {
  char where[HTTP_NAME_MAX], address[80];
  long status = 0, port = 0;
  const char *ip = NULL;
  curl_off_t connect_us = 0, total_us = 0;
  curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
  if (redirected(c, where, sizeof where)) return;
  curl_easy_getinfo(c->easy, CURLINFO_PRIMARY_IP, &ip);
  curl_easy_getinfo(c->easy, CURLINFO_PRIMARY_PORT, &port);
  curl_easy_getinfo(c->easy, CURLINFO_CONNECT_TIME_T, &connect_us);
  curl_easy_getinfo(c->easy, CURLINFO_TOTAL_TIME_T, &total_us);
  snprintf(address, sizeof address, ip && strchr(ip, ':') ? "[%s]:%ld" : "%s:%ld", ip ? ip : "", port);
  struct tend_http_response r = {.status = (int)status,
                                 .headers = bytes_text(&c->head),
                                 .body = bytes_text(&c->body),
                                 .body_len = c->body.len,
                                 .cut = c->cut,
                                 .redirect = *where ? where : NULL,
                                 .address = address,
                                 .connect_ms = (double)connect_us / 1000,
                                 .total_ms = (double)total_us / 1000};
  /* the call must be gone for the callback: it may be asked to end everything */
  struct bytes head = c->head, body = c->body;
  c->head = c->body = (struct bytes){0};
  tend_http_done_fn *done = c->done;
  void *arg = c->arg;
  if (!c->moved) {
    http_ready_keep(c->ready);
    c->ready = NULL;
  }
  http_call_cancel(c);
  done(arg, &r, NULL);
  free(head.data);
  free(body.data);
}

void http_call_ended(struct tend_http_call *c, CURLcode rc) {
  char text[2 * HTTP_NAME_MAX + 100];
  c->added = false;
  if ((rc == CURLE_COULDNT_CONNECT || rc == CURLE_OPERATION_TIMEDOUT) && next_turn(c)) return;
  if (rc == CURLE_OK || (rc == CURLE_WRITE_ERROR && c->cut && c->cut_allowed)) {
    answer(c);
  } else if (c->cut) {
    snprintf(text, sizeof text, "%s: the answer is longer than %zu bytes", c->ready->url.shown, c->max_body);
    fail(c, "too_large", text);
  } else if (c->head_too_long || (rc == CURLE_OUT_OF_MEMORY && c->phase >= PHASE_WAITING)) {
    /* what libcurl says of a single line that is too long for it */
    snprintf(text, sizeof text, "%s: the answer's headers are longer than %d bytes", c->ready->url.shown,
             HTTP_HEADERS_MAX);
    fail(c, "too_large", text);
  } else {
    const struct http_url *to = c->proxied && c->phase <= PHASE_CONNECTING ? &c->ready->proxy : &c->ready->url;
    const char *reason = http_failure(c->easy, rc, to, c->error, text, sizeof text);
    fail(c, reason, text);
  }
}

static bool set_callbacks(struct tend_http_call *c) {
  CURL *e = c->easy;
  CURLcode rc = 0;
  rc |= curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
  rc |= curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_connected);
  rc |= curl_easy_setopt(e, CURLOPT_PREREQDATA, c);
  rc |= curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
  rc |= curl_easy_setopt(e, CURLOPT_HEADERDATA, c);
  rc |= curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
  rc |= curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
  rc |= curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->error);
  rc |= curl_easy_setopt(e, CURLOPT_PRIVATE, c);
  return !rc;
}

/* Once for each of the first few peers. */
static void warn_insecure(const struct tend_host *host, const char *peer) {
  enum { TOLD_MAX = 16 };
  static char told[TOLD_MAX][HTTP_NAME_MAX];
  static size_t n;
  char text[HTTP_NAME_MAX + 80];
  for (size_t i = 0; i < n; i++)
    if (strcmp(told[i], peer) == 0) return;
  if (n == TOLD_MAX) return;
  snprintf(told[n++], HTTP_NAME_MAX, "%s", peer);
  snprintf(text, sizeof text, "%s is asked with insecure = true: its certificate is not checked", peer);
  host->log(host->self, TEND_WARNING, text);
}

struct tend_http_call *http_call_start(const struct tend_host *host, const struct tend_http_request *q,
                                       int64_t deadline_ns, tend_http_progress_fn *progress, tend_http_done_fn *done,
                                       void *arg, char *msg, size_t size) {
  struct http_ready *ready = http_ready_take(q, msg, size);
  if (!ready) return NULL;
  struct tend_http_call *c = calloc(1, sizeof *c);
  if (!c) {
    http_ready_free(ready);
  } else {
    *c = (struct tend_http_call){
        .host = host,
        .ready = ready,
        .easy = ready->easy,
        .deadline_ns = deadline_ns,
        .max_body = q->max_body,
        .cut_allowed = q->cut,
        .redirects = q->redirects,
        .proxied = q->proxy,
        .simple = !q->body && (!q->method || strcmp(q->method, "GET") == 0 || strcmp(q->method, "HEAD") == 0),
        .progress = progress,
        .done = done,
        .arg = arg};
    c->started_ns = host->now_ns(host->self);
    c->pool = http_pool_hold(host);
    c->deadline = host->timer_new(host->self, on_deadline, c);
    c->unfit = !http_files_fit(q, c->error, sizeof c->error);
    if (c->pool && c->deadline && set_callbacks(c) && (c->unfit || go(c))) {
      host->timer_at(c->deadline, c->unfit ? c->started_ns : deadline_ns);
      if (q->insecure && strcmp(ready->url.scheme, "https") == 0) warn_insecure(host, ready->url.peer);
      return c;
    }
  }
  http_call_cancel(c);
  snprintf(msg, size, "no memory for a request");
  return NULL;
}
