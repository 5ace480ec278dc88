/* What init tells an engine that takes over from one that ended. Made after the fork, from init's own tables: no
 * message is needed for it. What happens later comes over the channel as always. */
#ifndef TEND_BASE_REVIVAL_H
#define TEND_BASE_REVIVAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/proto.h"

/* A child that is no helper: it lives, or the engine before has not put its end (see base/keep.h). */
struct revival_child {
  uint32_t number, instance;
  char name[LIMIT_NAME];
  pid_t pid; /* also of one that has ended */
  bool started, failed, exited;
  int32_t stage, error;     /* of failed */
  struct proto_exited exit; /* of exited */
  bool taken;               /* for the engine: it has found its place */
};

struct revival_fd {
  char name[LIMIT_NAME]; /* as it was kept */
  int fd;                /* the engine's from now on */
};

struct revival {
  bool hung;                   /* it was ended because it was silent */
  int status;                  /* of the one before, as of wait(2) */
  unsigned deaths;             /* in the last minute */
  bool safe;                   /* too many: without scripts and checks */
  int stop_level, stop_signal; /* a stop that was asked for by then (base/stopreq.h); 0: none */
  bool stop_begun;             /* init has sent the first stop signals */
  uint32_t last_number;
  struct revival_child *children;
  unsigned n_children;
  const struct revival_fd *fds;
  unsigned n_fds;
};

/* -1: nothing is kept under that name. */
static inline int revival_fd(const struct revival *r, const char *name) {
  for (unsigned i = 0; r && i < r->n_fds; i++)
    if (__builtin_strcmp(r->fds[i].name, name) == 0) return r->fds[i].fd;
  return -1;
}

#endif
