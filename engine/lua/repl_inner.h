/* Between repl.c (sessions, generations), repl_chunk.c (one evaluation), repl_lua.c (what its Lua half may call) and
 * repl_op.c (requests). */
#ifndef TEND_LUA_REPL_INNER_H
#define TEND_LUA_REPL_INNER_H

#include "lua/effect.h"
#include "lua/l.h"
#include "lua/repl.h"

/* The Lua half in one generation: its functions in the registry. */
struct repl_side {
  struct vm *vm; /* NULL: not opened */
  int evaluate, complete, env;
};

struct repl_session {
  struct repl_session *next;
  struct repl *repl;
  struct control_reply *reply; /* open as long as the client is there; NULL: a chunk without a session */
  uint64_t id;
  uid_t uid;
  pid_t pid;
  bool read_only, dry;
  cJSON *carried;         /* plain values of its globals, from a generation before; NULL: none */
  bool lost;              /* it had globals that could not be carried */
  struct repl_side *side; /* where env is */
  int env;                /* its globals, LUA_NOREF: none so far */
  struct repl_chunk *chunks;
  bool gone; /* freed with its last chunk */
};

struct repl_chunk {
  struct repl_chunk *next;
  struct repl_session *session;
  struct control_reply *reply;
  uint64_t task;
  struct effects effects;
  bool completes; /* a completion, no evaluation */
  bool cancelled;
  unsigned width;
  int env;         /* of its session, in its generation */
  size_t sent;     /* bytes printed */
  struct buf wait; /* a part that waits for room */
  uint64_t token;  /* of the print that waits */
};

struct repl {
  struct repl_options o;
  struct repl_side live, aside;
  struct vm *made, *made_aside; /* generations of its own, to be freed */
  struct sched *own_sched;      /* made here where there was none */
  struct repl_session *sessions;
  uint64_t serial;
};

/* The chunk whose task runs; raises outside of one. */
struct repl_chunk *l_chunk(lua_State *L);

/* The Lua half for this session, opened where it was not; NULL with err. */
struct repl_side *repl_side_of(struct repl *r, const struct repl_session *s, struct err *err);
struct repl_session *repl_session_new(struct repl *r, const struct control_request *q, struct control_reply *reply);
struct repl_session *repl_session_find(struct repl *r, uint64_t id, uid_t uid);
/* Ends its chunks; the memory goes with the last of them. */
void repl_session_end(struct repl_session *s);
/* Makes the session's globals; a reference. Raises. */
int l_repl_env(lua_State *L, struct repl_session *s);
void repl_session_check(struct repl_session *s); /* frees one that is gone and has no chunk left */

/* Evaluates or completes; answers reply in any case. */
struct repl_ask {
  const char *text, *name;
  unsigned width;
  bool json, statement, completes;
  int64_t limit_ns;
};
void repl_chunk_start(struct repl_session *s, const struct repl_ask *ask, struct control_reply *reply);
/* The client has left or cancelled, or its generation goes. */
void repl_chunk_cancel(struct repl_chunk *c);

/* Sends {"out": text}: 0, -EAGAIN (in c->wait), -EPIPE, -E2BIG (no more is taken). */
int repl_chunk_print(struct repl_chunk *c, const char *text, size_t n);

/* Pushes the table of C functions for the Lua halves. */
void l_push_repl_core(lua_State *L, struct repl *r);

#endif
