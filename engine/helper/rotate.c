/* tend helper rotate PATH [--pattern GLOB]... [--max-mb N] [--keep N] [--max-age-s N]
 *
 * Rotates the logs right in a folder: a file whose name matches (*.log where none is given) and that has N megabytes
 * (10) or more becomes NAME.1, NAME.1 becomes NAME.2 and so on; of each log N (5) old ones are kept, none that is older
 * than the age (0: any). A size of 0 rotates every log that is not empty. Old ones are recognised by their names alone.
 */
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

enum { LOGS_MAX = 4096, KEEP_MAX = 1000, NAME_BYTES = 256 };

struct rotation {
  struct helper_texts patterns;
  int64_t max_mb, keep, max_age_s;
  int64_t now_s, rotated, removed, bytes, problems;
  char (*due)[NAME_BYTES]; /* renamed only after the walk, which would meet the new names */
  char (*old)[NAME_BYTES]; /* to be removed */
  size_t n_due, n_old;
  char first[ERR_MSG_MAX];
};

static void note_problem(void *arg, const char *path, int error) {
  struct rotation *r = arg;
  if (r->problems++ == 0) snprintf(r->first, sizeof r->first, "%s: %s", path, strerror(error));
}

static bool matches(const struct rotation *r, const char *name) {
  for (size_t i = 0; i < r->patterns.n; i++)
    if (fnmatch(r->patterns.text[i], name, 0) == 0) return true;
  return r->patterns.n == 0 && fnmatch("*.log", name, 0) == 0;
}

/* "app.log.12" → 12 when app.log is one of the logs, else 0. */
static int64_t generation(const struct rotation *r, const char *name) {
  const char *dot = strrchr(name, '.');
  char base[NAME_BYTES];
  int64_t n;
  if (!dot || str_int(dot + 1, 1, INT32_MAX, &n)) return 0;
  snprintf(base, sizeof base, "%.*s", (int)(dot - name), name);
  return matches(r, base) ? n : 0;
}

static int on_file(void *arg, const struct tree_entry *e) {
  struct rotation *r = arg;
  if (!S_ISREG(e->st.st_mode) || strlen(e->name) >= NAME_BYTES - 8) return 0;
  int64_t n = generation(r, e->name);
  if (n) {
    bool too_old = r->max_age_s && e->st.st_mtime < r->now_s - r->max_age_s;
    if ((n > r->keep || too_old) && r->n_old < LOGS_MAX) {
      str_copy(r->old[r->n_old++], NAME_BYTES, e->name);
      r->bytes += e->st.st_size;
    }
  } else if (matches(r, e->name) && e->st.st_size > 0 && e->st.st_size >= r->max_mb * 1024 * 1024 &&
             r->n_due < LOGS_MAX) {
    str_copy(r->due[r->n_due++], NAME_BYTES, e->name);
  }
  return 0;
}

static void rotate_one(struct rotation *r, int root, const char *name) {
  char from[NAME_BYTES + 16], to[NAME_BYTES + 16];
  if (r->keep == 0) {
    if (unlinkat(root, name, 0) == 0)
      r->removed++;
    else
      note_problem(r, name, errno);
    return;
  }
  for (int64_t i = r->keep - 1; i >= 0; i--) {
    if (i)
      snprintf(from, sizeof from, "%s.%d", name, (int)i);
    else
      snprintf(from, sizeof from, "%s", name);
    snprintf(to, sizeof to, "%s.%d", name, (int)i + 1);
    if (renameat(root, from, root, to) && errno != ENOENT) {
      note_problem(r, from, errno);
      return;
    }
  }
  r->rotated++;
}

int helper_rotate(int argc, char **argv) {
  struct rotation r = {.max_mb = 10, .keep = 5, .now_s = clock_real_ns() / NS_PER_S};
  const struct helper_option options[] = {
      {"--pattern", HELPER_TEXTS, &r.patterns, 0},
      {"--max-mb", HELPER_NUMBER, &r.max_mb, INT32_MAX},
      {"--keep", HELPER_NUMBER, &r.keep, KEEP_MAX},
      {"--max-age-s", HELPER_NUMBER, &r.max_age_s, INT32_MAX},
  };
  const char *path;
  int code = helper_parse(argc, argv, &path, options, ARRAY_LEN(options));
  if (code) return code;

  struct err err = ERR_INIT;
  auto_close int root = tree_open_ours(path, &err);
  if (root == -ENOENT) { /* no folder, no logs: it was done without */
    puts("{\"rotated\": 0}");
    return HELPER_OK;
  }
  if (root < 0) return helper_fail(argv[0], err.msg);
  auto_free void *due = calloc(LOGS_MAX, NAME_BYTES), *old = calloc(LOGS_MAX, NAME_BYTES);
  if (!due || !old) return helper_fail(argv[0], strerror(ENOMEM));
  r.due = due;
  r.old = old;
  const struct tree_ops ops = {.file = on_file, .problem = note_problem};
  code = tree_walk(root, false, &ops, &r);
  for (size_t i = 0; i < r.n_old; i++) {
    if (unlinkat(root, r.old[i], 0) == 0)
      r.removed++;
    else
      note_problem(&r, r.old[i], errno);
  }
  for (size_t i = 0; i < r.n_due; i++) rotate_one(&r, root, r.due[i]);

  auto_buf struct buf out = {0};
  struct json j = JSON_INIT(&out);
  json_object(&j, NULL);
  json_int(&j, "rotated", r.rotated);
  json_int(&j, "removed", r.removed);
  json_int(&j, "bytes", r.bytes);
  json_int(&j, "problems", r.problems);
  json_object_end(&j);
  puts(buf_cstr(&out));
  if (code < 0) return helper_fail(argv[0], strerror(-code));
  return r.problems ? helper_fail(argv[0], r.first) : HELPER_OK;
}
