/* What a spawn needs besides its short message: argv, environment, where to look for the command, groups, in
 * base/proto.h's layout. Names are turned into numbers here, so that init reads no files. */
#ifndef TEND_LOOP_SPAWN_BLOB_H
#define TEND_LOOP_SPAWN_BLOB_H

#include "base/err.h"
#include "base/proto.h"
#include "loop/children.h"

/* Appends it to *out, which is empty, and fills in m's uid and gid where the spec has a user. */
int spawn_blob(const struct child_spec *spec, struct proto_spawn *m, struct buf *out, struct err *err);
/* One that is larger than a message may be, as a sealed memfd (the caller's). */
int spawn_seal(const struct buf *blob, int *fd, struct err *err);

/* A user: "name", "uid", each with ":group" or ":gid". Without a group: the user's own and its supplementary ones;
 * a number that no file knows has group 0, as in Docker. groups holds *n numbers at most, and gets how many. */
int spawn_user(const char *user, uint32_t *uid, uint32_t *gid, uint32_t *groups, unsigned *n, struct err *err);

#endif
