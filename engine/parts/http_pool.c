/* libcurl's multi handle on the host's loop: one watch for each of its sockets, one timer for all it waits for. The
 * handle stays, for its connections and the certificates it has read; its timer only as long as there are calls.
 */
#include <poll.h>
#include <stdlib.h>

#include "parts/http.h"

enum { IDLE_CONNECTIONS_MAX = 8 };

struct http_pool {
  const struct tend_host *host;
  CURLM *multi;
  struct tend_timer *timer; /* while held */
  size_t holders;
  bool soon; /* libcurl acts at the end of this turn */
  int begun; /* the socket that was opened last */
  struct http_pool *next;
};

struct sock {
  struct http_pool *pool;
  struct tend_watch *watch;
};

static struct http_pool *pools;

static struct tend_http_call *call_of(CURL *easy) {
  char *call = NULL;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call);
  return (struct tend_http_call *)(void *)call;
}

/* Calls that end may start and cancel others. */
static void act(struct http_pool *p, curl_socket_t fd, int events) {
  int running, left;
  curl_multi_socket_action(p->multi, fd, events, &running);
  for (const CURLMsg *m; (m = curl_multi_info_read(p->multi, &left));) {
    if (m->msg != CURLMSG_DONE) continue;
    CURL *easy = m->easy_handle;
    CURLcode rc = m->data.result;
    http_pool_remove(p, easy);
    http_call_ended(call_of(easy), rc);
  }
}

static void on_timer(void *arg) { act(arg, CURL_SOCKET_TIMEOUT, 0); }

static void on_ready(void *arg, int fd, int events) {
  const struct sock *s = arg;
  act(s->pool, fd, (events & TEND_READ ? CURL_CSELECT_IN : 0) | (events & TEND_WRITE ? CURL_CSELECT_OUT : 0));
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket) {
  struct http_pool *p = arg;
  struct sock *s = socket;
  int events = (what & CURL_POLL_IN ? TEND_READ : 0) | (what & CURL_POLL_OUT ? TEND_WRITE : 0);
  if (what == CURL_POLL_REMOVE) {
    curl_multi_assign(p->multi, fd, NULL);
    if (s) p->host->watch_free(s->watch);
    free(s);
    return 0;
  }
  /* while it connects it waits for writing only; connections that are closed idle belong to no call */
  if (what == CURL_POLL_IN && call_of(easy)) http_call_reads(call_of(easy));
  if (s) {
    p->host->watch_set(s->watch, fd, events);
    return 0;
  }
  s = calloc(1, sizeof *s);
  if (s) s->watch = p->host->watch_new(p->host->self, fd, events, on_ready, s);
  if (!s || !s->watch) {
    free(s);
    return -1;
  }
  s->pool = p;
  p->begun = fd;
  curl_multi_assign(p->multi, fd, s);
  return 0;
}

static void on_soon(void *arg) {
  struct http_pool *p = arg;
  p->soon = false;
  act(p, CURL_SOCKET_TIMEOUT, 0);
}

static void act_soon(struct http_pool *p) {
  if (!p->soon) p->soon = p->host->defer(p->host->self, on_soon, p) == 0;
  if (!p->soon) p->host->timer_at(p->timer, p->host->now_ns(p->host->self)); /* no memory */
}

static int on_timeout(CURLM *multi, long ms, void *arg) {
  (void)multi;
  struct http_pool *p = arg;
  if (!p->timer) return 0;
  if (ms == 0)
    act_soon(p);
  else
    p->host->timer_at(p->timer, ms < 0 ? INT64_MAX : p->host->now_ns(p->host->self) + ms * NS_PER_MS);
  return 0;
}

static struct http_pool *pool_new(const struct tend_host *host) {
  struct http_pool *p = calloc(1, sizeof *p);
  if (!p || !(p->multi = curl_multi_init())) {
    free(p);
    return NULL;
  }
  p->host = host;
  curl_multi_setopt(p->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(p->multi, CURLMOPT_SOCKETDATA, p);
  curl_multi_setopt(p->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
  curl_multi_setopt(p->multi, CURLMOPT_TIMERDATA, p);
  curl_multi_setopt(p->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS_MAX);
  p->next = pools;
  pools = p;
  return p;
}

struct http_pool *http_pool_hold(const struct tend_host *host) {
  struct http_pool *p = pools;
  while (p && p->host != host) p = p->next;
  if (!p) p = pool_new(host);
  if (!p) return NULL;
  if (!p->timer) p->timer = host->timer_new(host->self, on_timer, p);
  if (!p->timer) return NULL;
  p->holders++;
  return p;
}

void http_pool_release(struct http_pool *p) {
  if (!p || --p->holders) return;
  p->host->timer_free(p->timer);
  p->timer = NULL;
}

/* It begins at once: of many, the first is on its way while the next is made. A server on this machine has taken the
 * connection by then, and gets the request. What may have ended by that is looked at when this turn ends. */
int http_pool_add(struct http_pool *p, CURL *easy) {
  int running;
  if (curl_multi_add_handle(p->multi, easy)) return -1;
  p->begun = -1;
  curl_multi_socket_action(p->multi, CURL_SOCKET_TIMEOUT, 0, &running);
  if (p->begun >= 0 && poll(&(struct pollfd){.fd = p->begun, .events = POLLOUT}, 1, 0) == 1)
    curl_multi_socket_action(p->multi, p->begun, CURL_CSELECT_OUT, &running);
  act_soon(p);
  return 0;
}

void http_pool_remove(struct http_pool *p, CURL *easy) { curl_multi_remove_handle(p->multi, easy); }
