/* What the files of loop/children share: the children that may still call back, the requests that wait. */
#ifndef TEND_LOOP_CHILDREN_INNER_H
#define TEND_LOOP_CHILDREN_INNER_H

#include "base/clean.h"
#include "loop/children.h"
#include "loop/outbox.h"

enum { CHILDREN_BUCKETS = 256 };

/* A child that may still call back. */
struct child_entry {
  struct child_entry *next;
  uint32_t number;
  const struct child_ops *ops;
  void *arg;
  int out_fd; /* helper: our end of its output, -1 for a process and after its end */
  struct watch *watch;
  struct buf out;
  bool cut;
};

/* A request that waits for its answer. */
struct child_request {
  struct child_request *next;
  uint32_t number;
  children_swept_fn *swept;
  children_tail_fn *tail;
  children_follow_fn *follow;
  children_silent_fn *silent;
  void *arg;
};

struct children {
  struct loop *loop;
  int fd;
  struct watch *watch;
  uint32_t last_number, last_request, heard;
  unsigned lingering;
  struct child_entry *buckets[CHILDREN_BUCKETS];
  struct child_request *requests;
  struct outbox out;
  struct proto_output_msg output;
  bool output_due; /* told with the next message: to wake init for it alone costs the start */
  children_signal_fn *on_signal;
  void *signal_arg;
  loop_fn *told;
  void *told_arg;
};

/* As outbox_post; what is queued is sent when the channel takes it. */
int children_post(struct children *c, const void *m, size_t n, const int *fds, unsigned nfds);
void children_entry_free(struct child_entry *e);
/* What a helper has said by now. */
void children_read_output(struct child_entry *e);

/* The answers to children_sweep and children_tail. */
void children_on_swept(struct children *c, const struct proto_swept *m);
void children_on_tail(struct children *c, const struct proto_tail_reply *m, int fd);

#endif
