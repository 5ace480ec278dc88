#include "base/cgroup.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/str.h"

static void cut(char *s) { s[strcspn(s, " \n")] = 0; }

static bool read_number(const char *dir, const char *name, int64_t *out, int64_t *second) {
  auto_buf struct buf text = {0};
  char path[PATH_MAX];
  int n = snprintf(path, sizeof path, "%s/%s", dir, name);
  if (n < 0 || (size_t)n >= sizeof path || cgroup_text(path, &text) != 0) return false;
  char *rest = text.data + strcspn(text.data, " \n");
  if (*rest) *rest++ = 0;
  cut(rest);
  if (second && str_int(rest, 1, INT64_MAX, second) != 0) return false;
  return str_int(text.data, -1, INT64_MAX, out) == 0;
}

static bool read_value(const char *dir, const char *name, const char *key, int64_t *out) {
  auto_buf struct buf text = {0};
  char path[PATH_MAX];
  int n = snprintf(path, sizeof path, "%s/%s", dir, name);
  if (n < 0 || (size_t)n >= sizeof path || cgroup_text(path, &text) != 0) return false;
  size_t k = strlen(key);
  for (char *p = text.data; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
    if (strncmp(p, key, k) != 0 || p[k] != ' ') continue;
    p += k + 1;
    cut(p);
    return str_int(p, 0, INT64_MAX, out) == 0;
  }
  return false;
}

bool cgroup_number(const struct cgroup_groups *g, enum cgroup_hierarchy h, const char *file, int64_t *out,
                   int64_t *second) {
  return g->dir[h] && read_number(g->dir[h], file, out, second);
}

bool cgroup_value(const struct cgroup_groups *g, enum cgroup_hierarchy h, const char *file, const char *key,
                  int64_t *out) {
  return g->dir[h] && read_value(g->dir[h], file, key, out);
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

static void group_limits(const char *dir, enum cgroup_hierarchy h, struct cgroup *out) {
  int64_t v, period;
  if (h == CGROUP_V2) {
    if (read_number(dir, "memory.max", &v, NULL)) least(&out->memory_limit_bytes, v);
    if (read_number(dir, "cpu.max", &v, &period)) least_share(&out->cpu_limit_percent, v, period);
  } else if (h == CGROUP_MEMORY) {
    if (read_number(dir, "memory.limit_in_bytes", &v, NULL)) least(&out->memory_limit_bytes, v);
  } else if (read_number(dir, "cpu.cfs_quota_us", &v, NULL) && read_number(dir, "cpu.cfs_period_us", &period, NULL)) {
    least_share(&out->cpu_limit_percent, v, period);
  }
}

/* From the own group up to the highest that can be seen. */
static void walk(const struct cgroup_groups *g, enum cgroup_hierarchy h, struct cgroup *out) {
  auto_free char *dir = g->dir[h] ? strdup(g->dir[h]) : NULL;
  while (dir) {
    group_limits(dir, h, out);
    char *slash = strrchr(dir + g->top[h], '/');
    if (!slash) return;
    *slash = 0;
  }
}

void cgroup_limits(const struct cgroup_groups *g, struct cgroup *out) {
  *out = (struct cgroup){.memory_limit_bytes = -1, .memory_used_bytes = -1, .cpu_limit_percent = -1};
  int64_t v;
  walk(g, CGROUP_V2, out);
  walk(g, CGROUP_MEMORY, out);
  walk(g, CGROUP_CPU, out);
  /* version 1 tells here what groups allow that cannot be seen */
  if (cgroup_value(g, CGROUP_MEMORY, "memory.stat", "hierarchical_memory_limit", &v))
    least(&out->memory_limit_bytes, v);
  if (cgroup_number(g, CGROUP_V2, "memory.current", &v, NULL)) {
    out->memory_used_bytes = v;
    out->version = 2;
  } else if (cgroup_number(g, CGROUP_MEMORY, "memory.usage_in_bytes", &v, NULL)) {
    out->memory_used_bytes = v;
    out->version = 1;
  }
}

void cgroup_read(const char *root, struct cgroup *out) {
  struct cgroup_groups g;
  cgroup_find(root, &g);
  cgroup_limits(&g, out);
  cgroup_groups_free(&g);
}
