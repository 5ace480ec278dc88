#include "base/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/str.h"

bool place_candidate(unsigned i, char out[PATH_MAX]) {
  const char *runtime = getenv("XDG_RUNTIME_DIR");
  bool has_runtime = runtime && runtime[0] == '/';
  if (i >= 1 && !has_runtime) i++;
  switch (i) {
    case 0:
      snprintf(out, PATH_MAX, "/run/tend");
      return true;
    case 1:
      snprintf(out, PATH_MAX, "%s/tend", runtime);
      return true;
    case 2:
      snprintf(out, PATH_MAX, "/tmp/tend-%u", (unsigned)geteuid());
      return true;
    case 3: /* the one place that can be written in a container whose file system is read-only throughout */
      snprintf(out, PATH_MAX, "/dev/shm/tend-%u", (unsigned)geteuid());
      return true;
    default:
      return false;
  }
}

const char *place_self(void) {
  static char path[PATH_MAX]; /* its link is made anew in each process, and dear */
  if (*path) return path;
  ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  path[n > 0 ? n : 0] = 0;
  return path;
}

bool place_companion(unsigned i, const char *name, char out[PATH_MAX]) {
  return place_beside(place_self(), i, name, out);
}

bool place_beside(const char *self, unsigned i, const char *name, char out[PATH_MAX]) {
  static const char *const folders[] = {"", "../lib/tend/"};
  if (i >= ARRAY_LEN(folders)) return false;
  size_t n = 0;
  for (size_t k = 0; self[k]; k++)
    if (self[k] == '/') n = k + 1;
  const char *parts[] = {folders[i], name};
  size_t more = 0;
  for (unsigned part = 0; part < ARRAY_LEN(parts); part++)
    for (const char *p = parts[part]; *p; p++) more++;
  if (n == 0 || n + more >= PATH_MAX) return false;
  for (size_t k = 0; k < n; k++) out[k] = self[k];
  for (unsigned part = 0; part < ARRAY_LEN(parts); part++)
    for (const char *p = parts[part]; *p; p++) out[n++] = *p;
  out[n] = 0;
  return true;
}

int place_open_dir(int at, const char *name) {
  int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

typedef int address_fn(int fd, const struct sockaddr *address, socklen_t n);

static int bind_private(int fd, const struct sockaddr *address, socklen_t n) {
  mode_t old = umask(0177);
  int rc = bind(fd, address, n);
  int saved = errno;
  umask(old);
  errno = saved;
  return rc;
}

/* Calls fn with the shortest address that reaches the name; -errno. */
static int with_address(address_fn *fn, int fd, int dir_fd, const char *path, const char *name) {
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  int n = snprintf(un.sun_path, sizeof un.sun_path, "%s/%s", path, name);
  if (n > 0 && (size_t)n < sizeof un.sun_path) return fn(fd, (struct sockaddr *)&un, sizeof un) ? -errno : 0;
  auto_close int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (here < 0 || fchdir(dir_fd)) return -errno;
  snprintf(un.sun_path, sizeof un.sun_path, "%s", name);
  int rc = fn(fd, (struct sockaddr *)&un, sizeof un) ? -errno : 0;
  if (fchdir(here) && !rc) rc = -errno;
  return rc;
}

int place_listen(int dir_fd, const char *path, const char *name, struct err *err) {
  auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int rc = fd < 0 ? -errno : with_address(bind_private, fd, dir_fd, path, name);
  if (!rc && listen(fd, 64)) rc = -errno;
  if (rc) return err_errno(err, rc, "cannot make the socket %s/%s", path, name);
  return take_fd(&fd);
}

int place_connect(int dir_fd, const char *path, const char *name, struct err *err) {
  auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int rc = fd < 0 ? -errno : with_address(connect, fd, dir_fd, path, name);
  if (rc) return err_errno(err, rc, "cannot connect to %s/%s", path, name);
  return take_fd(&fd);
}
