#include "base/fileop.h"

#include "base/fileop_inner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/str.h"

static int fail(const struct fileop *f, struct err *err) {
  return err_errno(err, -errno, "cannot %s %s", f->op, f->path);
}

static const char *type_of(mode_t mode) {
  return S_ISREG(mode) ? "file" : S_ISDIR(mode) ? "directory" : S_ISLNK(mode) ? "link" : "other";
}

static int op_stat(const struct fileop *f, struct buf *out, struct err *err) {
  struct stat st;
  if (stat(f->path, &st) && (errno != ENOENT || lstat(f->path, &st))) return fail(f, err);
  struct json j = JSON_INIT(out);
  json_object(&j, NULL);
  json_str(&j, "type", type_of(st.st_mode));
  json_int(&j, "size", st.st_size);
  json_num(&j, "mtime", (double)st.st_mtim.tv_sec + (double)(st.st_mtim.tv_nsec / 1000000) / 1e3);
  json_int(&j, "mode", st.st_mode & 07777);
  json_int(&j, "uid", st.st_uid);
  json_int(&j, "gid", st.st_gid);
  json_object_end(&j);
  return 0;
}

static int no_dots(const struct dirent *d) { return !STR_EQ(d->d_name, ".") && !STR_EQ(d->d_name, ".."); }

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static const char *entry_type(const char *dir, const struct dirent *d) {
  if (d->d_type == DT_REG) return "file";
  if (d->d_type == DT_DIR) return "directory";
  if (d->d_type == DT_LNK) return "link";
  if (d->d_type != DT_UNKNOWN) return "other";
  char path[4096];
  struct stat st;
  snprintf(path, sizeof path, "%s/%s", dir, d->d_name);
  return lstat(path, &st) ? "other" : type_of(st.st_mode);
}

static int op_list(const struct fileop *f, struct buf *out, struct err *err) {
  struct dirent **list = NULL;
  int n = scandir(f->path, &list, no_dots, by_name);
  if (n < 0) return fail(f, err);
  int max = f->max && f->max < LIMIT_LIST ? (int)f->max : LIMIT_LIST;
  int left_out = 0;
  struct json j = JSON_INIT(out);
  json_object(&j, NULL);
  json_array(&j, "entries");
  for (int i = 0; i < n; i++) {
    if (i - left_out < max && str_utf8_valid(list[i]->d_name, strlen(list[i]->d_name))) {
      json_object(&j, NULL);
      json_str(&j, "name", list[i]->d_name);
      json_str(&j, "type", entry_type(f->path, list[i]));
      json_object_end(&j);
    } else {
      left_out++;
    }
    free(list[i]);
  }
  free(list);
  json_array_end(&j);
  json_int(&j, "left_out", left_out);
  json_object_end(&j);
  return 0;
}

static int op_read(const struct fileop *f, struct buf *out, struct err *err) {
  auto_close int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  struct stat st;
  if (fd < 0 || fstat(fd, &st)) return fail(f, err);
  if (!S_ISREG(st.st_mode)) return err_set(err, -EINVAL, "cannot read %s: is no regular file", f->path);
  size_t max = f->max && f->max < LIMIT_READ ? f->max : LIMIT_READ;
  int64_t at = f->offset;
  while (max) {
    size_t want = max < 65536 ? max : 65536;
    char *p = buf_room(out, want);
    if (!p) return err_set(err, -ENOMEM, "cannot read %s: no memory", f->path);
    ssize_t n = pread(fd, p, want, at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(f, err);
    if (n == 0) break;
    out->len += (size_t)n;
    at += n;
    max -= (size_t)n;
  }
  return 0;
}

static int write_all(int fd, const char *p, size_t n) {
  while (n) {
    ssize_t k = write(fd, p, n);
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) return -1;
    p += k;
    n -= (size_t)k;
  }
  return 0;
}

/* The directory entry itself, best effort: some file systems cannot. */
static void sync_parent(const char *path) {
  char dir[4096];
  const char *slash = strrchr(path, '/');
  snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
  auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) fsync(fd);
}

static int op_write(const struct fileop *f, struct buf *out, struct err *err) {
  (void)out;
  char temp[4096];
  /* the name is not known beforehand, and a reader of the directory sees by the dot that it is not done */
  const char *slash = strrchr(f->path, '/');
  int dir = slash ? (int)(slash - f->path + 1) : 0;
  int len = snprintf(temp, sizeof temp, "%.*s.%s.XXXXXX", dir, f->path, f->path + dir);
  if (len < 0 || (size_t)len >= sizeof temp) {
    errno = ENAMETOOLONG;
    return fail(f, err);
  }
  struct stat old;
  mode_t mode = stat(f->path, &old) == 0 ? old.st_mode & 0777 : 0644;
  auto_close int fd = mkostemp(temp, O_CLOEXEC);
  if (fd < 0) return fail(f, err);
  if (write_all(fd, f->data, f->n) || fchmod(fd, mode) || fsync(fd) || rename(temp, f->path)) {
    int rc = fail(f, err);
    unlink(temp);
    return rc;
  }
  sync_parent(f->path);
  return 0;
}

static int op_append(const struct fileop *f, struct buf *out, struct err *err) {
  (void)out;
  auto_close int fd = open(f->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644);
  if (fd < 0 || write_all(fd, f->data, f->n)) return fail(f, err);
  return 0;
}

static int op_mkdir(const struct fileop *f, struct buf *out, struct err *err) {
  (void)out;
  char path[4096];
  if (!str_copy(path, sizeof path, f->path)) {
    errno = ENAMETOOLONG;
    return fail(f, err);
  }
  for (char *p = path + 1;; p++) {
    if (*p && *p != '/') continue;
    char c = *p;
    *p = 0;
    if (mkdir(path, 0777) && errno != EEXIST && (errno != EROFS || access(path, F_OK))) return fail(f, err);
    *p = c;
    if (!c) break;
  }
  struct stat st;
  if (stat(f->path, &st)) return fail(f, err);
  if (S_ISDIR(st.st_mode)) return 0;
  errno = ENOTDIR;
  return fail(f, err);
}

static int op_rename(const struct fileop *f, struct buf *out, struct err *err) {
  (void)out;
  if (!f->other || rename(f->path, f->other))
    return err_errno(err, f->other ? -errno : -EINVAL, "cannot rename %s to %s", f->path, f->other ? f->other : "?");
  sync_parent(f->other);
  return 0;
}

static int op_remove(const struct fileop *f, struct buf *out, struct err *err) {
  (void)out;
  return remove(f->path) ? fail(f, err) : 0;
}

static int op_sync(const struct fileop *f, struct buf *out, struct err *err) {
  (void)out;
  auto_close int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  return fd < 0 || fsync(fd) ? fail(f, err) : 0;
}

bool fileop_looks(const char *op) {
  static const char *const looks[] = {"stat", "list", "read", "tree", "usage", "space"};
  for (size_t i = 0; i < ARRAY_LEN(looks); i++)
    if (STR_EQ(looks[i], op)) return true;
  return false;
}

int fileop_run(const struct fileop *f, struct buf *out, struct err *err) {
  static const struct {
    const char *name;
    int (*fn)(const struct fileop *f, struct buf *out, struct err *err);
  } ops[] = {{"stat", op_stat},      {"list", op_list},       {"read", op_read},
             {"write", op_write},    {"append", op_append},   {"mkdir", op_mkdir},
             {"rename", op_rename},  {"remove", op_remove},   {"sync", op_sync},
             {"tree", fileop_tree},  {"usage", fileop_usage}, {"remove_tree", fileop_remove_tree},
             {"space", fileop_space}};
  if (!*f->path) return err_set(err, -EINVAL, "%s: the path is empty", f->op);
  for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
    if (!STR_EQ(ops[i].name, f->op)) continue;
    int rc = ops[i].fn(f, out, err);
    return !rc && out->failed ? err_set(err, -ENOMEM, "cannot %s %s: no memory", f->op, f->path) : rc;
  }
  return err_set(err, -ENOSYS, "no file operation \"%s\"", f->op);
}
