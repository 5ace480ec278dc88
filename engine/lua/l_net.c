/* net: C half. connect(kind, host, port, seconds) → socket | nil, err for kinds tcp, udp and unix (host is the path);
 * socket:send(data, seconds) → true; socket:receive(what, seconds) → data, with what a number of bytes, "line", "all"
 * or nil for what there is; socket:close(). One call at a time waits on a socket. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "probes/kinds.h"
#include "probes/resolve.h"
#include "lua/effect.h"
#include "lua/l.h"

#define META "tend.socket"

enum { DATAGRAM_MAX = 65536, PIECES_A_TURN = 16 };

struct sock {
  int fd; /* -1: closed */
  bool datagram, busy, ended;
  struct buf in; /* received, not yet asked for */
  char peer[160];
};

enum doing { CONNECTING, SENDING, RECEIVING };
enum wanted { WANT_SOME, WANT_BYTES, WANT_LINE, WANT_ALL };

/* One waiting call. */
struct call {
  struct vm *vm;
  uint64_t token;
  struct sock *sock; /* held by the stack of the waiting task */
  enum doing doing;
  int64_t limit_ns, deadline_ns;
  struct timer *timer; /* the time limit, or this address's share of it */
  struct watch *watch;
  struct resolve *resolve;
  struct tend_address addresses[RESOLVE_MAX];
  size_t n, next;
  struct buf out;
  size_t sent;
  enum wanted wanted;
  size_t bytes;
  int error;          /* errno */
  const char *reason; /* a literal; NULL: by errno */
  char detail[256];
};

static void call_free(void *arg) {
  struct call *c = arg;
  resolve_cancel(c->resolve);
  watch_free(c->watch);
  timer_free(c->timer);
  buf_free(&c->out);
  free(c);
}

static void close_socket(struct sock *s) {
  if (s->fd >= 0) close(s->fd);
  s->fd = -1;
}

/* What was sent or connected by half is of no use any more. */
static void call_cancel(void *arg) {
  struct call *c = arg;
  c->sock->busy = false;
  if (c->doing != RECEIVING) close_socket(c->sock);
  call_free(c);
}

/* A connection that is there can fail in more ways than one that a check only opens. */
static const char *reason_of(int error) {
  switch (error) {
    case ECONNRESET:
    case EPIPE:
      return "closed";
    case ENOMEM:
      return "memory";
    case ENOBUFS:
    case EMSGSIZE:
      return "too_large";
    case EAGAIN:
      return "busy";
    default:
      return probe_connect_reason(error);
  }
}

static int l_failure(lua_State *L, const struct call *c) {
  static const char *const texts[] = {"cannot connect", "cannot send", "cannot receive"};
  if (*c->detail) return l_fail(L, c->reason, "%s", c->detail);
  if (c->reason && STR_EQ(c->reason, "timeout"))
    return l_fail(L, "timeout", "%s: %s within %.6g s", c->sock->peer, texts[c->doing],
                  (double)c->limit_ns / (double)NS_PER_S);
  return l_fail(L, c->reason ? c->reason : reason_of(c->error), "%s: %s: %s", c->sock->peer, texts[c->doing],
                c->reason             ? "the other side has closed the connection"
                : c->error == ENOBUFS ? "more than 16 MiB came without an end"
                                      : strerror(c->error));
}

/* --- receiving from what is there --- */

/* Pushes what was asked for and returns 1, or 0 when more is needed. */
static int l_take(lua_State *L, struct sock *s, enum wanted wanted, size_t bytes) {
  struct buf *in = &s->in;
  size_t n = in->len, drop;
  if (s->datagram) wanted = WANT_SOME;
  if (wanted == WANT_LINE) {
    const char *end = in->len ? memchr(in->data, '\n', in->len) : NULL;
    if (!end) return 0;
    n = (size_t)(end - in->data);
    drop = n + 1;
    if (n && in->data[n - 1] == '\r') n--;
  } else if (wanted == WANT_BYTES) {
    if (in->len < bytes) return 0;
    n = drop = bytes;
  } else {
    if (wanted == WANT_ALL ? !s->ended : in->len == 0 && !s->datagram) return 0;
    drop = n;
  }
  lua_pushlstring(L, buf_cstr(in), n);
  buf_drop(in, drop);
  return 1;
}

static bool enough(const struct sock *s, const struct call *c) {
  if (s->ended) return true;
  if (c->wanted == WANT_LINE) return s->in.len && memchr(s->in.data, '\n', s->in.len);
  if (c->wanted == WANT_BYTES) return s->in.len >= c->bytes;
  return c->wanted == WANT_SOME && s->in.len > 0;
}

/* --- the end of a call --- */

static int l_push_call(lua_State *L, void *data) {
  struct call *c = data;
  struct sock *s = c->sock;
  if (c->error || c->reason) return l_failure(L, c);
  if (c->doing == CONNECTING) {
    lua_pushvalue(L, 5); /* the userdata made by l_connect */
    return 1;
  }
  if (c->doing == SENDING) {
    lua_pushboolean(L, 1);
    return 1;
  }
  if (l_take(L, s, c->wanted, c->bytes)) return 1;
  c->reason = "closed";
  return l_failure(L, c);
}

static void finish(struct call *c, int error, const char *reason) {
  c->error = error;
  c->reason = reason;
  c->sock->busy = false;
  if ((error || reason) && c->doing != RECEIVING) close_socket(c->sock);
  watch_free(c->watch);
  timer_free(c->timer);
  c->watch = NULL;
  c->timer = NULL;
  task_ready(c->vm->host.sched, c->token, l_push_call, c, call_free);
}

/* --- the work: 0 done, EAGAIN later, else an errno --- */

static int receive_more(struct sock *s, const struct call *c) {
  if (enough(s, c)) return 0;
  /* who sends without end waits for the next turn, as all others do */
  for (int i = 0; i < PIECES_A_TURN; i++) {
    if (s->datagram && s->in.len) return 0; /* one at a time */
    size_t piece = s->datagram ? DATAGRAM_MAX : 16384;
    if (s->in.len + piece > LIMIT_READ) return ENOBUFS;
    char *room = buf_room(&s->in, piece);
    if (!room) return ENOMEM;
    ssize_t n = recv(s->fd, room, piece, MSG_DONTWAIT);
    if (n < 0) return errno;
    if (n == 0 && !s->datagram) s->ended = true;
    s->in.len += (size_t)n;
    if (s->datagram) return 0; /* an empty one, too */
    bool line = c->wanted == WANT_LINE;
    if (line && !s->ended ? memchr(room, '\n', (size_t)n) != NULL : enough(s, c)) return 0;
  }
  return EAGAIN;
}

static int send_more(const struct sock *s, struct call *c, const char *data, size_t len) {
  do {
    ssize_t n = send(s->fd, data + c->sent, len - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) return errno;
    c->sent += (size_t)n;
  } while (c->sent < len);
  return 0;
}

static void on_timer(void *arg);
static void on_ready(void *arg, int fd, int events);

static int64_t share_of_address(const struct call *c) {
  int64_t now = clock_mono_ns(), left = c->deadline_ns - now;
  return now + (left > 0 ? left / (int64_t)(c->n - c->next + 1) : 0);
}

static int connect_one(struct call *c, const struct sockaddr *addr, socklen_t len) {
  struct sock *s = c->sock;
  close_socket(s);
  s->fd = socket(addr->sa_family, (s->datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (s->fd < 0) return errno;
  if (connect(s->fd, addr, len) == 0) return 0;
  return errno;
}

static void connect_next(struct call *c, int error) {
  watch_free(c->watch);
  c->watch = NULL;
  while (c->next < c->n) {
    const struct tend_address *a = &c->addresses[c->next++];
    error = connect_one(c, (const struct sockaddr *)&a->addr, a->len);
    if (error == EINPROGRESS) {
      c->watch = watch_new(c->vm->host.loop, c->sock->fd, WATCH_WRITE, on_ready, c);
      if (c->watch) timer_at(c->timer, share_of_address(c));
      if (c->watch) return;
      error = ENOMEM;
    }
    if (!error) break;
  }
  finish(c, error, NULL);
}

static void on_ready(void *arg, int fd, int events) {
  (void)events;
  struct call *c = arg;
  int error = 0;
  if (c->doing == CONNECTING) {
    socklen_t len = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) error = errno;
    if (error)
      connect_next(c, error);
    else
      finish(c, 0, NULL);
    return;
  }
  error = c->doing == SENDING ? send_more(c->sock, c, buf_cstr(&c->out), c->out.len) : receive_more(c->sock, c);
  if (error == EAGAIN || error == EINTR) return;
  finish(c, error, NULL);
}

static void on_timer(void *arg) {
  struct call *c = arg;
  if (c->doing == CONNECTING && c->n && clock_mono_ns() < c->deadline_ns)
    connect_next(c, ETIMEDOUT);
  else
    finish(c, 0, "timeout");
}

static void on_resolved(void *arg, const struct tend_addresses *found) {
  struct call *c = arg;
  c->resolve = NULL;
  if (!found->n) {
    str_copy(c->detail, sizeof c->detail, found->detail);
    finish(c, 0, STR_EQ(found->reason, "timeout") ? "timeout" : "dns");
    return;
  }
  memcpy(c->addresses, found->list, found->n * sizeof *found->list);
  c->n = found->n;
  connect_next(c, 0);
}

/* A call on the socket at stack index i, ready to wait. Raises. */
static struct call *l_call(lua_State *L, struct sock *s, enum doing doing, int64_t limit_ns) {
  struct vm *vm = vm_of(L);
  uint64_t token = task_wait(L);
  struct call *c = calloc(1, sizeof *c);
  if (c) *c = (struct call){.vm = vm, .token = token, .sock = s, .doing = doing, .limit_ns = limit_ns};
  if (!c || !(c->timer = timer_new(vm->host.loop, on_timer, c))) {
    free(c);
    l_raise(L, "net: no memory");
    return NULL;
  }
  c->deadline_ns = clock_mono_ns() + limit_ns;
  timer_at(c->timer, c->deadline_ns);
  return c;
}

/* The end of what was done at once, with a call on the C stack. */
static int l_end(lua_State *L, struct call *now, int error) {
  now->error = error;
  if (error && now->doing != RECEIVING) close_socket(now->sock);
  return l_push_call(L, now);
}

static int l_connect(lua_State *L) {
  static const char *const kinds[] = {"tcp", "udp", "unix", NULL};
  int kind = luaL_checkoption(L, 1, NULL, kinds);
  size_t n;
  const char *host = luaL_checklstring(L, 2, &n);
  int port = (int)luaL_optinteger(L, 3, 0);
  int64_t limit_ns = l_check_seconds(L, 4, "net: timeout");
  lua_settop(L, 4);
  struct sockaddr_un path = {.sun_family = AF_UNIX};
  if (strlen(host) != n) return l_raise(L, "net: the name has a NUL byte");
  if (kind == 2 && !str_copy(path.sun_path, sizeof path.sun_path, host))
    return l_raise(L, "net.unix: the path is longer than %d bytes", (int)sizeof path.sun_path - 1);
  struct sock *s = lua_newuserdatauv(L, sizeof *s, 0);
  *s = (struct sock){.fd = -1, .datagram = kind == 1};
  luaL_setmetatable(L, META);
  if (kind == 2)
    str_copy(s->peer, sizeof s->peer, host);
  else
    snprintf(s->peer, sizeof s->peer, "%.140s port %d", host, port);
  if (kind == 2) {
    struct call now = {.sock = s, .doing = CONNECTING};
    task_wait(L); /* not while a flow file loads, as the others */
    return l_end(L, &now, connect_one(&now, (const struct sockaddr *)&path, sizeof path));
  }
  struct call *c = l_call(L, s, CONNECTING, limit_ns);
  c->resolve = resolve_start(c->vm->host.loop, host, (uint16_t)port, c->deadline_ns, on_resolved, c);
  if (!c->resolve) {
    call_free(c);
    return l_raise(L, "net: no memory");
  }
  s->busy = true;
  return task_suspend(L, call_cancel, c);
}

static struct sock *l_socket(lua_State *L) {
  struct sock *s = luaL_checkudata(L, 1, META);
  if (s->busy) l_raise(L, "net: another task waits on the connection to %s", s->peer);
  return s;
}

/* What the first try has not done waits. */
static int l_wait(lua_State *L, struct call *c, int events) {
  c->watch = watch_new(c->vm->host.loop, c->sock->fd, events, on_ready, c);
  if (!c->watch || c->out.failed) {
    call_free(c);
    return l_raise(L, "net: no memory");
  }
  c->sock->busy = true;
  return task_suspend(L, call_cancel, c);
}

static int l_send(lua_State *L) {
  struct sock *s = l_socket(L);
  size_t n;
  const char *data = luaL_checklstring(L, 2, &n);
  int64_t limit_ns = l_check_seconds(L, 3, "send: timeout");
  if (s->fd < 0) return l_fail(L, "closed", "%s: the connection is closed", s->peer);
  if (l_effect(L, "net.send", "%zu bytes to %s", n, s->peer)) {
    lua_pushboolean(L, 1);
    return 1;
  }
  struct call now = {.sock = s, .doing = SENDING};
  int error = n || s->datagram ? send_more(s, &now, data, n) : 0;
  if (error != EAGAIN && error != EINTR) return l_end(L, &now, error);
  struct call *c = l_call(L, s, SENDING, limit_ns);
  buf_add(&c->out, data + now.sent, n - now.sent);
  return l_wait(L, c, WATCH_WRITE);
}

static int l_receive(lua_State *L) {
  struct sock *s = l_socket(L);
  enum wanted wanted = WANT_SOME;
  size_t bytes = 0;
  if (lua_type(L, 2) == LUA_TNUMBER) {
    lua_Integer n = luaL_checkinteger(L, 2);
    luaL_argcheck(L, n > 0 && n <= LIMIT_READ / 2, 2, "from 1 byte to 8 MiB");
    wanted = WANT_BYTES;
    bytes = (size_t)n;
  } else if (!lua_isnil(L, 2)) {
    static const char *const words[] = {"line", "all", NULL};
    wanted = luaL_checkoption(L, 2, NULL, words) == 0 ? WANT_LINE : WANT_ALL;
  }
  int64_t limit_ns = l_check_seconds(L, 3, "receive: timeout");
  lua_settop(L, 3);
  if (s->fd < 0) return l_fail(L, "closed", "%s: the connection is closed", s->peer);
  struct call now = {.sock = s, .doing = RECEIVING, .wanted = wanted, .bytes = bytes};
  int error = receive_more(s, &now);
  if (error != EAGAIN && error != EINTR) return l_end(L, &now, error);
  struct call *c = l_call(L, s, RECEIVING, limit_ns);
  c->wanted = wanted;
  c->bytes = bytes;
  return l_wait(L, c, WATCH_READ);
}

static int l_close(lua_State *L) {
  struct sock *s = luaL_checkudata(L, 1, META);
  if (s->busy) return l_raise(L, "net: another task waits on the connection to %s", s->peer);
  close_socket(s);
  buf_free(&s->in);
  return 0;
}

int l_open_net(lua_State *L) {
  static const luaL_Reg functions[] = {{"connect", l_connect}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"send", l_send}, {"receive", l_receive}, {"close", l_close}, {NULL, NULL}};
  l_class(L, META, methods, l_close);
  luaL_newlib(L, functions);
  return 1;
}
