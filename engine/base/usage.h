/* What the container uses now, and what it may: one look at its control groups (version 2, version 1), at the machine
 * where it has none. Reads only /proc and /sys, which never hang.
 *
 * Memory is what `docker stats` and the kubelet count: the group's use without the page cache that nobody has touched
 * for a while (inactive_file), since the kernel takes that back before it kills anybody.
 */
#ifndef TEND_BASE_USAGE_H
#define TEND_BASE_USAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cgroup.h"

enum { PRESSURE_CPU, PRESSURE_MEMORY, PRESSURE_IO, PRESSURES };

/* -1, or NAN, is not known. */
struct usage {
  int64_t memory_bytes, memory_max_bytes; /* the limit; the machine's memory where there is none */
  bool memory_limited;
  int64_t cpu_ns; /* used so far */
  double cpus;    /* that may be used at once: the quota, else the CPUs of this process */
  bool cpu_limited;
  int64_t throttled_ns;       /* so far */
  int64_t oom_kills;          /* so far, of the group and those below it */
  bool oom_group;             /* memory.oom.group: the kernel kills all of the group at once */
  int64_t tasks, tasks_max;   /* processes and threads */
  double pressure[PRESSURES]; /* share of the last 10 s that some task waited for it, 0 to 1 */
};

struct usage_source {
  char *root;
  struct cgroup_groups groups;
};

/* root: put before /proc and /sys, "" outside tests. -ENOMEM. */
int usage_open(struct usage_source *s, const char *root);
void usage_close(struct usage_source *s); /* zeroed is allowed */
void usage_read(const struct usage_source *s, struct usage *out);

#endif
