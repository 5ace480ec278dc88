/* Finding the control groups that this process is in, from /proc/self/mountinfo and /proc/self/cgroup. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/clean.h"
#include "base/str.h"

enum { TABLE_MAX = 4 * 1024 * 1024 };

/* One hierarchy. The texts lie in the tables. */
struct hierarchy {
  const char *mount; /* where it is mounted; NULL: not */
  const char *root;  /* which of its groups is mounted there */
  const char *path;  /* the group that we are in; NULL: not known */
};

static const char *const controllers[CGROUP_HIERARCHIES] = {
    [CGROUP_MEMORY] = "memory", [CGROUP_CPU] = "cpu", [CGROUP_CPUACCT] = "cpuacct", [CGROUP_PIDS] = "pids"};

int cgroup_text(const char *path, struct buf *out) {
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
static char *unescape(char *s) {
  char *begin = s, *to = s;
  for (; *s; s++) {
    if (s[0] == '\\' && isdigit((unsigned char)s[1]) && isdigit((unsigned char)s[2]) && isdigit((unsigned char)s[3])) {
      *to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
      s += 3;
    } else {
      *to++ = *s;
    }
  }
  *to = 0;
  return begin;
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
  if (h->mount) return; /* the first one is the one that the system shows */
  h->mount = mount;
  h->root = group;
}

/* id parent major:minor root mount options [optional …] - type source super */
static void find_mounts(char *text, struct hierarchy all[CGROUP_HIERARCHIES]) {
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
    bool v2 = STR_EQ(type, "cgroup2");
    if (!v2 && !STR_EQ(type, "cgroup")) continue;
    unescape(group);
    unescape(mount);
    if (v2) set_mount(&all[CGROUP_V2], mount, group);
    for (int i = CGROUP_V2 + 1; i < CGROUP_HIERARCHIES && !v2; i++)
      if (in_list(rest, controllers[i])) set_mount(&all[i], mount, group);
  }
}

/* number:controllers:path */
static void find_groups(char *text, struct hierarchy all[CGROUP_HIERARCHIES]) {
  for (char *p = text; *p;) {
    char *line = field(&p, "\n");
    const char *number = field(&line, ":");
    const char *list = field(&line, ":");
    if (STR_EQ(number, "0") && !*list) all[CGROUP_V2].path = line;
    for (int i = CGROUP_V2 + 1; i < CGROUP_HIERARCHIES; i++)
      if (in_list(list, controllers[i])) all[i].path = line;
  }
}

/* The folder of the own group, or of the highest that can be seen when the own one is not below it. */
static void locate(const char *root, const struct hierarchy *h, char **dir, size_t *top) {
  if (!h->mount) return;
  auto_buf struct buf path = {0};
  buf_fmt(&path, "%s%s", root, h->mount);
  *top = path.len;
  const char *own = h->path ? h->path : "/";
  size_t k = STR_EQ(h->root, "/") ? 0 : strlen(h->root);
  /* Outside what is mounted (or told as /../x from inside a namespace): the mounted group is all we can see. */
  bool below = strncmp(own, h->root, k) == 0 && (own[k] == '/' || !own[k]) && !strstr(own, "/..");
  if (below && own[k] && !STR_EQ(own + k, "/")) buf_str(&path, own + k);
  if (path.len > *top && !path.failed && access(path.data, F_OK) != 0) path.data[*top] = 0;
  *dir = buf_take(&path);
}

void cgroup_find(const char *root, struct cgroup_groups *out) {
  *out = (struct cgroup_groups){0};
  struct hierarchy all[CGROUP_HIERARCHIES] = {0};
  auto_buf struct buf mounts = {0}, groups = {0};
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/proc/self/mountinfo", root);
  if (cgroup_text(path, &mounts) != 0 || !mounts.data) return;
  find_mounts(mounts.data, all);
  snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
  if (cgroup_text(path, &groups) == 0 && groups.data) find_groups(groups.data, all);
  for (int i = 0; i < CGROUP_HIERARCHIES; i++) locate(root, &all[i], &out->dir[i], &out->top[i]);
}

void cgroup_groups_free(struct cgroup_groups *g) {
  for (int i = 0; i < CGROUP_HIERARCHIES; i++) free(g->dir[i]);
  *g = (struct cgroup_groups){0};
}
