/* Lua values to JSON and back. Tables with keys 1..n are arrays, with text keys objects (in the order of their keys),
 * an empty one an object; mixed keys and holes are errors that name the place: "dependencies[2].timeout: …".
 */
#ifndef TEND_LUA_CONV_H
#define TEND_LUA_CONV_H

#include <lua.h>
#include <stdbool.h>

#include "base/json.h"

enum { CONV_FUNCTIONS = 1 /* a function becomes {"$fn": reference in the registry}; else it is an error */ };

/* The value at index i. Never raises. The caller owns *out. */
int conv_to_json(lua_State *L, int i, int flags, cJSON **out, struct err *err);
/* The same as text appended to out. */
int conv_to_text(lua_State *L, int i, struct buf *out, struct err *err);
/* The n topmost values as an array; trailing nils count. Never raises. */
int conv_results(lua_State *L, int n, cJSON **out, struct err *err);
/* Pushes the value; null inside objects is left out, inside arrays it is json.null. May raise (memory). */
void l_push_json(lua_State *L, const cJSON *v);
/* The same in a protected call: LUA_OK, or a status with the error on top. */
int conv_push_json(lua_State *L, const cJSON *v);
/* The bytes of b as a text, likewise. */
int conv_push_text(lua_State *L, const struct buf *b);
/* json.null */
#define CONV_NULL ((void *)0)

#endif
