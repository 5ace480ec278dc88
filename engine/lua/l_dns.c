/* dns: resolve(name, seconds) → addresses | nil, err. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "probes/resolve.h"
#include "lua/l.h"

struct question {
  struct sched *sched;
  struct resolve *resolve;
  uint64_t token;
  char reason[32], detail[256]; /* reason "": answered */
  size_t n;
  char addresses[RESOLVE_MAX][64];
};

static void question_free(void *arg) {
  struct question *q = arg;
  resolve_cancel(q->resolve);
  free(q);
}

static int l_push_answer(lua_State *L, void *data) {
  const struct question *q = data;
  if (*q->reason) return l_fail(L, q->reason, "%s", q->detail);
  lua_createtable(L, (int)q->n, 0);
  for (size_t i = 0; i < q->n; i++) {
    lua_pushstring(L, q->addresses[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static void on_resolved(void *arg, const struct tend_addresses *found) {
  struct question *q = arg;
  q->resolve = NULL;
  for (; q->n < found->n; q->n++) resolve_format(&found->list[q->n], q->addresses[q->n], sizeof q->addresses[0]);
  if (!found->n) {
    str_copy(q->reason, sizeof q->reason, found->reason);
    str_copy(q->detail, sizeof q->detail, found->detail);
  }
  task_ready(q->sched, q->token, l_push_answer, q, question_free);
}

static int l_resolve(lua_State *L) {
  size_t n;
  const char *name = luaL_checklstring(L, 1, &n);
  if (strlen(name) != n) return l_raise(L, "dns.resolve: the name has a NUL byte");
  int64_t limit_ns = l_check_seconds(L, 2, "dns.resolve: timeout");
  struct vm *vm = vm_of(L);
  uint64_t token = task_wait(L);
  struct question *q = calloc(1, sizeof *q);
  if (q) {
    q->sched = vm->host.sched;
    q->token = token;
    q->resolve = resolve_start(vm->host.loop, name, 0, clock_mono_ns() + limit_ns, on_resolved, q);
  }
  if (!q || !q->resolve) {
    free(q);
    return l_raise(L, "dns.resolve: no memory");
  }
  return task_suspend(L, question_free, q);
}

int l_open_dns(lua_State *L) {
  static const luaL_Reg functions[] = {{"resolve", l_resolve}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
