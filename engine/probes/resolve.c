#include "probes/resolve.h"

#include <ares.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

/* c-ares takes no notice of resolv.conf's own timeout and attempts; these are its first wait for one server, which
 * doubles each round, and its rounds. The caller's deadline comes first as a rule. */
enum { TIMEOUT_MS = 1000, TRIES = 4 };

/* So long the answer of one family is waited for when the other one's is there: a name server that swallows questions
 * for AAAA must not keep anybody from an address. */
enum { OTHER_FAMILY_MS = 200 };

enum { FAMILIES = 2 };

struct socket_watch {
  ares_socket_t fd;
  struct watch *watch;
  struct socket_watch *next;
};

/* One family's half of the question. */
struct half {
  struct resolve *resolve;
  bool asking;
  int status;
};

struct resolve {
  struct loop *loop;
  char *host;
  uint16_t port;
  ares_channel channel;
  bool asking; /* channel is there */
  struct timer *deadline;
  struct timer *retry;    /* when c-ares wants to act without a packet */
  struct timer *patience; /* the end of waiting for the other family */
  struct socket_watch *sockets;
  struct half halves[FAMILIES];
  struct ares_options search; /* domains, and the dots that make a name whole */
  int search_mask;
  int next_name;              /* which of the names to ask for is next */
  int link_local;             /* addresses that were left out */
  bool settled, queued;       /* queued: the answer is, for this turn's end */
  struct tend_address *found; /* most names have one or two */
  struct tend_addresses result;
  char detail[320];
  tend_resolve_fn *done;
  void *arg;
};

static void deliver(void *arg);

static void settle(struct resolve *r, const char *reason, const char *why) {
  if (r->settled) return;
  r->settled = true;
  r->result.reason = reason;
  if (reason) snprintf(r->detail, sizeof r->detail, "the name \"%.160s\" does not resolve: %s", r->host, why);
  r->result.detail = r->detail;
  r->queued = loop_defer(r->loop, deliver, r) == 0;
  if (r->queued)
    timer_stop(r->deadline);
  else /* no memory */
    timer_after(r->deadline, 0);
}

static void add_address(struct resolve *r, const struct sockaddr *addr, socklen_t len) {
  if (r->result.n == RESOLVE_MAX || len > sizeof r->found[0].addr) return;
  struct tend_address *list = realloc(r->found, (r->result.n + 1) * sizeof *list);
  if (!list) return;
  r->result.list = r->found = list;
  struct tend_address *a = &list[r->result.n++];
  *a = (struct tend_address){0};
  memcpy(&a->addr, addr, len);
  a->len = len;
  if (addr->sa_family == AF_INET) ((struct sockaddr_in *)&a->addr)->sin_port = htons(r->port);
  if (addr->sa_family == AF_INET6) ((struct sockaddr_in6 *)&a->addr)->sin6_port = htons(r->port);
}

/* Where no router leads: 169.254.0.0/16, fe80::/10, and the first as a part of the second family. */
static bool link_local(const struct sockaddr *addr) {
  if (addr->sa_family == AF_INET) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
    return (ntohl(in->sin_addr.s_addr) >> 16) == 0xa9fe;
  }
  const struct in6_addr *in6 = &((const struct sockaddr_in6 *)addr)->sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(in6)) return in6->s6_addr[12] == 169 && in6->s6_addr[13] == 254;
  return IN6_IS_ADDR_LINKLOCAL(in6);
}

/* 0 and 1: there is a way to it, IPv6 first; 2: there is none. No packet is sent. */
static int rank(const struct tend_address *a) {
  int fd = socket(a->addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  bool way = fd >= 0 && connect(fd, (const struct sockaddr *)&a->addr, a->len) == 0;
  if (fd >= 0) close(fd);
  return !way ? 2 : a->addr.ss_family == AF_INET6 ? 0 : 1;
}

static void sort_addresses(struct resolve *r) {
  int ranks[RESOLVE_MAX];
  for (size_t i = 0; i < r->result.n; i++) {
    struct tend_address a = r->found[i];
    int mine = rank(&a);
    size_t at = i;
    for (; at && ranks[at - 1] > mine; at--) {
      ranks[at] = ranks[at - 1];
      r->found[at] = r->found[at - 1];
    }
    ranks[at] = mine;
    r->found[at] = a;
  }
}

static void ask_next_name(struct resolve *r);

static bool no_such(int status) { return status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND; }

/* Both halves are there. */
static void conclude(struct resolve *r) {
  timer_stop(r->patience);
  /* what says more than that there is no address */
  int status = no_such(r->halves[0].status) ? r->halves[1].status : r->halves[0].status;
  if (r->result.n) {
    sort_addresses(r);
    settle(r, NULL, NULL);
  } else if (r->link_local) {
    settle(r, "dns", "its address is link-local; such a one is asked only where it is written itself");
  } else if (no_such(status)) {
    ask_next_name(r);
  } else if (status == ARES_ETIMEOUT) {
    settle(r, "timeout", "no answer from the name servers");
  } else if (status == ARES_ECONNREFUSED) {
    settle(r, "dns", "no name server can be reached");
  } else {
    settle(r, "dns", ares_strerror(status));
  }
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info) {
  (void)timeouts;
  struct half *h = arg;
  struct resolve *r = h->resolve;
  for (struct ares_addrinfo_node *n = info && !r->settled ? info->nodes : NULL; n; n = n->ai_next) {
    if (n->ai_family != AF_INET && n->ai_family != AF_INET6) continue;
    /* who only looks a name up sees what there is */
    if (r->port && link_local(n->ai_addr))
      r->link_local++;
    else
      add_address(r, n->ai_addr, n->ai_addrlen);
  }
  if (info) ares_freeaddrinfo(info);
  h->asking = false;
  h->status = status;
  if (r->settled || status == ARES_EDESTRUCTION) return;
  bool waits = false;
  for (int i = 0; i < FAMILIES; i++) waits |= r->halves[i].asking;
  if (!waits)
    conclude(r);
  else if (r->result.n)
    timer_after(r->patience, OTHER_FAMILY_MS * NS_PER_MS);
}

static void on_patience(void *arg) {
  struct resolve *r = arg;
  timer_stop(r->patience);
  if (!r->settled) conclude(r);
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
  if (r->queued) loop_cancel(r->loop, deliver, r);
  r->settled = true;
  if (r->asking) ares_destroy(r->channel);
  while (r->sockets) on_socket_state(r, r->sockets->fd, 0, 0);
  timer_free(r->deadline);
  timer_free(r->retry);
  timer_free(r->patience);
  if (r->search_mask) ares_destroy_options(&r->search);
  free(r->host);
  free(r->found);
  free(r);
}

static void deliver(void *arg) {
  struct resolve *r = arg;
  r->queued = false;
  r->done(r->arg, &r->result);
  release(r);
}

static void on_deadline(void *arg) {
  struct resolve *r = arg;
  if (r->settled)
    deliver(r);
  else
    settle(r, "timeout", "no answer from the name servers");
}

static bool literal(struct resolve *r) {
  char port[8];
  if (STR_EQ(r->host, "*")) return false; /* the C library's word for any address */
  snprintf(port, sizeof port, "%u", r->port);
  /* numeric: no look-up; knows zones of link-local addresses */
  struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *info;
  if (getaddrinfo(r->host, port, &hints, &info)) return false;
  add_address(r, info->ai_addr, info->ai_addrlen);
  freeaddrinfo(info);
  return true;
}

static void on_hosts_file(void *arg, int status, int timeouts, struct ares_addrinfo *info) {
  (void)status;
  (void)timeouts;
  struct resolve *r = arg;
  for (struct ares_addrinfo_node *n = info ? info->nodes : NULL; n; n = n->ai_next)
    add_address(r, n->ai_addr, n->ai_addrlen);
  if (info) ares_freeaddrinfo(info);
}

/* 0, or what c-ares says. lookups: "f" the hosts file, "b" name servers, with no search list of c-ares' own, which
 * would go on to another domain for each family by itself. */
static int open_channel(struct resolve *r, char *lookups) {
  struct ares_options options = {.timeout = TIMEOUT_MS,
                                 .tries = TRIES,
                                 .lookups = lookups,
                                 .sock_state_cb = on_socket_state,
                                 .sock_state_cb_data = r};
  int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
  return ares_init_options(&r->channel, &options, *lookups == 'b' ? mask | ARES_OPT_DOMAINS : mask);
}

/* The i-th name to ask for: false when there is none. A name with enough dots is asked for as it is first. */
static bool name_at(const struct resolve *r, int i, char *name, size_t size) {
  int dots = 0;
  size_t len = strlen(r->host);
  for (const char *c = r->host; *c; c++) dots += *c == '.';
  bool whole = len && r->host[len - 1] == '.', first = dots >= r->search.ndots;
  int domains = whole ? 0 : r->search.ndomains;
  if (i > domains) return false;
  int domain = first ? i - 1 : i; /* ndomains: as it is */
  if (domain < 0 || domain == domains)
    snprintf(name, size, "%s", r->host);
  else
    snprintf(name, size, "%s.%s", r->host, r->search.domains[domain]);
  return true;
}

static void ask_next_name(struct resolve *r) {
  static const int families[FAMILIES] = {AF_INET6, AF_INET};
  enum { NAME_MAX_LEN = 1200 }; /* a longer one is refused by c-ares all the same */
  char name[NAME_MAX_LEN];
  if (!name_at(r, r->next_name++, name, sizeof name)) {
    settle(r, "dns", r->halves[0].status == ARES_ENOTFOUND ? ares_strerror(ARES_ENOTFOUND) : "it has no address");
    return;
  }
  /* both are asking before the first can be answered, which may be at once */
  for (int i = 0; i < FAMILIES; i++) r->halves[i] = (struct half){.resolve = r, .asking = true};
  for (int i = 0; i < FAMILIES; i++) {
    struct ares_addrinfo_hints hints = {
        .ai_family = families[i], .ai_socktype = SOCK_STREAM, .ai_flags = ARES_AI_NOSORT};
    ares_getaddrinfo(r->channel, name, NULL, &hints, on_answer, &r->halves[i]);
  }
}

static void ask(struct resolve *r) {
  static bool ready;
  static char file[] = "f", servers[] = "b";
  if (!ready && ares_library_init(ARES_LIB_INIT_ALL)) {
    settle(r, "dns", "the resolver cannot start");
    return;
  }
  ready = true;
  int rc = open_channel(r, file);
  if (!rc) {
    /* answered before it returns; both families of a name come from the file, or none */
    struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    ares_getaddrinfo(r->channel, r->host, NULL, &hints, on_hosts_file, r);
    if (ares_save_options(r->channel, &r->search, &r->search_mask)) r->search_mask = 0;
    ares_destroy(r->channel);
    if (r->result.n) {
      settle(r, NULL, NULL);
      return;
    }
    rc = open_channel(r, servers);
  }
  if (rc) {
    settle(r, "dns", ares_strerror(rc));
    return;
  }
  r->asking = true;
  ask_next_name(r);
  arm_retry(r);
}

struct resolve *resolve_start(struct loop *loop, const char *host, uint16_t port, int64_t deadline_ns,
                              tend_resolve_fn *done, void *arg) {
  struct resolve *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  *r = (struct resolve){.loop = loop, .port = port, .done = done, .arg = arg};
  r->host = strdup(host);
  r->deadline = timer_new(loop, on_deadline, r);
  r->retry = timer_new(loop, on_retry, r);
  r->patience = timer_new(loop, on_patience, r);
  if (!r->host || !r->deadline || !r->retry || !r->patience) {
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
