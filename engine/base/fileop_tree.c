/* Operations on whole trees, as scripts ask for them: no symbolic link is followed, no mount crossed (base/tree.h). */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/fileop_inner.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/tree.h"

struct count {
  int64_t files, folders, bytes, problems;
  char first[256]; /* the first problem: its path, and why */
  /* tree */
  struct json *entries;
  size_t left, left_out;
  /* remove_tree */
  bool removes;
};

static void on_problem(void *arg, const char *path, int error) {
  struct count *c = arg;
  if (!c->problems++) snprintf(c->first, sizeof c->first, "%.180s: %s", *path ? path : ".", strerror(error));
}

static void tell(struct count *c, const struct tree_entry *e, const char *type) {
  if (!c->entries) return;
  if (!c->left || !str_utf8_valid(e->path, strlen(e->path))) {
    c->left_out++;
    return;
  }
  c->left--;
  json_object(c->entries, NULL);
  json_str(c->entries, "path", e->path);
  json_str(c->entries, "type", type);
  json_int(c->entries, "size", e->st.st_size);
  json_num(c->entries, "mtime", (double)e->st.st_mtim.tv_sec + (double)(e->st.st_mtim.tv_nsec / 1000000) / 1e3);
  json_object_end(c->entries);
}

static int on_file(void *arg, const struct tree_entry *e) {
  struct count *c = arg;
  if (c->removes && unlinkat(e->dir, e->name, 0) && errno != ENOENT) {
    on_problem(c, e->path, errno);
    return 0;
  }
  c->files++;
  c->bytes += (int64_t)e->st.st_blocks * 512;
  tell(c, e, S_ISREG(e->st.st_mode) ? "file" : S_ISLNK(e->st.st_mode) ? "link" : "other");
  return 0;
}

static int on_folder(void *arg, const struct tree_entry *e) {
  struct count *c = arg;
  if (c->removes && unlinkat(e->dir, e->name, AT_REMOVEDIR) && errno != ENOENT) {
    on_problem(c, e->path, errno);
    return 0;
  }
  c->folders++;
  c->bytes += (int64_t)e->st.st_blocks * 512;
  tell(c, e, "directory");
  return 0;
}

static const struct tree_ops ops = {.file = on_file, .leave = on_folder, .problem = on_problem};

static void write_count(const struct count *c, struct json *j) {
  json_int(j, "files", c->files);
  json_int(j, "directories", c->folders);
  json_int(j, "bytes", c->bytes);
  json_int(j, "problems", c->problems);
  if (c->problems) json_str(j, "first_problem", c->first);
}

int fileop_tree(const struct fileop *f, struct buf *out, struct err *err) {
  auto_close int fd = tree_open(f->path, err);
  if (fd < 0) return fd;
  struct json j = JSON_INIT(out);
  struct count c = {.entries = &j, .left = f->max && f->max < LIMIT_LIST ? f->max : LIMIT_LIST};
  json_object(&j, NULL);
  json_array(&j, "entries");
  int rc = tree_walk(fd, true, &ops, &c);
  if (rc) return err_errno(err, rc, "cannot walk %s", f->path);
  json_array_end(&j);
  json_int(&j, "left_out", (int64_t)c.left_out);
  write_count(&c, &j);
  json_object_end(&j);
  return 0;
}

int fileop_usage(const struct fileop *f, struct buf *out, struct err *err) {
  auto_close int fd = tree_open(f->path, err);
  if (fd < 0) return fd;
  struct count c = {0};
  int rc = tree_walk(fd, true, &ops, &c);
  if (rc) return err_errno(err, rc, "cannot walk %s", f->path);
  struct json j = JSON_INIT(out);
  json_object(&j, NULL);
  write_count(&c, &j);
  json_object_end(&j);
  return 0;
}

int fileop_remove_tree(const struct fileop *f, struct buf *out, struct err *err) {
  auto_close int fd = tree_open_ours(f->path, err);
  if (fd < 0) return fd;
  struct count c = {.removes = true};
  int rc = tree_walk(fd, true, &ops, &c);
  if (rc) return err_errno(err, rc, "cannot remove %s", f->path);
  if (c.problems) return err_set(err, -EACCES, "cannot remove all of %s: %s", f->path, c.first);
  if (rmdir(f->path)) return err_errno(err, -errno, "cannot remove %s", f->path);
  c.folders++;
  struct json j = JSON_INIT(out);
  json_object(&j, NULL);
  write_count(&c, &j);
  json_object_end(&j);
  return 0;
}

int fileop_space(const struct fileop *f, struct buf *out, struct err *err) {
  struct statvfs v;
  if (statvfs(f->path, &v)) return err_errno(err, -errno, "cannot ask for the space of %s", f->path);
  struct json j = JSON_INIT(out);
  json_object(&j, NULL);
  json_int(&j, "total", (int64_t)((double)v.f_blocks * (double)v.f_frsize));
  json_int(&j, "free", (int64_t)((double)v.f_bfree * (double)v.f_frsize));
  json_int(&j, "available", (int64_t)((double)v.f_bavail * (double)v.f_frsize));
  json_object_end(&j);
  return 0;
}
