/* A new process between its request and its exec.
 *
 * Until its exec it shares init's memory (to copy it would cost more than all the rest together) while init goes on,
 * because an exec can hang on a dead mount. So it has a stack and a request of its own, which init does not touch until
 * the exec is known to be over, and it makes its system calls itself, since the C library's would write init's errno.
 * The kernel writes 0 over its pid when it leaves this memory; a pipe that closes with it wakes init, but for where
 * there are many: there init looks after a moment. When no place is free for long, or where this cannot be done, it is
 * an ordinary fork, and tells over the pipe.
 */
#ifndef TEND_INIT_LAUNCH_H
#define TEND_INIT_LAUNCH_H

#include <sys/types.h>

#include "base/proto.h"

struct init;
struct child;

/* What is to be executed; its slots are pointers. */
struct blob {
  char *base;
  size_t size;
  bool mapped;                       /* is ours to unmap */
  char **argv, **envp, **candidates; /* argv[-1] is free */
  const gid_t *groups;
  const struct proto_blob *head;
};

/* Why there is no exec; error 0: there is. */
struct launch_end {
  int32_t stage, error;
};

/* Filled in by the caller; what its pointers lead to must live until launch_over. */
struct launch {
  const struct init *in;
  struct child *child;
  void *place;    /* NULL: an ordinary fork */
  uint32_t flags; /* enum proto_spawn_flags */
  uid_t uid;
  gid_t gid;
  struct blob blob;
  int stdio[3];
  int others[3]; /* pipes of a later process, which must not wait for our exec; -1 */
  int status_fd; /* close-on-exec; -1: silent */
  int pid;       /* 0 once it has left our memory */
  struct launch_end why;
  bool shares_fds; /* until left_table, or its end */
  bool left_table;
  bool silent; /* no pipe tells of its end */
  bool used;
};

void launch_warm(void); /* touches the memory of the first one */
struct launch *launch_new(struct init *in, struct child *c, const struct proto_spawn *m);
/* Takes the blob that came with the request, a copy where it lies in the message, or maps a sealed memfd. -errno. */
int launch_read(struct launch *l, char *inside, size_t n);
int launch_map(struct launch *l, int fd);
/* Starts it; its pid or -errno. */
pid_t launch_go(struct launch *l);
/* After launch_go: whether it is to be kept until the status pipe ends. */
bool launch_pending(const struct launch *l);
bool launch_ended(const struct launch *l); /* one that is kept: it has left our memory */
void launch_left(struct launch *l);        /* gives its descriptors back where it has its own by now */
void launch_over(struct launch *l);
void launch_turn(struct init *in); /* looks for the end of those that tell nothing */
int64_t launch_due(const struct init *in);

#endif
