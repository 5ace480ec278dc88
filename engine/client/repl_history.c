/* The lines that were typed, for the next session: one file of its owner's alone, a line each. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/str.h"
#include "client/repl.h"
#include "core/redact.h"

enum { LINE_BYTES = 4096 };

/* The directories above the last '/', mode 0700. */
static void make_dirs(char *path) {
  for (char *p = path + 1; (p = strchr(p, '/')); p++) {
    *p = 0;
    mkdir(path, 0700);
    *p = '/';
  }
}

void repl_history_path(struct buf *out) {
  const char *given = getenv("TEND_HISTORY"), *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
  if (given) {
    buf_str(out, given);
    return;
  }
  if (state && *state == '/')
    buf_fmt(out, "%s/tend/repl_history", state);
  else if (home && *home == '/' && home[1])
    buf_fmt(out, "%s/.local/state/tend/repl_history", home);
  if (out->len && !out->failed) make_dirs(out->data);
}

static FILE *open_file(const char *path, int flags, const char *mode) {
  int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
  struct stat st;
  if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid()) {
    FILE *f = fdopen(fd, mode);
    if (f) return f;
  }
  if (fd >= 0) close(fd);
  return NULL;
}

/* The last lines into a new file in its place. */
static void cut(const char *path, char *const *lines, size_t n) {
  auto_buf struct buf temporary = {0};
  buf_fmt(&temporary, "%s.%d.tmp", path, (int)getpid());
  const char *temp = buf_cstr(&temporary);
  FILE *f = open_file(temp, O_WRONLY | O_CREAT | O_EXCL, "w");
  if (!f) return;
  bool good = true;
  for (size_t i = 0; i < n; i++) good = fprintf(f, "%s\n", lines[i]) > 0 && good;
  if (fclose(f) || !good || rename(temp, path)) unlink(temp);
}

void repl_history_load(const char *path, void (*fn)(void *arg, const char *line), void *arg) {
  auto_file FILE *f = *path ? open_file(path, O_RDONLY, "r") : NULL;
  if (!f) return;
  char *ring[REPL_HISTORY] = {NULL};
  size_t n = 0;
  auto_free char *line = NULL;
  size_t cap = 0;
  ssize_t len;
  while ((len = getline(&line, &cap, f)) > 0) {
    if (line[len - 1] == '\n') line[--len] = 0;
    if (!len || len > LINE_BYTES || strlen(line) != (size_t)len) continue;
    free(ring[n % REPL_HISTORY]);
    ring[n++ % REPL_HISTORY] = strdup(line);
  }
  size_t kept = n < REPL_HISTORY ? n : REPL_HISTORY;
  char *ordered[REPL_HISTORY];
  size_t k = 0;
  for (size_t i = n - kept; i < n; i++)
    if (ring[i % REPL_HISTORY]) ordered[k++] = ring[i % REPL_HISTORY];
  for (size_t i = 0; i < k; i++) fn(arg, ordered[i]);
  if (n >= 2 * REPL_HISTORY) cut(path, ordered, k);
  for (size_t i = 0; i < k; i++) free(ordered[i]);
}

static bool looks_secret(const char *line) {
  auto_buf struct buf b = {0};
  buf_str(&b, line);
  redact_apply(NULL, &b);
  return b.failed || !STR_EQ(buf_cstr(&b), line);
}

bool repl_history_add(const char *path, const char *line) {
  size_t n = strlen(line);
  if (!n || n > LINE_BYTES || *line == ' ' || *line == '\t' || looks_secret(line)) return false;
  auto_file FILE *f = *path ? open_file(path, O_WRONLY | O_CREAT | O_APPEND, "a") : NULL;
  if (f) fprintf(f, "%s\n", line);
  return true;
}
