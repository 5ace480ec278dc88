/* Where the state directory is: the rules that the engine (which makes it) and the client (which looks for it) share,
 * and Unix sockets in it, whose path may be longer than an address can hold. And where the program is. */
#ifndef TEND_BASE_PLACE_H
#define TEND_BASE_PLACE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define PLACE_SOCKET "control.sock"

/* The i-th directory to try where none is given: /run/tend, $XDG_RUNTIME_DIR/tend, /tmp/tend-UID,
 * /dev/shm/tend-UID. false at the end. */
bool place_candidate(unsigned i, char out[PATH_MAX]);

/* Where this program lies, symbolic links followed; "": not known. */
const char *place_self(void);

/* The i-th path where what is installed with this program may be: beside it, as in the tree where it is built, then in
 * ../lib/tend. false at the end, with `out` as it was. */
bool place_companion(unsigned i, const char *name, char out[PATH_MAX]);

/* The same for the program `self`, without the C library. */
bool place_beside(const char *self, unsigned i, const char *name, char out[PATH_MAX]);

/* Opens a directory without following a symbolic link in its last step, close-on-exec: a descriptor or -errno. */
int place_open_dir(int at, const char *name);

/* A stream socket bound to (and listening on), or connected to, `name` in the directory dir_fd, whose path is `path`
 * (for short names and messages). Close-on-exec, non-blocking when listening. A descriptor or -errno with err. A long
 * path changes the working directory for a moment. */
int place_listen(int dir_fd, const char *path, const char *name, struct err *err);
int place_connect(int dir_fd, const char *path, const char *name, struct err *err);

#endif
