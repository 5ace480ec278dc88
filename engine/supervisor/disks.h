/* How full the file systems of some directories are. A child looks (`tend helper usage`), because a dead mount hangs in
 * the kernel; what it found is kept until the next look. Owned by who made it.
 */
#ifndef TEND_SUPERVISOR_DISKS_H
#define TEND_SUPERVISOR_DISKS_H

#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "loop/children.h"
#include "loop/loop.h"

enum { DISKS_MAX = LIMIT_DIRECTORIES + 3 }; /* the plan's, and tend's own */

struct disk {
  char name[256]; /* what the directory is for: "data" */
  char path[256];
  double used, inodes; /* shares, 0 to 1; NAN: not known */
  int error;           /* errno of the last look */
};

struct disks;

/* NULL: no memory. */
struct disks *disks_new(struct loop *loop, struct children *children);
void disks_free(struct disks *d); /* NULL is allowed */
/* One that is there already is not added again; one whose name is taken goes by its path. -ENOSPC: there are DISKS_MAX;
 * -ENAMETOOLONG, -ENOMEM. What disks_list gave is not valid after it. */
int disks_add(struct disks *d, const char *name, const char *path);
/* Begins a look, unless one is under way or the last is less than max_age_ns old. One that hangs is killed after 10 s:
 * then nothing is known, and there is no other look until it is gone. */
void disks_look(struct disks *d, int64_t max_age_ns);
size_t disks_list(const struct disks *d, const struct disk **out);

#endif
