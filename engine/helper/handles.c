/* tend helper handles PATH [--wait-s N]
 *
 * Looks whether a process still holds a file below a folder open, and waits up to N
 * seconds (5) until none does. Only processes whose descriptors tend's user may see count; without /proc there is
 * nothing to look at and it says so. */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clean.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "helper/helper.h"

enum { LOOK_EVERY_US = 50 * 1000, SHOWN_MAX = 20 };

struct look {
  const char *root;
  size_t root_len;
  size_t holders;  /* processes */
  struct buf text; /* "pid 12 (name): /a/b" */
};

static void clean_dir(DIR **d) {
  if (*d) closedir(*d);
}
#define auto_dir __attribute__((cleanup(clean_dir)))

/* The target of a link in a folder of /proc, where it is below the root. */
static bool below(const struct look *l, int dir, const char *name, char target[4096]) {
  ssize_t n = readlinkat(dir, name, target, 4095);
  if (n <= 0) return false;
  target[n] = '\0';
  return strncmp(target, l->root, l->root_len) == 0 && (target[l->root_len] == '/' || !target[l->root_len]);
}

static void look_process(struct look *l, int pid) {
  char path[64], target[4096], name[64] = "?";
  snprintf(path, sizeof path, "/proc/%d/fd", pid);
  auto_dir DIR *dir = opendir(path);
  if (!dir) return;
  bool held = false;
  for (const struct dirent *d; !held && (d = readdir(dir));) held = below(l, dirfd(dir), d->d_name, target);
  if (!held) return;
  snprintf(path, sizeof path, "/proc/%d/comm", pid);
  auto_file FILE *f = fopen(path, "re");
  if (f && fgets(name, sizeof name, f)) name[strcspn(name, "\n")] = '\0';
  if (l->holders++ < SHOWN_MAX) buf_fmt(&l->text, "%spid %d (%s): %s", l->text.len ? ", " : "", pid, name, target);
}

/* -errno when there is no /proc. */
static int look(struct look *l) {
  auto_dir DIR *proc = opendir("/proc");
  if (!proc) return -errno;
  l->holders = 0;
  buf_clear(&l->text);
  for (const struct dirent *d; (d = readdir(proc));) {
    int64_t pid;
    if (str_int(d->d_name, 1, INT32_MAX, &pid) == 0 && pid != getpid()) look_process(l, (int)pid);
  }
  return 0;
}

int helper_handles(int argc, char **argv) {
  const char *path;
  int64_t wait_s = 5;
  const struct helper_option options[] = {{"--wait-s", HELPER_NUMBER, &wait_s, 3600}};
  int code = helper_parse(argc, argv, &path, options, 1);
  if (code) return code;
  struct err err = ERR_INIT;
  auto_free char *root = realpath(path, NULL);
  if (!root) {
    err_errno(&err, -errno, "%s", path);
    return helper_fail(argv[0], err.msg);
  }
  struct look l = {.root = root, .root_len = strlen(root)};
  int64_t until = clock_mono_ns() + wait_s * NS_PER_S;
  while ((code = look(&l)) == 0 && l.holders && clock_mono_ns() < until) usleep(LOOK_EVERY_US);
  if (code < 0)
    puts("{\"open\": 0, \"looked\": false}");
  else
    printf("{\"open\": %zu, \"looked\": true}\n", l.holders);
  code = HELPER_OK;
  if (l.holders) {
    err_set(&err, -EBUSY, "%zu processes hold files below %s open: %s", l.holders, path, buf_cstr(&l.text));
    code = helper_fail(argv[0], err.msg);
  }
  buf_free(&l.text);
  return code;
}
