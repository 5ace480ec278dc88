/* The control socket: how other programs of the same user (or root) ask the running engine and tell it what to do.
 *
 * A Unix stream socket, <state dir>/control.sock, mode 0600. A frame is a 4-byte big-endian length and that many
 * bytes of JSON (base/frame.h):
 *   → {"v": 1, "id": N, "op": "status", "args": {…}}
 *   ← {"id": N, "ok": true, "value": …}  or  {"id": N, "ok": false, "error": "…"}
 *   ← {"id": N, "part": …}               any number of these before the answer, from ops that stream
 * Answers come in any order. Bounds (LIMIT_CONTROL_*): clients, size of a request, requests at once and a second of
 * one client, bytes waiting for a slow one; a frame not whole in 5 s, or a client that takes nothing for 10 s, ends
 * the connection. Nobody can slow the engine through it.
 */
#ifndef TEND_LOOP_CONTROL_H
#define TEND_LOOP_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"
#include "loop/loop.h"
#include "loop/sink.h"
#include "loop/state.h"

struct control;
struct control_reply;

/* Valid during the op's call only. */
struct control_request {
  const char *op;
  const cJSON *args; /* an object, maybe empty; never NULL */
  uid_t uid;
  pid_t pid; /* 0 where the kernel cannot tell (another PID namespace) */
};

/* Must answer `reply` once, now or later (control_answer*); until then the reply is the op's. Whether the client is
 * still there does not matter. */
typedef void control_fn(void *arg, const struct control_request *request, struct control_reply *reply);

struct control_op {
  const char *name;
  control_fn *fn;
  bool changes; /* something: an audit event is emitted (uid, pid, op, args) before fn is called */
};

/* ops ends with {0}; it and arg live as long as the control. dir stays the caller's. fd: a listening socket kept from
 * before, -1 for none: a new one is made in place of an old one (the lock of the folder says that it is dead). "events"
 * (args from, last, follow, level) and "ops" are built in. NULL with err. */
struct control *control_new(struct loop *loop, struct sink *sink, const struct state_dir *dir, int fd,
                            const struct control_op *ops, void *arg, struct err *err);
/* Ends every connection after a last try to send; removes the socket. Streams are told that they are gone; other open
 * replies may still be answered. */
void control_free(struct control *c);
int control_fd(const struct control *c); /* the listening socket, for children_keep */

/* Each ends the reply: it must not be used after. value: JSON text, NULL means null. */
void control_answer(struct control_reply *r, const char *value);
void control_answer_buf(struct control_reply *r,
                        struct buf *value); /* a failed buf: an error; buf stays the caller's */
void control_refuse(struct control_reply *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Streams. control_stream says that r will send parts: gone(arg) is called, from the loop, when the client has left
 * (then answer r, which frees it); room(arg) when more can be sent after a -EAGAIN. control_part sends one part: 0,
 * -EAGAIN (nothing was sent: the client is slow), -EPIPE (it is gone; gone is called). */
typedef void control_stream_fn(void *arg);
void control_stream(struct control_reply *r, control_stream_fn *gone, control_stream_fn *room, void *arg);
int control_part(struct control_reply *r, const char *json, size_t n);

/* Arguments of a request; defaults where there is none or it has another type. */
const char *control_arg_str(const struct control_request *q, const char *name, const char *fallback);
int64_t control_arg_int(const struct control_request *q, const char *name, int64_t fallback);
bool control_arg_bool(const struct control_request *q, const char *name, bool fallback);

#endif
