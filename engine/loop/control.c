#include "loop/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/frame.h"
#include "base/limits.h"
#include "base/place.h"
#include "base/str.h"
#include "loop/control_inner.h"

enum { ACCEPTS_A_TURN = 16 };

/* --- the socket ------------------------------------------------------------------------------------------------- */

static void refuse_peer(struct control *c, int fd, const char *code, const char *why, uid_t uid) {
  auto_buf struct buf frame = {0};
  auto_buf struct buf text = {0};
  buf_fmt(&text, "{\"id\": null, \"ok\": false, \"code\": \"%s\", \"error\": \"%s\", \"protocol\": %d}", code, why,
          CONTROL_VERSION);
  frame_add(&frame, text.data, text.len);
  (void)!send(fd, frame.data, frame.len, MSG_NOSIGNAL | MSG_DONTWAIT);
  close(fd);
  int64_t now = loop_now_ns(c->loop);
  if (c->refused_told_ns && now - c->refused_told_ns < 60 * NS_PER_S) return;
  c->refused_told_ns = now;
  sink_say(c->sink, EVENT_AUDIT, LEVEL_WARNING, "a control connection of uid %u was refused: %s", (unsigned)uid, why);
}

/* Connections that ask nothing keep nobody out: the one that has been idle longest goes, after a second at the least.
 */
static void make_room(struct control *c) {
  struct client *idle = NULL;
  for (struct client *k = c->clients; k; k = k->next)
    if (!k->pending && !k->in.len && !client_unsent(k) && (!idle || k->idle_since_ns < idle->idle_since_ns)) idle = k;
  if (idle && loop_now_ns(c->loop) - idle->idle_since_ns >= NS_PER_S) client_drop(idle);
}

static void on_accept(void *arg, int listener, int events) {
  (void)events;
  struct control *c = arg;
  for (int i = 0; i < ACCEPTS_A_TURN; i++) {
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        watch_events(c->watch, 0); /* the connection stays readable: without a pause this would spin */
        timer_after(c->retry, NS_PER_S);
      }
      return;
    }
    struct ucred peer = {0};
    socklen_t n = sizeof peer;
    bool told = !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n);
    bool own = told && (peer.uid == geteuid() || peer.uid == 0);
    bool known = own || (told && group_has(c, fd, peer.gid));
    if (known && c->n_clients >= LIMIT_CONTROL_CLIENTS) make_room(c);
    if (!known)
      refuse_peer(c, fd, "denied", "only the same user and root may ask", peer.uid);
    else if (c->n_clients >= LIMIT_CONTROL_CLIENTS)
      refuse_peer(c, fd, "busy", "too many clients", peer.uid);
    else
      client_open(c, fd, peer.uid, peer.pid, !own);
  }
}

static void on_retry(void *arg) {
  struct control *c = arg;
  watch_events(c->watch, WATCH_READ);
}

static void tell_gone(struct control *c) {
  while (c->orphans) {
    struct control_reply *r = c->orphans;
    reply_unlink(r);
    if (r->told) continue;
    r->told = true;
    r->end(r->arg);
  }
}

static void on_sweep(void *arg) {
  struct control *c = arg;
  while (c->dead) {
    struct client *k = c->dead;
    c->dead = k->next;
    client_free(k);
  }
  tell_gone(c);
}

static const struct control_op events_op[] = {{"events", control_op_events, NULL}, {0}};

struct control *control_new(struct loop *loop, struct sink *sink, const struct state_dir *dir, int fd,
                            struct err *err) {
  struct control *c = calloc(1, sizeof *c);
  if (!c) {
    err_set(err, -ENOMEM, "control socket: out of memory");
    return NULL;
  }
  struct stat st;
  if (fd >= 0 && dir && fstatat(dir->fd, PLACE_SOCKET, &st, AT_SYMLINK_NOFOLLOW)) { /* nobody would find it */
    close(fd);
    fd = -1;
  }
  *c = (struct control){.loop = loop, .sink = sink, .fd = fd, .dir_fd = -1, .patience = CONTROL_PATIENCE_INIT};
  if (fd < 0 && dir) {
    if (unlinkat(dir->fd, PLACE_SOCKET, 0) && errno != ENOENT) {
      err_errno(err, -errno, "cannot replace %s/" PLACE_SOCKET, dir->path);
      goto fail;
    }
    c->fd = place_listen(dir->fd, dir->path, PLACE_SOCKET, err);
    if (c->fd < 0) goto fail;
  }
  if (dir) c->dir_fd = fcntl(dir->fd, F_DUPFD_CLOEXEC, 0);
  if (dir) c->watch = watch_new(loop, c->fd, WATCH_READ, on_accept, c);
  c->sweep = timer_new(loop, on_sweep, c);
  c->retry = timer_new(loop, on_retry, c);
  control_add(c, events_op, c);
  if ((!dir || (c->dir_fd >= 0 && c->watch)) && c->sweep && c->retry && !turn_open(c)) return c;
  err_set(err, -ENOMEM, "control socket: out of memory or descriptors");
fail:
  control_free(c);
  return NULL;
}

void control_free(struct control *c) {
  if (!c) return;
  while (c->clients) {
    struct client *k = c->clients;
    client_flush(k);
    client_drop(k);
  }
  if (c->sweep) on_sweep(c);
  turn_close(c);
  watch_free(c->watch);
  timer_free(c->sweep);
  timer_free(c->retry);
  if (c->dir_fd >= 0) {
    unlinkat(c->dir_fd, PLACE_SOCKET, 0);
    close(c->dir_fd);
  }
  if (c->fd >= 0) close(c->fd);
  free(c);
}

int control_fd(const struct control *c) { return c->fd; }

void control_serve(struct control *c, int fd) { client_open(c, fd, geteuid(), getpid(), false); }

void control_scripts(struct control *c, const struct policy *const *policy) {
  if (c) c->policy = policy;
}
