/* Between control.c (socket, requests, answers), control_client.c (connections) and control_events.c. */
#ifndef TEND_LOOP_CONTROL_INNER_H
#define TEND_LOOP_CONTROL_INNER_H

#include "base/clock.h"
#include "loop/control.h"

#define CONTROL_PATIENCE_INIT \
  { .frame_ns = 5 * NS_PER_S, .send_ns = 10 * NS_PER_S, .idle_ns = 300 * NS_PER_S }

struct control_patience {
  int64_t frame_ns; /* from a frame's first byte to its last */
  int64_t send_ns;  /* without a byte taken by a client that has something to take */
  int64_t idle_ns;  /* without a request under way */
};

struct control_reply {
  struct control_reply *next, **slot; /* in the client's list, or in the control's list of those to be told */
  struct client *client;              /* NULL: has gone */
  bool has_id;
  int64_t id;
  control_stream_fn *gone, *room;
  void *arg;
};

struct client {
  struct control *control;
  struct client *next, **slot;
  int fd;
  struct watch *watch;
  struct timer *timer;
  uid_t uid;
  pid_t pid;
  struct buf in, out;
  size_t out_at; /* bytes of out that were sent */
  int64_t frame_since_ns, out_since_ns, idle_since_ns;
  double tokens; /* requests that may come now */
  int64_t tokens_ns;
  unsigned pending;
  struct control_reply *replies;
  bool eof, closing, dead, wants_room;
};

struct control {
  struct loop *loop;
  struct sink *sink;
  const struct control_op *ops;
  void *arg;
  int fd;
  int dir_fd; /* a duplicate, to remove the socket at the end */
  struct watch *watch;
  struct timer *sweep, *retry;
  struct client *clients, *dead;
  struct control_reply *orphans; /* streams to be told that their client is gone */
  unsigned n_clients;
  int64_t refused_told_ns;
  struct control_patience patience;
};

/* A new connection; fd is taken. */
void client_open(struct control *c, int fd, uid_t uid, pid_t pid);
/* Ends it; its memory stays until the next sweep. */
void client_drop(struct client *k);
void client_free(struct client *k);
/* Adds a frame to what it is sent. false: no memory, it was dropped. */
bool client_queue(struct client *k, const struct buf *text);
/* Sends what it can and sets watch and timer anew. */
void client_pump(struct client *k);
/* One whole request; makes a reply and calls the op. */
void control_handle(struct client *k, const char *text, size_t n);
/* An error that belongs to no request: the connection ends after it. */
void client_complain(struct client *k, const char *message);

void reply_unlink(struct control_reply *r);
void reply_link(struct control_reply *r, struct control_reply **list);

/* The built-in op "events". */
void control_op_events(struct control *c, const struct control_request *request, struct control_reply *reply);

#endif
