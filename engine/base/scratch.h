/* Nameless files that processes hand to each other: a memfd, or, where a container's rules forbid that call, an
 * unlinked file in memory or in /tmp. */
#ifndef TEND_BASE_SCRATCH_H
#define TEND_BASE_SCRATCH_H

#include <stdbool.h>

/* An empty one for reading and writing, close-on-exec: a descriptor or -errno. */
int scratch_open(const char *name);

/* From now on it can neither be written nor shrunk, where it is a memfd. 0 or -errno. */
int scratch_seal(int fd);

/* False for a memfd that was not sealed. */
bool scratch_is_sealed(int fd);

#endif
