#include "supervisor/validate_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/str.h"

enum { DIRECTORY_MODE = 0755 };

/* The nearest directory above `path` (itself included) that exists, into out. */
static int existing(const char *path, char *out, size_t size, struct stat *st) {
  if (!str_copy(out, size, path)) return -ENAMETOOLONG;
  for (;;) {
    if (stat(out, st) == 0) return 0;
    if (errno != ENOENT && errno != ENOTDIR) return -errno;
    char *slash = strrchr(out, '/');
    if (slash && slash[1] == 0 && slash != out) {
      *slash = 0;
      continue;
    }
    if (STR_EQ(out, ".")) return -ENOENT; /* the working directory was deleted */
    if (!slash)
      str_copy(out, size, ".");
    else if (slash == out)
      out[1] = 0;
    else
      *slash = 0;
  }
}

/* One directory, or what is there already. ENOENT where the parent is there: that file system (/proc, /sys) makes no
 * directories at all. */
static int make_one(const char *path, bool has_parent) {
  if (mkdir(path, DIRECTORY_MODE) == 0 || errno == EEXIST) return 0;
  return errno == ENOENT && has_parent ? -EROFS : -errno;
}

/* mkdir -p. Mostly no more than the last one is missing. */
static int make(const char *path) {
  char part[PATH_MAX];
  struct stat st;
  if (!str_copy(part, sizeof part, path)) return -ENAMETOOLONG;
  int rc = make_one(part, false);
  if (rc != -ENOENT) return rc;
  for (char *p = part + 1;; p++) {
    if (*p && *p != '/') continue;
    char c = *p;
    *p = 0;
    if (stat(part, &st) != 0) {
      if (errno != ENOENT) return -errno;
      rc = make_one(part, true);
      if (rc != 0) return rc;
    } else if (!S_ISDIR(st.st_mode)) {
      return -ENOTDIR;
    }
    *p = c;
    if (!c) return 0;
    while (p[1] == '/') p++;
  }
}

static int write_byte(int fd) {
  ssize_t n = write(fd, "", 1);
  return n == 1 ? 0 : n < 0 ? -errno : -ENOSPC;
}

/* Permission bits do not tell of read-only mounts, full disks or ids that the server maps: write a byte. */
static int try_write(const char *path) {
  auto_close int fd = open(path, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
  if (fd >= 0) return write_byte(fd);
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT) return -errno;
  char name[PATH_MAX];
  if ((size_t)snprintf(name, sizeof name, "%s/.tend-XXXXXX", path) >= sizeof name) return -ENAMETOOLONG;
  fd = mkostemp(name, O_CLOEXEC);
  if (fd < 0) return -errno;
  int rc = write_byte(fd);
  unlink(name);
  return rc;
}

static bool seen_before(const struct validate_disks *disks, dev_t device) {
  for (size_t i = 0; i < disks->n; i++)
    if (disks->devices[i] == device) return true;
  return false;
}

static void see(struct validate_disks *disks, dev_t device) {
  if (disks->n < VALIDATE_DISKS) disks->devices[disks->n++] = device;
}

/* 0, or why the directory cannot be used. */
static int examine(const struct validate_directory *d, bool dry, struct validate_disks *written) {
  struct stat st;
  if (stat(d->path, &st) != 0) {
    int rc = -errno;
    if (rc != -ENOENT || !d->make) return rc;
    if (dry) {
      char above[PATH_MAX];
      rc = existing(d->path, above, sizeof above, &st);
      if (rc == 0 && !S_ISDIR(st.st_mode)) rc = -ENOTDIR;
      if (rc == 0 && access(above, W_OK | X_OK) != 0) rc = -errno;
      return rc;
    }
    rc = make(d->path);
    if (rc == 0 && stat(d->path, &st) != 0) rc = -errno;
    if (rc != 0) return rc;
  }
  if (!S_ISDIR(st.st_mode)) return -ENOTDIR;
  if (access(d->path, W_OK | X_OK) != 0) return -errno;
  if (dry || seen_before(written, st.st_dev)) return 0;
  int rc = try_write(d->path);
  if (rc == 0) see(written, st.st_dev);
  return rc;
}

/* What a later attempt may find mended, and what it will not. */
static enum problem_class class_of(int rc) {
  switch (-rc) {
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
      return PROBLEM_PERMISSION;
    case ENOSPC:
    case EDQUOT:
      return PROBLEM_DISK;
    default:
      return PROBLEM_CREATE;
  }
}

static const char *fix_of(int rc) {
  switch (-rc) {
    case EACCES:
    case EPERM:
      return "give this user the right to write there, or choose another path";
    case EROFS:
      return "mount a writable volume there, or choose another path";
    case ENOTDIR:
      return "move the file that stands in the way, or choose another path";
    case ENAMETOOLONG:
    case ELOOP:
      return "choose another path";
    case ENOSPC:
    case EDQUOT:
      return "free some space, or enlarge the volume";
    case ENOENT:
      return "make the directory, or choose another path";
    default:
      return "see to the volume, or choose another path";
  }
}

void validate_directory(struct validate_directory *d, bool dry, struct validate_disks *written,
                        struct problems *problems, struct buf *without) {
  d->usable = false;
  if (!d->path) return;
  int rc = examine(d, dry, written);
  if (rc == 0) {
    d->usable = true;
    return;
  }
  if (!d->named) {
    buf_fmt(without, "%s%s (%s): %s", without->len ? ", " : "", d->path, d->name, strerror(-rc));
    return;
  }
  auto_buf struct buf allowed = {0};
  buf_fmt(&allowed, "a directory that uid %u can write: %s", (unsigned)geteuid(),
          rc == -ENOTDIR ? "something else is in its place" : strerror(-rc));
  problems_add(problems, &(struct problem){.class = class_of(rc),
                                           .check = validate_name(VALIDATE_DIRECTORIES),
                                           .name = d->name,
                                           .value = d->path,
                                           .source = d->source,
                                           .allowed = buf_cstr(&allowed),
                                           .fix = fix_of(rc)});
}

bool validate_disk_free(const char *path, struct validate_disks *seen, int64_t *free_mb) {
  char at[PATH_MAX];
  struct stat st;
  struct statvfs fs;
  if (existing(path, at, sizeof at, &st) != 0 || seen_before(seen, st.st_dev) || statvfs(at, &fs) != 0) return false;
  see(seen, st.st_dev);
  uint64_t unit = fs.f_frsize ? fs.f_frsize : fs.f_bsize;
  *free_mb = (int64_t)(fs.f_bavail / 1024 * unit / 1024 + fs.f_bavail % 1024 * unit / (1024 * 1024));
  return true;
}
