/* The engine's folder in the state directory: <state>/<flow>, mode 0700, ours, no symbolic link. Holds the lock (one
 * engine a flow), the control socket, the mark of a stop that was asked for, and a word about the run that is under
 * way, which a run that is killed leaves behind. */
#ifndef TEND_LOOP_STATE_H
#define TEND_LOOP_STATE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct state_dir {
  int fd;              /* the folder */
  int lock_fd;         /* held as long as it is open */
  char path[PATH_MAX]; /* <state>/<flow> */
};

#define STATE_DIR_INIT \
  { .fd = -1, .lock_fd = -1 }

/* root: the directory that was given, NULL to try /run/tend, $XDG_RUNTIME_DIR/tend, /tmp/tend-UID,
 * /dev/shm/tend-UID. pid: what to tell a second engine (tend's own). -EBUSY: another engine holds it, err names its pid
 * (exit 73); else what hindered. */
int state_open(struct state_dir *s, const char *root, const char *flow, pid_t pid, struct err *err);
void state_close(struct state_dir *s); /* any state */

/* The mark that unless-stopped leaves. */
int state_mark_stopped(const struct state_dir *s, bool stopped, struct err *err);
bool state_is_stopped(const struct state_dir *s);

/* What the run before left that had no end of its own; empty: nothing. */
void state_read_run(const struct state_dir *s, struct buf *out);
/* Leaves a word; NULL takes it away, at the end. */
int state_write_run(const struct state_dir *s, const char *text, struct err *err);

#endif
