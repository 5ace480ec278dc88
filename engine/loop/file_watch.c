#include "loop/file_watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"

#define QUIET_NS (150 * NS_PER_MS) /* that long nothing more must happen */
#define MOST_NS (2 * NS_PER_S)     /* but somebody who never stops is not waited for */

enum {
  HOPS_MAX = 16, /* symbolic links behind one another */
  MASK = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF |
         IN_ATTRIB | IN_ONLYDIR,
  SELF_MASK = IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR, /* what happens in it is nothing to us */
};

/* A folder that is watched; names: what in it counts besides Lua files. */
struct folder {
  int wd;
  bool whole; /* and not only its own coming and going */
  char *path;
  char **names;
  size_t n_names;
};

struct file_watch {
  struct loop *loop;
  loop_fn *changed;
  void *arg;
  char **paths;
  size_t n_paths;
  int fd; /* -1: not open yet, or blind */
  char why[160];
  struct watch *watch;
  struct folder *folders;
  size_t n_folders;
  struct timer *timer;
  int64_t since_ns; /* of the first event that is not told yet; 0: none */
  uint64_t seen;
  bool stale; /* folders came or went: watch anew */
};

/* --- what is there ----------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, uint64_t v) {
  h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
  return h ^ (h >> 29);
}

/* Of a folder the time of its last change is not taken: other files come and go in it. */
uint64_t file_watch_look(const struct file_watch *w) {
  uint64_t h = w->n_paths;
  for (size_t i = 0; i < w->n_paths; i++) {
    struct stat st;
    if (stat(w->paths[i], &st)) {
      h = mix(h, (uint64_t)errno + 1);
      continue;
    }
    h = mix(mix(mix(h, st.st_ino), st.st_dev), st.st_mode);
    if (S_ISDIR(st.st_mode)) continue;
    h = mix(mix(h, (uint64_t)st.st_size), (uint64_t)st.st_mtim.tv_sec);
    h = mix(h, (uint64_t)st.st_mtim.tv_nsec);
  }
  return h ? h : 1;
}

/* --- folders ----------------------------------------------------------------------------------------------------- */

static void go_blind(struct file_watch *w, const char *what) {
  snprintf(w->why, sizeof w->why, "%s: %s", what, strerror(errno));
  watch_free(w->watch);
  w->watch = NULL;
  if (w->fd >= 0) close(w->fd);
  w->fd = -1;
}

static struct folder *find_folder(struct file_watch *w, const char *path) {
  for (size_t i = 0; i < w->n_folders; i++)
    if (STR_EQ(w->folders[i].path, path)) return &w->folders[i];
  return NULL;
}

static struct folder *add_folder(struct file_watch *w, const char *path, bool whole) {
  struct folder *f = find_folder(w, path);
  if (w->fd < 0 || (f && (f->whole || !whole)) || (!f && w->n_folders == LIMIT_WATCHED)) return f;
  int wd = inotify_add_watch(w->fd, path, (whole ? MASK : SELF_MASK) | IN_MASK_ADD);
  if (wd < 0) {
    if (errno == ENOSPC || errno == ENOMEM) go_blind(w, "no more folders can be watched");
    return NULL;
  }
  if (f) {
    f->whole = true;
    return f;
  }
  char *copy = strdup(path);
  struct folder *p = realloc(w->folders, (w->n_folders + 1) * sizeof *p);
  if (p) w->folders = p;
  if (!p || !copy) {
    free(copy);
    return NULL;
  }
  w->folders[w->n_folders] = (struct folder){.wd = wd, .whole = whole, .path = copy};
  return &w->folders[w->n_folders++];
}

/* A change of that name in that folder counts. */
static void add_name(struct file_watch *w, const char *folder, const char *name) {
  struct folder *f = add_folder(w, folder, true);
  if (!f) return;
  for (size_t i = 0; i < f->n_names; i++)
    if (STR_EQ(f->names[i], name)) return;
  char **p = realloc(f->names, (f->n_names + 1) * sizeof *p);
  if (p) f->names = p;
  char *copy = p ? strdup(name) : NULL;
  if (copy) f->names[f->n_names++] = copy;
}

/* Goes along the path: each symbolic link on it can be changed where it is, what is not there can come, and in the end
 * the file or folder itself can change. */
static void add_path(struct file_watch *w, const char *path) {
  char at[PATH_MAX] = "", rest[PATH_MAX], link[PATH_MAX];
  int hops = 0;
  if (path[0] != '/' && !getcwd(at, sizeof at)) return;
  if (!str_copy(rest, sizeof rest, path)) return;
  for (char *p = rest; *p;) {
    while (*p == '/') p++;
    size_t n = strcspn(p, "/");
    if (!n) break;
    char name[NAME_MAX + 1], whole[2 * PATH_MAX];
    snprintf(name, sizeof name, "%.*s", (int)n, p);
    p += n;
    snprintf(whole, sizeof whole, "%s/%s", at, name);
    const char *folder = *at ? at : "/";
    struct stat st;
    bool last = !p[strspn(p, "/")];
    if (lstat(whole, &st)) {
      add_name(w, folder, name);
      return;
    }
    if (S_ISLNK(st.st_mode)) {
      ssize_t k = readlink(whole, link, sizeof link - 1);
      char tail[PATH_MAX];
      add_name(w, folder, name);
      if (k <= 0 || ++hops > HOPS_MAX) return;
      link[k] = 0;
      str_copy(tail, sizeof tail, p);
      if (link[0] == '/') at[0] = 0;
      if (snprintf(rest, sizeof rest, "%s%s", link, tail) >= (int)sizeof rest) return;
      p = rest;
      continue;
    }
    if (last && !S_ISDIR(st.st_mode)) add_name(w, folder, name);
    if (S_ISDIR(st.st_mode)) add_folder(w, whole, last);
    if (!str_copy(at, sizeof at, whole)) return;
  }
}

static void drop_folders(struct file_watch *w) {
  for (size_t i = 0; i < w->n_folders; i++) {
    struct folder *f = &w->folders[i];
    if (w->fd >= 0) inotify_rm_watch(w->fd, f->wd);
    for (size_t k = 0; k < f->n_names; k++) free(f->names[k]);
    free(f->names);
    free(f->path);
  }
  free(w->folders);
  w->folders = NULL;
  w->n_folders = 0;
}

/* Those that were there already keep their number: the kernel knows them by what they are. */
static void watch_all(struct file_watch *w) {
  w->stale = false;
  drop_folders(w);
  for (size_t i = 0; i < w->n_paths && w->fd >= 0; i++) add_path(w, w->paths[i]);
}

/* --- events ------------------------------------------------------------------------------------------------------ */

static void tell(struct file_watch *w) {
  w->since_ns = 0;
  uint64_t now = file_watch_look(w);
  bool other = now != w->seen;
  w->seen = now;
  if (other) w->changed(w->arg);
}

static void on_quiet(void *arg) {
  struct file_watch *w = arg;
  if (w->stale) watch_all(w);
  tell(w);
}

static bool counts(const struct folder *f, const struct inotify_event *e) {
  if (!e->len) return false;
  for (size_t i = 0; i < f->n_names; i++)
    if (STR_EQ(f->names[i], e->name)) return true;
  return str_ends(e->name, ".lua") || str_starts(e->name, "..") || e->mask & IN_ISDIR;
}

/* A file that was just made is written next, and counts when it is closed; a link is whole at once. */
static bool is_unwritten(const struct folder *f, const struct inotify_event *e) {
  char path[2 * PATH_MAX];
  struct stat st;
  if (!(e->mask & IN_CREATE) || e->mask & IN_ISDIR) return false;
  snprintf(path, sizeof path, "%s/%s", f->path, e->name);
  return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
}

static bool take(struct file_watch *w, const struct inotify_event *e) {
  if (e->mask & IN_Q_OVERFLOW) return true;
  if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) return w->stale = true;
  for (size_t i = 0; i < w->n_folders; i++) {
    const struct folder *f = &w->folders[i];
    if (f->wd != e->wd || !counts(f, e) || is_unwritten(f, e)) continue;
    w->stale = true;
    return true;
  }
  return false;
}

static void on_events(void *arg, int fd, int events) {
  struct file_watch *w = arg;
  (void)events;
  union {
    struct inotify_event event;
    char bytes[4096];
  } room;
  bool any = false;
  ssize_t n;
  while ((n = read(fd, room.bytes, sizeof room.bytes)) > 0) {
    for (ssize_t at = 0; at < n;) {
      const struct inotify_event *e = (const struct inotify_event *)(room.bytes + at);
      any |= take(w, e);
      at += (ssize_t)(sizeof *e + e->len);
    }
  }
  if (!any) return;
  int64_t now = clock_mono_ns();
  if (!w->since_ns) w->since_ns = now;
  int64_t due = now + QUIET_NS, last = w->since_ns + MOST_NS;
  timer_at(w->timer, due < last ? due : last);
}

/* ----------------------------------------------------------------------------------------------------------------- */

struct file_watch *file_watch_new(struct loop *loop, loop_fn *changed, void *arg) {
  struct file_watch *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  *w = (struct file_watch){.loop = loop, .changed = changed, .arg = arg, .fd = -1};
  w->timer = timer_new(loop, on_quiet, w);
  if (!w->timer) {
    file_watch_free(w);
    return NULL;
  }
  return w;
}

void file_watch_open(struct file_watch *w) {
  if (w->fd >= 0) return;
  w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (w->fd < 0 || !(w->watch = watch_new(w->loop, w->fd, WATCH_READ, on_events, w)))
    go_blind(w, "files cannot be watched");
  watch_all(w);
  if (file_watch_look(w) != w->seen) timer_after(w->timer, QUIET_NS);
}

static void drop_paths(struct file_watch *w) {
  for (size_t i = 0; i < w->n_paths; i++) free(w->paths[i]);
  free(w->paths);
  w->paths = NULL;
  w->n_paths = 0;
}

/* Whoever closes the last descriptor of an inotify waits for a grace period of the kernel, up to 20 ms. So this one
 * goes into a message to a socket that only this message holds: the kernel finds that both are lost, and closes them in
 * a thread of its own (from Linux 6.8 on; before, as any close). */
static void close_unawaited(int fd) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) == 0) {
    int fds[2] = {fd, pair[1]};
    union {
      struct cmsghdr head;
      char bytes[CMSG_SPACE(sizeof fds)];
    } control = {.bytes = {0}};
    control.head =
        (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fds), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.head), fds, sizeof fds);
    struct iovec byte = {.iov_base = (char[]){0}, .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &byte, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    sendmsg(pair[0], &message, MSG_DONTWAIT);
    close(pair[0]);
    close(pair[1]);
  }
  close(fd);
}

void file_watch_free(struct file_watch *w) {
  if (!w) return;
  watch_free(w->watch);
  w->watch = NULL;
  if (w->fd >= 0) close_unawaited(w->fd);
  w->fd = -1;
  drop_folders(w);
  drop_paths(w);
  timer_free(w->timer);
  free(w);
}

int file_watch_set(struct file_watch *w, const char *const *paths, size_t n) {
  char **copy = calloc(n + 1, sizeof *copy);
  bool whole = copy != NULL;
  for (size_t i = 0; whole && i < n; i++) whole = (copy[i] = strdup(paths[i])) != NULL;
  if (!whole) {
    for (size_t i = 0; copy && i < n; i++) free(copy[i]);
    free(copy);
    return -ENOMEM;
  }
  drop_paths(w);
  w->paths = copy;
  w->n_paths = n;
  watch_all(w);
  w->seen = file_watch_look(w);
  return 0;
}

const char *file_watch_blind(const struct file_watch *w) { return w->why[0] ? w->why : NULL; }

void file_watch_poll(struct file_watch *w) {
  if (!w->since_ns) tell(w);
}
