/* The control socket: how other programs of the same user (or root) ask the running engine and tell it what to do.
 *
 * A Unix stream socket, <state dir>/control.sock, mode 0600. A frame is a 4-byte big-endian length and that many
 * bytes of JSON (base/frame.h); docs/control.md is the protocol for people:
 *   → {"v": 1, "id": N, "op": "status", "args": {…}}
 *   ← {"id": N, "ok": true, "value": …}  or  {"id": N, "ok": false, "code": "…", "error": "…"}
 *   ← {"id": N, "part": …}               any number of these before the answer, from ops that stream
 * Answers come in any order. What an operation is (arguments, who may, audit) stands in core/operation; here its
 * arguments are checked, the right is demanded, and the audit events are told, so that a function behind it gets only
 * what it can do. Built in: hello, help, cancel, events.
 *
 * Bounds (LIMIT_CONTROL_*): clients, size of a request, requests at once and a second of one client, bytes waiting for
 * a slow one and for all; a frame not whole in 5 s, or a client that takes nothing for 10 s, ends the connection.
 * Nobody can slow the engine through it.
 */
#ifndef TEND_LOOP_CONTROL_H
#define TEND_LOOP_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"
#include "core/operation.h"
#include "loop/loop.h"
#include "loop/policy.h"
#include "loop/sink.h"
#include "loop/state.h"

enum { CONTROL_VERSION = 1 };

struct control;
struct control_reply;

/* Valid during the op's call only. */
struct control_request {
  const char *op;
  const cJSON *args; /* an object, maybe empty; never NULL; as the operation's table allows it */
  uid_t uid;
  pid_t pid;      /* 0 where the kernel cannot tell (another PID namespace) */
  bool read_only; /* the client may look, not change */
  bool foreign;   /* it is neither of our user nor root */
};

/* Must answer `reply` once, now or later (control_answer*, control_refuse, control_fail); until then the reply is the
 * op's. Whether the client is still there does not matter. */
typedef void control_fn(void *arg, const struct control_request *request, struct control_reply *reply);

struct control_op {
  const char *name;
  control_fn *fn;
  const struct operation *def; /* NULL: the one of this name in core/operation */
};

/* dir stays the caller's; NULL: nothing is listened to, clients come by control_serve. fd: a listening socket kept from
 * before, -1 for none: a new one is made in place of an old one (the lock of the folder says that it is dead). NULL
 * with err. */
struct control *control_new(struct loop *loop, struct sink *sink, const struct state_dir *dir, int fd, struct err *err);
/* Members of this group (a name of /etc/group, a number) may connect from now on, and look; not for chunks of Lua,
 * which see what the engine's user sees. Else the socket stays closed to them, and err says why. */
int control_group(struct control *c, const char *group, struct err *err);
/* Operations, from now on; ops ends with {0}; it and arg live as long as the control. NULL for c is allowed (no socket,
 * nobody asks). */
enum { CONTROL_SETS = 8 };
void control_add(struct control *c, const struct control_op *ops, void *arg);
/* Where the commands of scripts are looked for, at each request; *policy may change, and be NULL. */
void control_scripts(struct control *c, const struct policy *const *policy);
/* Ends every connection after a last try to send; removes the socket. Streams are told that they are gone; other open
 * replies may still be answered. */
void control_free(struct control *c);
int control_fd(const struct control *c); /* the listening socket, for children_keep; -1: none */
/* Takes a connected socket as a client of this same user. */
void control_serve(struct control *c, int fd);

/* Each ends the reply: it must not be used after. value: JSON text, NULL means null. */
void control_answer(struct control_reply *r, const char *value);
void control_answer_buf(struct control_reply *r,
                        struct buf *value); /* a failed buf: an error; buf stays the caller's */
/* No, and why: code "refused", or "cancelled" where the client has cancelled it. */
void control_refuse(struct control_reply *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same with a code of its own for programs: "script", "timeout". */
void control_fail(struct control_reply *r, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Replies that take their time. control_wait says that r wants to be told: end(arg) is called once, from the loop, when
 * the client has left or has cancelled the request: end what was begun and answer r soon, which frees it. room(arg),
 * which may be NULL, is called when more can be sent after a -EAGAIN. control_stream is the same for what has no end of
 * its own: a client that has closed its half does not wait for that.
 * control_part sends one part (JSON): 0, -EAGAIN (nothing was sent: the client is slow), -EPIPE (it is gone; end is
 * called). control_push always takes it: 0, -EAGAIN (it waits, but push no more before room), -EPIPE.
 * Without control_wait a cancelled request is answered at once, and what it began goes on. */
typedef void control_stream_fn(void *arg);
void control_wait(struct control_reply *r, control_stream_fn *end, control_stream_fn *room, void *arg);
void control_stream(struct control_reply *r, control_stream_fn *end, control_stream_fn *room, void *arg);
int control_part(struct control_reply *r, const char *json, size_t n);
int control_push(struct control_reply *r, const char *json, size_t n);
bool control_is_cancelled(const struct control_reply *r); /* or its client has left */

/* An operation called from inside, on behalf of q's uid and pid: the same checks, the same audit. said(arg, answer) is
 * called once, maybe from inside the call: the answer as a client would get it ({"ok", "value" or "code" and "error"};
 * NULL: no memory), valid during the callback. *call is for control_forget until then. What streams is refused.
 * -ENOMEM.
 */
typedef void control_said_fn(void *arg, const cJSON *answer);
int control_call(struct control *c, const struct control_request *q, control_said_fn *said, void *arg,
                 struct control_reply **call);
/* Nobody waits any more; what was begun goes on where it cannot be ended. */
void control_forget(struct control_reply *call);
/* Whether it would change something. */
bool control_changes(const struct control *c, const char *name, const cJSON *args);

/* Arguments of a request; defaults where there is none or it has another type. */
const char *control_arg_str(const struct control_request *q, const char *name, const char *fallback);
int64_t control_arg_int(const struct control_request *q, const char *name, int64_t fallback);
bool control_arg_bool(const struct control_request *q, const char *name, bool fallback);

#endif
