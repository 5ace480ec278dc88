/* The container's limits, from the control groups that this process is in: version 2, version 1, or both at once. A
 * limit is the smallest of the own group's and of those of all groups above it that can be seen from here.
 */
#ifndef TEND_BASE_CGROUP_H
#define TEND_BASE_CGROUP_H

#include <stdint.h>

struct cgroup {
  int64_t memory_limit_bytes; /* -1: none, or not known */
  int64_t memory_used_bytes;  /* of the own group; -1: not known */
  double cpu_limit_percent;   /* quota as a share of one CPU: 150 is one and a half; -1: none, or not known */
  int version;                /* where memory was found: 2 or 1; 0: nowhere */
};

/* Fills *out; what cannot be read is not known. root: put before /proc and the mount points, "" outside tests. */
void cgroup_read(const char *root, struct cgroup *out);

#endif
