/* tend helper clean PATH [--pattern GLOB]... [--older-than-s N] [--max-files N] [--max-mb N] [--empty-dirs] [--dry-run]
 *
 * Removes temporary files below a folder: regular files whose name matches a pattern (*.tmp where none is given) and
 * that were last written at least N seconds ago; at most so many files and megabytes in one run. Links, pipes, sockets
 * and devices are left alone, other mounts are not entered. --dry-run removes nothing and lists what would go. */
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "base/tree.h"
#include "helper/helper.h"

enum { LISTED_MAX = 1000, PROBLEMS_MAX = 20, FULL = 1 };

struct cleaning {
  struct helper_texts patterns;
  int64_t older_than_s, max_files, max_mb;
  bool empty_dirs, dry_run;
  int64_t now_s, removed, removed_dirs, bytes, problems;
  bool full; /* a limit was reached */
  struct json list, errors;
  char first[ERR_MSG_MAX];
};

static void note_problem(void *arg, const char *path, int error) {
  struct cleaning *c = arg;
  if (c->problems++ < PROBLEMS_MAX) json_fmt(&c->errors, NULL, "%s: %s", path, strerror(error));
  if (!c->first[0]) snprintf(c->first, sizeof c->first, "%s: %s", path, strerror(error));
}

static bool matches(const struct cleaning *c, const char *name) {
  for (size_t i = 0; i < c->patterns.n; i++)
    if (fnmatch(c->patterns.text[i], name, 0) == 0) return true;
  return c->patterns.n == 0 && fnmatch("*.tmp", name, 0) == 0;
}

static int on_file(void *arg, const struct tree_entry *e) {
  struct cleaning *c = arg;
  if (!S_ISREG(e->st.st_mode) || !matches(c, e->name) || e->st.st_mtime > c->now_s - c->older_than_s) return 0;
  if (c->removed >= c->max_files || c->bytes + e->st.st_size > c->max_mb * 1024 * 1024) {
    c->full = true;
    return c->removed >= c->max_files ? FULL : 0; /* a smaller file may still fit */
  }
  if (!c->dry_run && unlinkat(e->dir, e->name, 0)) {
    if (errno != ENOENT) note_problem(c, e->path, errno);
    return 0;
  }
  if (c->dry_run && c->removed < LISTED_MAX) json_str(&c->list, NULL, e->path);
  c->removed++;
  c->bytes += e->st.st_size;
  return 0;
}

static int on_leave(void *arg, const struct tree_entry *e) {
  struct cleaning *c = arg;
  if (!c->empty_dirs || c->dry_run) return 0;
  if (unlinkat(e->dir, e->name, AT_REMOVEDIR) == 0)
    c->removed_dirs++;
  else if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOENT)
    note_problem(c, e->path, errno);
  return 0;
}

static void print_result(const struct cleaning *c, const struct buf *list, const struct buf *errors) {
  auto_buf struct buf out = {0};
  struct json j = JSON_INIT(&out);
  json_object(&j, NULL);
  json_int(&j, c->dry_run ? "would_remove" : "removed", c->removed);
  json_int(&j, "bytes", c->bytes);
  if (c->empty_dirs) json_int(&j, "removed_dirs", c->removed_dirs);
  json_bool(&j, "limit_reached", c->full);
  if (c->dry_run) json_raw(&j, "files", list->data, list->len);
  json_int(&j, "problems", c->problems);
  json_raw(&j, "errors", errors->data, errors->len);
  json_object_end(&j);
  puts(buf_cstr(&out));
}

int helper_clean(int argc, char **argv) {
  auto_buf struct buf list = {0}, errors = {0};
  struct cleaning c = {.max_files = 100000,
                       .max_mb = INT64_C(1) << 30,
                       .now_s = clock_real_ns() / NS_PER_S,
                       .list = JSON_INIT(&list),
                       .errors = JSON_INIT(&errors)};
  const struct helper_option options[] = {
      {"--pattern", HELPER_TEXTS, &c.patterns, 0},
      {"--older-than-s", HELPER_NUMBER, &c.older_than_s, INT32_MAX},
      {"--max-files", HELPER_NUMBER, &c.max_files, INT32_MAX},
      {"--max-mb", HELPER_NUMBER, &c.max_mb, INT64_C(1) << 30},
      {"--empty-dirs", HELPER_FLAG, &c.empty_dirs, 0},
      {"--dry-run", HELPER_FLAG, &c.dry_run, 0},
  };
  const char *path;
  int code = helper_parse(argc, argv, &path, options, ARRAY_LEN(options));
  if (code) return code;

  struct err err = ERR_INIT;
  auto_close int root = tree_open_ours(path, &err);
  if (root < 0) return helper_fail(argv[0], err.msg);
  json_array(&c.list, NULL);
  json_array(&c.errors, NULL);
  const struct tree_ops ops = {on_file, on_leave, note_problem};
  code = tree_walk(root, true, &ops, &c);
  json_array_end(&c.list);
  json_array_end(&c.errors);
  print_result(&c, &list, &errors);
  if (code < 0) return helper_fail(argv[0], strerror(-code));
  if (c.problems) return helper_fail(argv[0], c.first);
  return HELPER_OK;
}
