/* Connections: accepting within the limits, deadlines, who makes place for a new one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "parts/server.h"

enum { ACCEPTS_MAX = 64 }; /* in one turn of the loop */

#define DEAF_NS INT64_C(500000000) /* after accept failed for want of descriptors or memory */

static int64_t now_ns(const struct tend_server *s) { return s->host->now_ns(s->host->self); }

struct server_conn *server_conn_of(const struct tend_server *s, struct MHD_Connection *mhd) {
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
  for (struct server_conn *c = info ? s->last : NULL; c; c = c->prev)
    if (c->fd == info->connect_fd && !c->mhd) return c;
  return NULL;
}

static void count_out(struct server_conn *c) {
  struct tend_server_counts *n = &c->server->counts;
  n->connections--;
  if (c->phase == SERVER_STREAM) n->streams--;
}

void server_conn_free(struct server_conn *c) {
  struct tend_server *s = c->server;
  if (c->stream) server_stream_leave(c->stream);
  if (!c->ending) count_out(c);
  *(c->prev ? &c->prev->next : &s->first) = c->next;
  *(c->next ? &c->next->prev : &s->last) = c->prev;
  free(c);
  if (s->first) return;
  s->timer_due_ns = INT64_MAX; /* nobody is waited for: no wake-up at rest */
  s->host->timer_at(s->timer, INT64_MAX);
}

void server_conn_deadline(struct server_conn *c, int64_t deadline_ns) {
  struct tend_server *s = c->server;
  c->deadline_ns = deadline_ns;
  if (deadline_ns >= s->timer_due_ns) return; /* the timer looks at all of them, and may come early */
  s->timer_due_ns = deadline_ns;
  s->host->timer_at(s->timer, deadline_ns);
}

void server_conn_phase(struct server_conn *c, enum server_phase phase) {
  const struct tend_server_limits *l = &c->server->limits;
  const int64_t time[] = {
      [SERVER_HEAD] = l->head_ns, [SERVER_IDLE] = l->idle_ns, [SERVER_ANSWER] = l->answer_ns, [SERVER_STREAM] = 0};
  if (c->phase == SERVER_STREAM) c->server->counts.streams--;
  if (phase == SERVER_STREAM) c->server->counts.streams++;
  c->phase = phase;
  c->begun = false;
  c->since_ns = now_ns(c->server);
  server_conn_deadline(c, phase == SERVER_STREAM ? INT64_MAX : c->since_ns + time[phase]);
}

/* The library sees the end of the socket in its next run, and closes it. */
void server_conn_end(struct server_conn *c) {
  if (c->ending) return;
  count_out(c);
  c->ending = true;
  c->deadline_ns = INT64_MAX;
  struct linger none = {.l_onoff = 1, .l_linger = 0}; /* what it has not taken is not kept for it */
  setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  shutdown(c->fd, SHUT_RDWR);
  if (c->stream) server_stream_end(c->stream, true);
}

void server_on_deadline(void *arg) {
  struct tend_server *s = arg;
  int64_t now = now_ns(s);
  int64_t due = INT64_MAX;
  for (struct server_conn *c = s->first; c; c = c->next) {
    if (c->deadline_ns <= now) {
      if (c->phase == SERVER_STREAM)
        s->counts.stalled++;
      else
        s->counts.late++;
      server_conn_end(c);
    } else if (c->deadline_ns < due) {
      due = c->deadline_ns;
    }
  }
  s->timer_due_ns = due;
  s->host->timer_at(s->timer, due);
  server_pump(s);
}

/* --- accepting --------------------------------------------------------------------------------------------------- */

static struct in6_addr address_of(const struct sockaddr_storage *from) {
  if (from->ss_family == AF_INET6) return ((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
  struct in6_addr mapped = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
  if (from->ss_family == AF_INET)
    memcpy(&mapped.s6_addr[12], &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
  return mapped;
}

static bool same(const struct in6_addr *a, const struct in6_addr *b) { return memcmp(a, b, sizeof *a) == 0; }

/* Makes place for one more from that address: true when there is room now. */
static bool make_room(struct tend_server *s, const struct in6_addr *from) {
  unsigned of_address = 0;
  struct server_conn *oldest = NULL;
  struct server_conn *oldest_there = NULL;
  for (struct server_conn *c = s->first; c; c = c->next) {
    if (c->ending) continue;
    bool there = same(&c->from, from);
    of_address += there;
    if (c->phase != SERVER_HEAD && c->phase != SERVER_IDLE) continue;
    if (!oldest || c->since_ns < oldest->since_ns) oldest = c;
    if (there && (!oldest_there || c->since_ns < oldest_there->since_ns)) oldest_there = c;
  }
  bool crowded = of_address >= s->limits.per_address;
  if (!crowded && s->counts.connections < s->limits.connections) return true;
  struct server_conn *goes = crowded ? oldest_there : oldest;
  if (!goes) return false;
  s->counts.displaced++;
  server_conn_end(goes);
  return true;
}

static void take(struct tend_server *s, int fd, const struct sockaddr_storage *addr, socklen_t len) {
  struct in6_addr from = address_of(addr);
  bool room = make_room(s, &from);
  struct server_conn *c = room ? calloc(1, sizeof *c) : NULL;
  if (!c) {
    s->counts.refused++;
    close(fd);
    return;
  }
  *c = (struct server_conn){.server = s, .fd = fd, .from = from, .prev = s->last};
  *(s->last ? &s->last->next : &s->first) = c;
  s->last = c;
  s->counts.accepted++;
  s->counts.connections++;
  server_conn_phase(c, SERVER_HEAD);
  /* on failure it has closed the socket, and told nobody */
  if (MHD_add_connection(s->daemon, fd, (const struct sockaddr *)addr, len) != MHD_YES && !c->mhd) server_conn_free(c);
}

void server_accept(void *arg, int listener, int events) {
  (void)events;
  struct tend_server *s = arg;
  for (int i = 0; i < ACCEPTS_MAX; i++) {
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof addr;
    int fd = accept4(listener, (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      take(s, fd, &addr, len);
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      s->deaf = true; /* the backlog holds them; asking again at once would only spin */
      s->host->watch_set(s->accept_watch, listener, 0);
      s->host->timer_at(s->again, now_ns(s) + DEAF_NS);
    }
    if (errno != EINTR && errno != ECONNABORTED) break;
  }
  server_pump(s);
}
