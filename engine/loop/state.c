#include "loop/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/place.h"
#include "base/str.h"

#define LOCK_NAME "lock"
#define STOPPED_NAME "stopped"
#define RUN_NAME "run"

enum { RUN_MAX = 4096 };

/* Makes the directory and what is missing above it; mostly nothing is. */
static int make_dirs(const char *path) {
  char part[PATH_MAX];
  if (!str_copy(part, sizeof part, path)) return -ENAMETOOLONG;
  if (mkdir(part, 0700) == 0 || errno == EEXIST) return 0;
  if (errno != ENOENT) return -errno;
  for (char *p = part + 1; *p; p++) {
    if (*p != '/') continue;
    *p = 0;
    if (mkdir(part, 0755) && errno != EEXIST && errno != EROFS && errno != EACCES) return -errno;
    *p = '/';
  }
  return mkdir(part, 0700) && errno != EEXIST ? -errno : 0;
}

/* One that the user named may be a mount of somebody else's or a symbolic link; one that we choose must be ours, since
 * anybody can make /tmp/tend-UID before us. */
static int open_root(const char *path, bool given, struct err *err) {
  int rc = make_dirs(path);
  if (rc) return err_errno(err, rc, "cannot make the state directory %s", path);
  auto_close int fd = given ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : place_open_dir(AT_FDCWD, path);
  if (given && fd < 0) fd = -errno;
  if (fd < 0) return err_errno(err, fd, "cannot open the state directory %s", path);
  struct stat st;
  if (fstat(fd, &st)) return err_errno(err, -errno, "state directory %s", path);
  if (!given && st.st_uid != geteuid())
    return err_set(err, -EPERM, "the state directory %s belongs to uid %u, not to us", path, (unsigned)st.st_uid);
  if (!given && (st.st_mode & 077) && fchmod(fd, 0700)) return err_errno(err, -errno, "chmod %s", path);
  return take_fd(&fd);
}

static int open_folder(int root_fd, const char *flow, const char *path, struct err *err) {
  if (mkdirat(root_fd, flow, 0700) && errno != EEXIST) return err_errno(err, -errno, "cannot make the folder %s", path);
  auto_close int fd = place_open_dir(root_fd, flow);
  if (fd < 0) return err_errno(err, fd, "cannot open the folder %s", path);
  struct stat st;
  if (fstat(fd, &st)) return err_errno(err, -errno, "folder %s", path);
  if (st.st_uid != geteuid())
    return err_set(err, -EPERM, "the folder %s belongs to uid %u, expected our own uid %u", path, (unsigned)st.st_uid,
                   (unsigned)geteuid());
  if ((st.st_mode & 077) && fchmod(fd, 0700)) return err_errno(err, -errno, "chmod %s", path);
  return take_fd(&fd);
}

static int refuse_second(int lock_fd, const char *flow, const char *path, struct err *err) {
  char pid[32] = "";
  ssize_t n = pread(lock_fd, pid, sizeof pid - 1, 0);
  if (n < 0) n = 0;
  pid[n] = 0;
  pid[strspn(pid, "0123456789")] = 0;
  return err_set(err, -EBUSY,
                 "flow \"%s\" runs already: pid %s holds %s; stop it first, or give this one another --state-dir", flow,
                 *pid ? pid : "unknown", path);
}

static int lock_folder(int fd, const char *flow, const char *path, pid_t pid, struct err *err) {
  auto_close int lock = openat(fd, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
  if (lock < 0) return err_errno(err, -errno, "cannot make %s/" LOCK_NAME, path);
  if (flock(lock, LOCK_EX | LOCK_NB)) {
    if (errno == EWOULDBLOCK) return refuse_second(lock, flow, path, err);
    return err_errno(err, -errno, "cannot lock %s/" LOCK_NAME, path);
  }
  char text[32];
  int n = snprintf(text, sizeof text, "%d\n", (int)pid);
  if (ftruncate(lock, 0) || pwrite(lock, text, (size_t)n, 0) != n)
    return err_errno(err, -errno, "cannot write %s/" LOCK_NAME, path);
  return take_fd(&lock);
}

static int try_root(struct state_dir *s, const char *root, bool given, const char *flow, pid_t pid, struct err *err) {
  struct state_dir new = STATE_DIR_INIT;
  int n = snprintf(new.path, sizeof new.path, "%s/%s", root, flow);
  if (n < 0 || (size_t)n >= sizeof new.path)
    return err_set(err, -ENAMETOOLONG, "the state directory's path is longer than %d bytes", PATH_MAX - 1);
  auto_close int root_fd = open_root(root, given, err);
  if (root_fd < 0) return root_fd;
  auto_close int fd = open_folder(root_fd, flow, new.path, err);
  if (fd < 0) return fd;
  int lock = lock_folder(fd, flow, new.path, pid, err);
  if (lock < 0) return lock;
  new.fd = take_fd(&fd);
  new.lock_fd = lock;
  *s = new;
  return 0;
}

int state_open(struct state_dir *s, const char *root, const char *flow, pid_t pid, struct err *err) {
  if (!*flow || strchr(flow, '/') || flow[0] == '.')
    return err_set(err, -EINVAL, "\"%s\" cannot be the name of a flow", flow);
  if (root && *root) return try_root(s, root, true, flow, pid, err);
  char path[PATH_MAX];
  int rc = -ENOENT;
  for (unsigned i = 0; place_candidate(i, path); i++) {
    rc = try_root(s, path, false, flow, pid, err);
    if (rc == 0 || rc == -EBUSY) return rc;
  }
  err_wrap(err, "no state directory can be made (set CONTAINER_STATE_DIR)");
  return rc;
}

void state_close(struct state_dir *s) {
  if (s->lock_fd >= 0) close(s->lock_fd);
  if (s->fd >= 0) close(s->fd);
  s->fd = s->lock_fd = -1;
}

int state_mark_stopped(const struct state_dir *s, bool stopped, struct err *err) {
  if (!stopped) {
    if (unlinkat(s->fd, STOPPED_NAME, 0) && errno != ENOENT)
      return err_errno(err, -errno, "cannot remove %s/" STOPPED_NAME, s->path);
    return 0;
  }
  auto_close int fd = openat(s->fd, STOPPED_NAME, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return err_errno(err, -errno, "cannot make %s/" STOPPED_NAME, s->path);
  return 0;
}

bool state_is_stopped(const struct state_dir *s) {
  struct stat st; /* faccessat with flags is a newer call, which some containers forbid */
  return fstatat(s->fd, STOPPED_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

void state_read_run(const struct state_dir *s, struct buf *out) {
  auto_close int fd = openat(s->fd, RUN_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  char *room = fd >= 0 ? buf_room(out, RUN_MAX) : NULL;
  ssize_t n = room ? read(fd, room, RUN_MAX) : 0;
  if (n <= 0) return;
  out->len += (size_t)n;
  out->data[out->len] = 0;
}

int state_write_run(const struct state_dir *s, const char *text, struct err *err) {
  if (!text) {
    if (unlinkat(s->fd, RUN_NAME, 0) && errno != ENOENT)
      return err_errno(err, -errno, "cannot remove %s/" RUN_NAME, s->path);
    return 0;
  }
  auto_close int fd = openat(s->fd, RUN_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  size_t n = strlen(text);
  if (fd < 0 || write(fd, text, n) != (ssize_t)n) return err_errno(err, -errno, "cannot write %s/" RUN_NAME, s->path);
  return 0;
}
