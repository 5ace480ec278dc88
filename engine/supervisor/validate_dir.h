/* One directory of the start-up validation: is it there, can it be made, can it be written, how much room is left. */
#ifndef TEND_SUPERVISOR_VALIDATE_DIR_H
#define TEND_SUPERVISOR_VALIDATE_DIR_H

#include <sys/types.h>

#include "supervisor/validate.h"

enum { VALIDATE_DISKS = 64 };
struct validate_disks { /* file systems that were looked at */
  dev_t devices[VALIDATE_DISKS];
  size_t n;
};

/* Checks d and sets usable. What is wrong goes to problems where somebody named the directory, else to `without`.
 * written: the file systems on which a byte was written; once each is enough, and it is the dear part. */
void validate_directory(struct validate_directory *d, bool dry, struct validate_disks *written,
                        struct problems *problems, struct buf *without);

/* Free MB for the likes of us on the file system of path, or of the nearest directory above it that exists. false: not
 * known, or seen before. */
bool validate_disk_free(const char *path, struct validate_disks *seen, int64_t *free_mb);

#endif
