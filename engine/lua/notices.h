/* What NOTIFY sends to a session of a script: kept, in order, until somebody asks for it. One task at a time waits. */
#ifndef TEND_LUA_NOTICES_H
#define TEND_LUA_NOTICES_H

#include "lua/l.h"

struct notices;

struct notices *notices_new(struct vm *vm); /* NULL: no memory */
/* A waiting task gets nil, "closed". NULL is allowed. */
void notices_free(struct notices *n);
/* A tend_pg_notify_fn. */
void notices_take(void *notices, const char *channel, const char *payload, int pid);
/* The next one, as a table; waits for limit_ns (TIME_NEVER: as long as it takes). where: for messages. The caller's
 * session must stay on the stack. */
int l_next_notice(lua_State *L, struct notices *n, int64_t limit_ns, const char *where);

#endif
