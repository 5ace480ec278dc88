#include "base/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clean.h"
#include "base/limits.h"
#include "base/str.h"

enum { FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK };

bool tree_without_openat2;

int tree_open(const char *path, struct err *err) {
  if (path[0] != '/') return err_set(err, -EINVAL, "%s: expected an absolute path", path);
  int fd = open(path, FOLDER);
  if (fd >= 0) return fd;
  int code = -errno;
  struct stat st;
  if ((code == -ENOTDIR || code == -ELOOP) && lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
    return err_set(err, -ELOOP, "%s is a symbolic link; name the folder itself", path);
  return err_errno(err, code, "%s", path);
}

/* The mount that a descriptor lies in; two binds of one file system differ. -1 where it cannot be told. */
static long mount_of(int fd) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
  auto_close int info = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = info < 0 ? -1 : read(info, text, sizeof text - 1);
  if (n <= 0) return -1;
  text[n] = '\0';
  const char *at = strstr(text, "mnt_id:");
  return at ? strtol(at + 7, NULL, 10) : -1;
}

static int enter_by_steps(int dir, const char *name) {
  struct stat above, below;
  auto_close int fd = openat(dir, name, FOLDER);
  if (fd < 0) return -errno;
  if (fstat(dir, &above) || fstat(fd, &below)) return -errno;
  if (above.st_dev != below.st_dev || mount_of(dir) != mount_of(fd)) return -EXDEV;
  return take_fd(&fd);
}

int tree_enter(int dir, const char *name) {
  if (strchr(name, '/') || STR_EQ(name, "..")) return -EINVAL;
  if (!tree_without_openat2) {
    struct open_how how = {.flags = FOLDER,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};
    long fd = syscall(SYS_openat2, dir, name, &how, sizeof how);
    if (fd >= 0) return (int)fd;
    /* EPERM also from a seccomp filter that does not know the call */
    if (errno != ENOSYS && errno != EPERM) return -errno;
  }
  return enter_by_steps(dir, name);
}

static bool below(const char *path, const char *folder) {
  size_t n = strlen(folder);
  return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static unsigned parts_of(const char *path) {
  unsigned n = 0;
  for (const char *p = path; *p; p++) n += p[0] == '/' && p[1] && p[1] != '/';
  return n;
}

static int refuse(const char *path, struct err *err) {
  static const char *const system_folders[] = {"/bin",   "/boot", "/dev",  "/etc", "/lib", "/lib32",
                                               "/lib64", "/proc", "/sbin", "/sys", "/usr", NULL};
  static const char *const holders[] = {"/home", "/var/lib", "/var/log", "/var/cache", "/run/user", NULL};
  const char *home = getenv("HOME");
  const char *why = NULL;
  if (parts_of(path) < 2) why = "it is at the top of the file system";
  if (home && STR_EQ(path, home)) why = "it is a home";
  for (const char *const *s = system_folders; *s; s++)
    if (below(path, *s) && !(below(path, "/dev/shm") && parts_of(path) > 2)) why = "it belongs to the system";
  for (const char *const *s = holders; *s; s++)
    if (below(path, *s) && parts_of(path) <= parts_of(*s) + (STR_EQ(*s, "/home") || STR_EQ(*s, "/run/user")))
      why = "it holds what is not ours";
  if (!why) return 0;
  return err_set(err, -EPERM, "%s is refused: %s; name a folder of the flow's own", path, why);
}

static int refuse_by_descriptor(int fd, struct err *err) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return err_errno(err, -EPERM, "cannot tell where the folder is (%s)", link);
  path[n] = '\0';
  return refuse(path, err);
}

/* Every part of it is a name. */
static bool is_plain(const char *path) {
  for (const char *p = path; *p == '/';) {
    size_t n = strcspn(++p, "/");
    if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.')) return false;
    p += n;
    if (!*p) return true;
  }
  return false;
}

/* Where no link is on the way to it a folder is where its path says; -1: it is to be opened otherwise. */
static int open_without_links(const char *path) {
  if (tree_without_openat2 || !is_plain(path)) return -1;
  struct open_how how = {.flags = FOLDER, .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
  return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
}

int tree_open_ours(const char *path, struct err *err) {
  auto_close int fd = open_without_links(path);
  bool direct = fd >= 0;
  if (!direct) fd = tree_open(path, err);
  if (fd < 0) return fd;
  int rc = direct ? refuse(path, err) : refuse_by_descriptor(fd, err);
  return rc ? rc : take_fd(&fd);
}

struct walk {
  const struct tree_ops *ops;
  void *arg;
  struct buf path;
  bool deep;
};

static int walk_folder(struct walk *w, int fd, unsigned depth);

static int walk_entry(struct walk *w, int dir, const char *name, unsigned depth) {
  struct tree_entry e = {.dir = dir, .name = name, .path = buf_cstr(&w->path)};
  if (fstatat(dir, name, &e.st, AT_SYMLINK_NOFOLLOW)) {
    if (errno != ENOENT) w->ops->problem(w->arg, e.path, errno); /* gone meanwhile is no problem */
    return 0;
  }
  if (!S_ISDIR(e.st.st_mode)) return w->ops->file(w->arg, &e);
  if (!w->deep) return 0;
  if (depth + 1 > LIMIT_TREE_DEPTH) {
    w->ops->problem(w->arg, e.path, ENAMETOOLONG);
    return 0;
  }
  int fd = tree_enter(dir, name);
  if (fd < 0) {
    if (fd != -ENOENT) w->ops->problem(w->arg, e.path, -fd);
    return 0;
  }
  int code = walk_folder(w, fd, depth + 1);
  e.path = buf_cstr(&w->path);
  if (code == 0 && w->ops->leave) code = w->ops->leave(w->arg, &e);
  return code;
}

/* Owns fd. */
static int walk_folder(struct walk *w, int fd, unsigned depth) {
  DIR *d = fdopendir(fd);
  if (!d) {
    w->ops->problem(w->arg, buf_cstr(&w->path), errno);
    close(fd);
    return 0;
  }
  size_t len = w->path.len;
  int code = 0;
  for (;;) {
    errno = 0;
    const struct dirent *entry = readdir(d);
    if (!entry) break;
    if (STR_EQ(entry->d_name, ".") || STR_EQ(entry->d_name, "..")) continue;
    if (len) buf_char(&w->path, '/');
    buf_str(&w->path, entry->d_name);
    code = w->path.failed ? -ENOMEM : walk_entry(w, dirfd(d), entry->d_name, depth);
    w->path.len = len;
    if (w->path.data) w->path.data[len] = '\0';
    if (code) break;
  }
  if (code == 0 && errno) w->ops->problem(w->arg, buf_cstr(&w->path), errno);
  closedir(d);
  return code;
}

int tree_walk(int root, bool deep, const struct tree_ops *ops, void *arg) {
  struct walk w = {.ops = ops, .arg = arg, .deep = deep};
  int fd = openat(root, ".", FOLDER); /* of its own, so that the caller's is not moved */
  if (fd < 0) return -errno;
  int code = walk_folder(&w, fd, 0);
  buf_free(&w.path);
  return code;
}
