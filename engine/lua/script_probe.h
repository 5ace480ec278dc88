/* Kinds of probes that are written in Lua: scripts/probes/NAME.lua gives { params = …, check = function(params) … }. A
 * kind is known to a generation from the moment when a script first names it, or its flow does.
 */
#ifndef TEND_LUA_SCRIPT_PROBE_H
#define TEND_LUA_SCRIPT_PROBE_H

#include "lua/l.h"

struct script_kind;

/* The kind of that name; NULL: it is not known (yet), or not written in Lua. */
const struct script_kind *script_kind_find(const struct vm *vm, const char *name);
void script_kinds_free(struct vm *vm);

/* For the C half of `probe`: script_path(kind) → path | nil; declare(kind, table) */
int l_script_path(lua_State *L);
int l_script_declare(lua_State *L);
int l_script_loader(lua_State *L); /* loader(fn): what makes a kind known */

/* Gives each dependency and check of the flow whose kind is written in Lua its function ("$probe"), and its parameters
 * as the function gets them. -EINVAL with the key in front. */
int script_kinds_bind(struct vm *vm, cJSON *flow, struct err *err);

/* One attempt of any kind, asked for from inside a task, on whose account it goes. Zero-initialised it is none. */
struct shot {
  struct vm *vm;
  struct probe *probe; /* of a kind of C */
  uint64_t task;       /* of one in Lua, which */
  bool waits;          /* is about to be started */
  const struct script_kind *kind;
  cJSON *params;
  int64_t begun_ns, deadline_ns;
  struct effects *effects;
  size_t memory_max;
  probe_done_fn *done;
  void *arg;
};

/* 0; -EINVAL for a wrong kind or parameter. done is called once, from the loop, unless it is cancelled. */
int shot_start(lua_State *L, struct shot *s, const char *kind, const cJSON *params, int64_t deadline_ns,
               probe_done_fn *done, void *arg, struct err *err);
bool shot_runs(const struct shot *s);
void shot_cancel(struct shot *s);

#endif
