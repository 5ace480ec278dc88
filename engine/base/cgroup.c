#include "base/cgroup.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clean.h"
#include "base/str.h"

enum { TABLE_MAX = 4 * 1024 * 1024, PATH_BYTES = PATH_MAX };

/* One hierarchy that limits something. */
struct hierarchy {
  bool mounted, member;
  char mount[PATH_BYTES]; /* where it is mounted */
  char root[PATH_BYTES];  /* which of its groups is mounted there */
  char path[PATH_BYTES];  /* the group that we are in */
};

struct hierarchies {
  struct hierarchy v2, memory, cpu;
};

static int read_text(const char *path, struct buf *out) {
  auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  buf_clear(out);
  for (;;) {
    char *room = buf_room(out, 4096);
    if (!room || out->len > TABLE_MAX) return -ENOMEM;
    ssize_t n = read(fd, room, 4096);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    if (n == 0) break;
    out->len += (size_t)n;
  }
  out->data[out->len] = 0;
  return 0;
}

/* The next field up to one of `ends`; *p goes behind it. */
static char *field(char **p, const char *ends) {
  char *begin = *p;
  size_t n = strcspn(begin, ends);
  *p = begin + n;
  if (**p) *(*p)++ = 0;
  return begin;
}

/* mountinfo writes blanks and backslashes as \040. */
static void unescape(char *s) {
  char *to = s;
  for (; *s; s++) {
    if (s[0] == '\\' && isdigit((unsigned char)s[1]) && isdigit((unsigned char)s[2]) && isdigit((unsigned char)s[3])) {
      *to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
      s += 3;
    } else {
      *to++ = *s;
    }
  }
  *to = 0;
}

static bool in_list(const char *list, const char *name) {
  size_t n = strlen(name);
  for (const char *p = list; *p;) {
    size_t k = strcspn(p, ",");
    if (k == n && strncmp(p, name, n) == 0) return true;
    p += k + (p[k] == ',');
  }
  return false;
}

static void set_mount(struct hierarchy *h, const char *mount, const char *group) {
  if (h->mounted) return; /* the first one is the one that the system shows */
  h->mounted = str_copy(h->mount, sizeof h->mount, mount) && str_copy(h->root, sizeof h->root, group);
}

/* id parent major:minor root mount options [optional …] - type source super */
static void find_mounts(char *text, struct hierarchies *all) {
  for (char *p = text; *p;) {
    char *line = field(&p, "\n");
    for (int i = 0; i < 3; i++) field(&line, " ");
    char *group = field(&line, " ");
    char *mount = field(&line, " ");
    char *dash = strstr(line, " - ");
    if (!dash) continue;
    char *rest = dash + 3;
    const char *type = field(&rest, " ");
    field(&rest, " ");
    unescape(group);
    unescape(mount);
    if (STR_EQ(type, "cgroup2")) set_mount(&all->v2, mount, group);
    if (!STR_EQ(type, "cgroup")) continue;
    if (in_list(rest, "memory")) set_mount(&all->memory, mount, group);
    if (in_list(rest, "cpu")) set_mount(&all->cpu, mount, group);
  }
}

static void set_path(struct hierarchy *h, const char *path) { h->member = str_copy(h->path, sizeof h->path, path); }

/* number:controllers:path */
static void find_groups(char *text, struct hierarchies *all) {
  for (char *p = text; *p;) {
    char *line = field(&p, "\n");
    const char *number = field(&line, ":");
    const char *controllers = field(&line, ":");
    if (STR_EQ(number, "0") && !*controllers) set_path(&all->v2, line);
    if (in_list(controllers, "memory")) set_path(&all->memory, line);
    if (in_list(controllers, "cpu")) set_path(&all->cpu, line);
  }
}

/* The first number in a file of the group; false when there is none ("max" too). *rest: what follows it. */
static bool read_number(const char *dir, const char *name, int64_t *out, int64_t *second) {
  auto_buf struct buf text = {0};
  char path[2 * PATH_BYTES + 64];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  if (read_text(path, &text) != 0) return false;
  char *p = text.data;
  const char *first = field(&p, " \n");
  if (second) {
    const char *next = field(&p, " \n");
    if (str_int(next, 1, INT64_MAX, second) != 0) return false;
  }
  return str_int(first, -1, INT64_MAX, out) == 0;
}

static void least(int64_t *limit, int64_t value) {
  if (value < 0 || value > INT64_MAX / 2) return; /* version 1 writes "none" as the highest page count */
  if (*limit < 0 || value < *limit) *limit = value;
}

static void least_share(double *limit, int64_t quota, int64_t period) {
  if (quota <= 0 || period <= 0) return;
  double share = 100.0 * (double)quota / (double)period;
  if (*limit < 0 || share < *limit) *limit = share;
}

/* Version 1 tells here what groups allow that cannot be seen. */
static void hierarchical_limit(const char *dir, int64_t *limit) {
  auto_buf struct buf text = {0};
  char path[2 * PATH_BYTES + 64];
  snprintf(path, sizeof path, "%s/memory.stat", dir);
  if (read_text(path, &text) != 0) return;
  static const char key[] = "hierarchical_memory_limit ";
  char *p = strstr(text.data, key);
  int64_t v;
  if (!p) return;
  p += strlen(key);
  if (str_int(field(&p, "\n"), 0, INT64_MAX, &v) == 0) least(limit, v);
}

enum what { V2, V1_MEMORY, V1_CPU };

static void read_group(const char *dir, enum what what, bool own, struct cgroup *out) {
  int64_t v;
  int64_t period;
  bool found = false;
  if (what == V2) {
    if (read_number(dir, "memory.max", &v, NULL)) least(&out->memory_limit_bytes, v);
    if (read_number(dir, "cpu.max", &v, &period)) least_share(&out->cpu_limit_percent, v, period);
    found = own && read_number(dir, "memory.current", &v, NULL);
    if (found) out->version = 2;
  } else if (what == V1_MEMORY) {
    if (read_number(dir, "memory.limit_in_bytes", &v, NULL)) least(&out->memory_limit_bytes, v);
    if (own) hierarchical_limit(dir, &out->memory_limit_bytes);
    found = own && read_number(dir, "memory.usage_in_bytes", &v, NULL);
    if (found) out->version = 1;
  } else if (read_number(dir, "cpu.cfs_quota_us", &v, NULL) && read_number(dir, "cpu.cfs_period_us", &period, NULL)) {
    least_share(&out->cpu_limit_percent, v, period);
  }
  if (found) out->memory_used_bytes = v;
}

/* From the own group up to the one that is mounted. */
static void walk(const char *root, const struct hierarchy *h, enum what what, struct cgroup *out) {
  if (!h->mounted) return;
  char dir[2 * PATH_BYTES];
  int base = snprintf(dir, sizeof dir, "%s%s", root, h->mount);
  const char *path = h->member ? h->path : "/";
  size_t k = STR_EQ(h->root, "/") ? 0 : strlen(h->root);
  /* Outside what is mounted (or told as /../x from inside a namespace): the mounted group is all we can see. */
  bool below = strncmp(path, h->root, k) == 0 && (path[k] == '/' || !path[k]) && !strstr(path, "/..");
  if (below && path[k] && !STR_EQ(path + k, "/")) {
    int n = snprintf(dir + base, sizeof dir - (size_t)base, "%s", path + k);
    if (n < 0 || (size_t)n >= sizeof dir - (size_t)base || access(dir, F_OK) != 0) dir[base] = 0;
  }
  for (bool own = true;; own = false) {
    read_group(dir, what, own, out);
    char *slash = strrchr(dir + base, '/');
    if (!slash) return;
    *slash = 0;
  }
}

void cgroup_read(const char *root, struct cgroup *out) {
  *out = (struct cgroup){.memory_limit_bytes = -1, .memory_used_bytes = -1, .cpu_limit_percent = -1};
  auto_free struct hierarchies *all = calloc(1, sizeof *all);
  auto_buf struct buf text = {0};
  char path[PATH_BYTES];
  if (!all) return;
  snprintf(path, sizeof path, "%s/proc/self/mountinfo", root);
  if (read_text(path, &text) != 0 || !text.data) return;
  find_mounts(text.data, all);
  snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
  if (read_text(path, &text) == 0) find_groups(text.data, all);
  walk(root, &all->v2, V2, out);
  walk(root, &all->memory, V1_MEMORY, out);
  walk(root, &all->cpu, V1_CPU, out);
}
