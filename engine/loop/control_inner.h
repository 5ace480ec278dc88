/* Between control.c (socket), control_client.c (connections), control_request.c (what is asked), control_reply.c (what
 * is answered, audit), control_script.c (commands of scripts) and control_events.c. */
#ifndef TEND_LOOP_CONTROL_INNER_H
#define TEND_LOOP_CONTROL_INNER_H

#include "base/clock.h"
#include "loop/control.h"

#define TURN_NS (4 * NS_PER_MS) /* for the requests of all, before the loop looks at anything else */

#define CONTROL_PATIENCE_INIT \
  { .frame_ns = 5 * NS_PER_S, .send_ns = 10 * NS_PER_S, .idle_ns = 300 * NS_PER_S }

struct control_patience {
  int64_t frame_ns; /* from a frame's first byte to its last */
  int64_t send_ns;  /* without a byte taken by a client that has something to take */
  int64_t idle_ns;  /* without a request under way */
};

/* What the audit events tell; NULL in a reply that nobody audits. */
struct audit {
  struct sink *sink;
  char *op, *args; /* args: JSON */
  uid_t uid;
  pid_t pid;
  int64_t begun_ns;
};

struct control_reply {
  struct control_reply *next, **slot; /* in the client's list, or in the control's list of those to be told */
  struct client *client;              /* NULL: has gone */
  struct loop *loop;
  bool has_id, cancelled, endless;
  bool told; /* end was called */
  int64_t id;
  control_stream_fn *end, *room;
  void *arg;
  control_said_fn *said; /* of a call from inside: there is no client */
  void *said_arg;
  struct audit *audit;
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
  struct client *ready_next; /* in the control's queue, where ready */
  bool eof, closing, dead, wants_room, read_only, foreign, ready;
};

struct control_set {
  const struct control_op *ops;
  void *arg;
};

struct control {
  struct loop *loop;
  struct sink *sink;
  struct control_set sets[CONTROL_SETS];
  size_t n_sets;
  const struct policy *const *policy; /* NULL, or to NULL: no scripts */
  int fd;
  int dir_fd; /* a duplicate, to remove the socket at the end */
  struct watch *watch;
  struct timer *sweep, *retry;
  struct client *clients, *dead;
  struct control_reply *orphans; /* streams to be told that their client is gone */
  gid_t group;                   /* whose members may look */
  bool has_group;
  unsigned n_clients;
  size_t waiting;                    /* bytes queued for all clients */
  struct client *ready, **ready_end; /* have a whole request, in the order in which they are served */
  struct timer *next_turn;
  int64_t turn_spent_ns; /* on requests in this turn of the loop */
  bool turn_due;         /* its end will be told */
  bool serving;
  int64_t refused_told_ns, denied_told_ns;
  struct control_patience patience;
};

/* Whether the peer is in the group that may look; first: the one that its credentials name. */
bool group_has(const struct control *c, int fd, gid_t first);
/* A new connection; fd is taken. foreign: of the group. */
void client_open(struct control *c, int fd, uid_t uid, pid_t pid, bool foreign);
/* Ends it; its memory stays until the next sweep. */
void client_drop(struct client *k);
void client_free(struct client *k);
/* Adds a frame to what it is sent. false: no memory, it was dropped. */
bool client_queue(struct client *k, const struct buf *text);
/* control_turn.c: clients with a whole request are served one request each in turn, for TURN_NS of a turn of the loop.
 */
int turn_open(struct control *c);
void turn_close(struct control *c);
/* Whether a request of this client may be taken now: its rate, what it has under way, what it does not read. */
bool turn_may_take(struct client *k);
/* Puts it into the queue, where it has a request that may be taken and is not there. */
void turn_wait(struct client *k);
void turn_leave(struct client *k);
void turn_serve(struct control *c);

/* Sends what it can, tells of room, sets watch and timer anew. */
void client_flush(struct client *k);
/* The same after its requests, where it is its turn. */
void client_pump(struct client *k);
/* Calls the function behind it where it may be called. k: NULL for a call from inside. */
void control_dispatch(struct control *c, struct client *k, const struct control_request *q,
                      struct control_reply *reply);
/* What a request of this name with these arguments needs; false: there is no such operation. */
bool control_right(const struct control *c, const char *name, const cJSON *args, enum right *out);
/* One whole request; makes a reply and calls the op. */
void control_handle(struct client *k, const char *text, size_t n);
/* An error that ends the connection. id: of the request, -1 where it has none. */
void client_complain(struct client *k, int64_t id, const char *code, const char *message);
/* Bytes queued for it. */
size_t client_unsent(const struct client *k);
/* The reply to a new request of this client; NULL: no memory. */
struct control_reply *reply_new(struct client *k, int64_t id);

void reply_unlink(struct control_reply *r);
void reply_link(struct control_reply *r, struct control_reply **list);

/* The reply's end is called, from the loop. */
void reply_end_later(struct control_reply *r);
/* The client is answered that it was cancelled; what was begun goes on, and its answer goes nowhere. */
void reply_abandon(struct control_reply *r);
/* Out of every list and queue. */
void reply_forget(struct control_reply *r);

/* Tells that it was asked for; the answer will tell the outcome. */
void audit_begin(struct control *c, struct control_reply *r, const struct control_request *q);
/* Tells of one that was not begun, and why. */
void audit_refused(struct control *c, const struct control_request *q, const char *outcome, const char *why);

/* The i-th command of the scripts, NULL after the last. */
const struct operation *script_command(const struct control *c, size_t i);
/* The command of a script, NULL where there is none of this name. */
const struct operation *script_find(const struct control *c, const char *name);
void script_run(struct control *c, const struct operation *op, const struct control_request *q,
                struct control_reply *reply);

/* The built-in op "events"; arg is the control. */
control_fn control_op_events;

#endif
