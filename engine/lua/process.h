/* What the files of the module process share: l_process.c (commands), l_spawn.c (commands that go on), l_operate.c (the
 * plan's processes); and what the prompt asks of the engine in the same way. */
#ifndef TEND_LUA_PROCESS_H
#define TEND_LUA_PROCESS_H

#include "loop/control.h"
#include "lua/l.h"

/* Reads the table at index 1 into spec; what it points to stays on the stack. Returns the seconds that it may take, 0:
 * without limit. */
lua_Number l_command(lua_State *L, struct child_spec *spec, lua_Number timeout, const char *who);

struct ended {
  int status; /* as of wait(2) */
  bool cut;
  int64_t took_ns;
  const struct buf *out;
};
/* The table that tells of a command's end. */
void l_push_ended(lua_State *L, const struct ended *e);

/* ask(what) → table | nil, err: what the engine knows, at once. */
int l_ask(lua_State *L);
/* An operation of the control socket, by a task that may wait; the last act of a C function → what the answer holds,
 * true where that is nothing | nil, err. Takes args, which are also the request's. */
int l_call_operation(lua_State *L, struct control *control, const struct control_request *q, cJSON *args);

int l_spawn(lua_State *L);
int l_operate(lua_State *L);
int l_signal_process(lua_State *L);
int l_tail(lua_State *L);
void l_open_spawned(lua_State *L);

#endif
