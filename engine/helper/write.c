/* tend helper write PATH [--in-place]
 *
 * Replaces the file by its standard input, atomically: whoever opens PATH finds the old content or the new, never a
 * part of it, also after a crash of the machine. --in-place: the file that is there gets another content, none is made
 * (a mount of one file cannot be replaced).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "helper/helper.h"

/* Positive errno. */
static int write_all(int fd, const char *p, size_t n) {
  while (n) {
    ssize_t k = write(fd, p, n);
    if (k < 0 && errno != EINTR) return errno;
    if (k > 0) p += k, n -= (size_t)k;
  }
  return 0;
}

static int copy_input(int fd, int64_t *bytes) {
  char chunk[64 * 1024];
  for (;;) {
    ssize_t n = read(STDIN_FILENO, chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return 0;
    int error = write_all(fd, chunk, (size_t)n);
    if (error) return error;
    *bytes += n;
  }
}

/* Some file systems cannot sync (EINVAL); all else is a failure. */
static int sync_to_disk(int fd) { return fsync(fd) && errno != EINVAL ? errno : 0; }

int helper_replace(int dir, const char *name, const char *data, size_t n, int64_t *bytes) {
  char temporary[300];
  int len = snprintf(temporary, sizeof temporary, ".%s.%d.tmp", name, (int)getpid());
  if (len >= 256) return ENAMETOOLONG;
  auto_close int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd < 0) return errno;
  int error = data ? write_all(fd, data, n) : copy_input(fd, bytes);
  if (!error) error = sync_to_disk(fd);
  if (!error && renameat(dir, temporary, dir, name)) error = errno;
  if (error)
    unlinkat(dir, temporary, 0);
  else
    error = sync_to_disk(dir);
  return error;
}

static int overwrite(const char *path, int64_t *bytes) {
  auto_close int fd = open(path, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
  return fd < 0 ? errno : copy_input(fd, bytes);
}

int helper_write(int argc, char **argv) {
  const char *path;
  bool in_place = false;
  const struct helper_option options[] = {{"--in-place", HELPER_FLAG, &in_place, 0}};
  int code = helper_parse(argc, argv, &path, options, 1);
  if (code) return code;
  const char *slash = strrchr(path, '/');
  const char *name = slash ? slash + 1 : path;
  auto_free char *folder = slash == path ? strdup("/") : slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
  int error = !folder ? ENOMEM : !*name ? EISDIR : 0;
  int64_t bytes = 0;
  if (!error && in_place) {
    error = overwrite(path, &bytes);
  } else if (!error) {
    auto_close int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    error = dir < 0 ? errno : helper_replace(dir, name, NULL, 0, &bytes);
  }
  if (error) {
    char message[512];
    snprintf(message, sizeof message, "%.400s: %s", path, strerror(error));
    return helper_fail(argv[0], message);
  }
  printf("{\"bytes\": %lld}\n", (long long)bytes);
  return HELPER_OK;
}
