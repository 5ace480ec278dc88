/* (The kernel's Documentation/admin-guide: cgroup-v2.rst, cgroup-v1/.) The control groups that this process is in,
 * version 2, version 1, or both at once, and what they limit. A limit is the smallest of the own group's and of those
 * of all groups above it that can be seen from here.
 */
#ifndef TEND_BASE_CGROUP_H
#define TEND_BASE_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Version 2 has one hierarchy for everything, version 1 one for each controller. */
enum cgroup_hierarchy { CGROUP_V2, CGROUP_MEMORY, CGROUP_CPU, CGROUP_CPUACCT, CGROUP_PIDS, CGROUP_HIERARCHIES };

/* The own group's folder in each; NULL where there is no such hierarchy. */
struct cgroup_groups {
  char *dir[CGROUP_HIERARCHIES];
  size_t top[CGROUP_HIERARCHIES]; /* so long is the part of it that is the highest group that can be seen */
};

struct cgroup {
  int64_t memory_limit_bytes; /* -1: none, or not known */
  int64_t memory_used_bytes;  /* of the own group, with its page cache; -1: not known */
  double cpu_limit_percent;   /* quota as a share of one CPU: 150 is one and a half; -1: none, or not known */
  int version;                /* where memory was found: 2 or 1; 0: nowhere */
};

/* root: put before /proc and the mount points, "" outside tests. What cannot be found is NULL. */
void cgroup_find(const char *root, struct cgroup_groups *out);
void cgroup_groups_free(struct cgroup_groups *g); /* zeroed is allowed */

/* What cannot be read is not known. */
void cgroup_limits(const struct cgroup_groups *g, struct cgroup *out);
/* Both at once. */
void cgroup_read(const char *root, struct cgroup *out);

/* The first number in a file of the own group; *second, where wanted, the number after it. False when there is none
 * ("max" too). */
bool cgroup_number(const struct cgroup_groups *g, enum cgroup_hierarchy h, const char *file, int64_t *out,
                   int64_t *second);
/* The number behind a key at the begin of a line ("oom_kill 3"). */
bool cgroup_value(const struct cgroup_groups *g, enum cgroup_hierarchy h, const char *file, const char *key,
                  int64_t *out);
/* A whole file, terminated; -errno. */
int cgroup_text(const char *path, struct buf *out);

#endif
