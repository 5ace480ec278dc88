/* What a task may do to the world outside of Lua. Every primitive that acts (starts a command, writes a file, sends
 * something, asks the engine to change) says so with l_effect before it acts; reading and probing are no effects.
 * A guard rail for chunks of `tend repl --read-only` and `--dry`, not a wall.
 */
#ifndef TEND_LUA_EFFECT_H
#define TEND_LUA_EFFECT_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum effects_mode {
  EFFECTS_ACT,
  EFFECTS_REFUSE, /* an effect raises an error with code "read_only" */
  EFFECTS_LIST,   /* an effect is put on the list and not done */
};

/* Belongs to whoever started the task; lives longer than it. */
struct effects {
  enum effects_mode mode;
  struct buf list; /* a line each: "process.run\tsh -c …"; with a bound of its own, beyond which lines are counted */
  size_t left_out;
};

/* True: it is only listed, the primitive returns what a success would. False: go on. Raises where it is refused. */
bool l_effect(lua_State *L, const char *what, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Whether a statement only reads, or frames others, as far as its words tell: SELECT may call a function that writes.
 */
bool effect_sql_reads(const char *sql);
/* Whether effects are done, for what has to be prepared first. */
bool effects_act(lua_State *L);

#endif
