#include "loop/resolve.h"

#include <ares.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "base/clock.h"
#include "base/str.h"

/* c-ares takes no notice of resolv.conf's own timeout and attempts; these are its first wait for one server, which
 * doubles each round, and its rounds. The caller's deadline comes first as a rule. */
enum { TIMEOUT_MS = 1000, TRIES = 4 };

struct socket_watch {
  ares_socket_t fd;
  struct watch *watch;
  struct socket_watch *next;
};

struct resolve {
  struct loop *loop;
  char *host;
  uint16_t port;
  ares_channel channel;
  bool asking;            /* channel is there */
  struct timer *deadline; /* also delivers: armed for now once the answer is known */
  struct timer *retry;    /* when c-ares wants to act without a packet */
  struct socket_watch *sockets;
  bool settled;
  struct tend_address found[RESOLVE_MAX];
  struct tend_addresses result;
  char detail[256];
  tend_resolve_fn *done;
  void *arg;
};

static void settle(struct resolve *r, const char *reason, const char *why) {
  if (r->settled) return;
  r->settled = true;
  r->result.reason = reason;
  if (reason) snprintf(r->detail, sizeof r->detail, "the name \"%.180s\" does not resolve: %s", r->host, why);
  r->result.detail = r->detail;
  timer_after(r->deadline, 0);
}

static void add_address(struct resolve *r, const struct sockaddr *addr, socklen_t len) {
  if (r->result.n == RESOLVE_MAX || len > sizeof r->found[0].addr) return;
  struct tend_address *a = &r->found[r->result.n++];
  memcpy(&a->addr, addr, len);
  a->len = len;
  if (addr->sa_family == AF_INET) ((struct sockaddr_in *)&a->addr)->sin_port = htons(r->port);
  if (addr->sa_family == AF_INET6) ((struct sockaddr_in6 *)&a->addr)->sin6_port = htons(r->port);
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info) {
  (void)timeouts;
  struct resolve *r = arg;
  if (!r->settled && info)
    for (struct ares_addrinfo_node *n = info->nodes; n; n = n->ai_next)
      if (n->ai_family == AF_INET || n->ai_family == AF_INET6) add_address(r, n->ai_addr, n->ai_addrlen);
  if (info) ares_freeaddrinfo(info);
  if (r->settled) return;
  if (r->result.n)
    settle(r, NULL, NULL);
  else if (status == ARES_ETIMEOUT)
    settle(r, "timeout", "no answer from the name servers");
  else if (status == ARES_ECONNREFUSED)
    settle(r, "dns", "no name server can be reached");
  else if (status == ARES_SUCCESS || status == ARES_ENODATA)
    settle(r, "dns", "it has no address");
  else
    settle(r, "dns", ares_strerror(status));
}

static void arm_retry(struct resolve *r) {
  struct timeval tv;
  if (!r->settled && ares_timeout(r->channel, NULL, &tv))
    timer_after(r->retry, tv.tv_sec * NS_PER_S + tv.tv_usec * NS_PER_US);
  else
    timer_stop(r->retry);
}

static void on_retry(void *arg) {
  struct resolve *r = arg;
  ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  arm_retry(r);
}

static void on_socket(void *arg, int fd, int events) {
  struct resolve *r = arg;
  ares_process_fd(r->channel, events & WATCH_READ ? fd : ARES_SOCKET_BAD, events & WATCH_WRITE ? fd : ARES_SOCKET_BAD);
  arm_retry(r);
}

/* c-ares says which of its sockets to watch, and tells before it closes one. */
static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable) {
  struct resolve *r = arg;
  struct socket_watch **at = &r->sockets;
  while (*at && (*at)->fd != fd) at = &(*at)->next;
  int events = (readable ? WATCH_READ : 0) | (writable ? WATCH_WRITE : 0);
  if (*at && events) {
    watch_events((*at)->watch, events);
  } else if (*at) {
    struct socket_watch *s = *at;
    *at = s->next;
    watch_free(s->watch);
    free(s);
  } else if (events) {
    struct socket_watch *s = calloc(1, sizeof *s);
    if (s && !(s->watch = watch_new(r->loop, fd, events, on_socket, r))) {
      free(s);
      s = NULL;
    }
    if (!s) return; /* unwatched, it times out */
    s->fd = fd;
    s->next = r->sockets;
    r->sockets = s;
  }
}

static void release(struct resolve *r) {
  r->settled = true;
  if (r->asking) ares_destroy(r->channel);
  while (r->sockets) on_socket_state(r, r->sockets->fd, 0, 0);
  timer_free(r->deadline);
  timer_free(r->retry);
  free(r->host);
  free(r);
}

static void on_deadline(void *arg) {
  struct resolve *r = arg;
  settle(r, "timeout", "no answer from the name servers");
  timer_stop(r->deadline);
  r->done(r->arg, &r->result);
  release(r);
}

static bool literal(struct resolve *r) {
  char port[8];
  snprintf(port, sizeof port, "%u", r->port);
  /* numeric: no look-up; knows zones of link-local addresses */
  struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *info;
  if (getaddrinfo(r->host, port, &hints, &info)) return false;
  add_address(r, info->ai_addr, info->ai_addrlen);
  freeaddrinfo(info);
  return true;
}

static void ask(struct resolve *r) {
  static bool ready;
  if (!ready && ares_library_init(ARES_LIB_INIT_ALL)) {
    settle(r, "dns", "the resolver cannot start");
    return;
  }
  ready = true;
  struct ares_options options = {
      .timeout = TIMEOUT_MS, .tries = TRIES, .sock_state_cb = on_socket_state, .sock_state_cb_data = r};
  int rc = ares_init_options(&r->channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
  if (rc) {
    settle(r, "dns", ares_strerror(rc));
    return;
  }
  r->asking = true;
  struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  ares_getaddrinfo(r->channel, r->host, NULL, &hints, on_answer, r);
  arm_retry(r);
}

struct resolve *resolve_start(struct loop *loop, const char *host, uint16_t port, int64_t deadline_ns,
                              tend_resolve_fn *done, void *arg) {
  struct resolve *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  *r = (struct resolve){.loop = loop, .port = port, .done = done, .arg = arg};
  r->result.list = r->found;
  r->host = strdup(host);
  r->deadline = timer_new(loop, on_deadline, r);
  r->retry = timer_new(loop, on_retry, r);
  if (!r->host || !r->deadline || !r->retry) {
    release(r);
    return NULL;
  }
  timer_at(r->deadline, deadline_ns);
  if (literal(r))
    settle(r, NULL, NULL);
  else
    ask(r);
  return r;
}

void resolve_cancel(struct resolve *r) {
  if (r) release(r);
}

const char *resolve_format(const struct tend_address *a, char *buf, size_t size) {
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (getnameinfo((const struct sockaddr *)&a->addr, a->len, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV))
    str_copy(buf, size, "?");
  else if (STR_EQ(port, "0"))
    str_copy(buf, size, host);
  else
    snprintf(buf, size, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
  return buf;
}
