/* metrics: a script's own counters, gauges and histograms in the engine's registry. They live as long as the engine, so
 * a reload keeps their values. C half: declare(type, name, help, labels, buckets) → family; update(family, op, values,
 * v). */
#include <errno.h>
#include <math.h>

#include "base/limits.h"
#include "base/str.h"
#include "core/metric.h"
#include "lua/effect.h"
#include "lua/l.h"

static size_t l_names(lua_State *L, int t, const char **out, size_t max, const char *who) {
  if (lua_isnoneornil(L, t)) return 0;
  luaL_checktype(L, t, LUA_TTABLE);
  size_t n = lua_rawlen(L, t);
  if (n > max) l_raise(L, "%s: at most %d labels", who, (int)max);
  for (size_t i = 0; i < n; i++) {
    if (lua_rawgeti(L, t, (lua_Integer)i + 1) != LUA_TSTRING) l_raise(L, "%s: labels: expected texts", who);
    out[i] = lua_tostring(L, -1); /* held by the table */
    lua_pop(L, 1);
  }
  return n;
}

static int l_declare(lua_State *L) {
  static const char *const types[] = {"counter", "gauge", "histogram", NULL};
  struct metric_spec spec = {.type = (enum metric_type)luaL_checkoption(L, 1, NULL, types)};
  const char *labels[LIMIT_METRIC_LABELS];
  double buckets[LIMIT_METRIC_BUCKETS];
  char who[64];
  spec.name = luaL_checkstring(L, 2);
  spec.help = luaL_checkstring(L, 3);
  snprintf(who, sizeof who, "metrics.%s", types[spec.type]);
  spec.labels = labels;
  spec.n_labels = l_names(L, 4, labels, ARRAY_LEN(labels), who);
  if (!lua_isnoneornil(L, 5)) {
    if (lua_type(L, 5) != LUA_TTABLE)
      return l_raise(L, "%s: %s: buckets: expected a list of numbers, got %s", who, spec.name, luaL_typename(L, 5));
    spec.n_buckets = lua_rawlen(L, 5);
    if (spec.n_buckets > ARRAY_LEN(buckets)) return l_raise(L, "%s: at most %d buckets", who, LIMIT_METRIC_BUCKETS);
    for (size_t i = 0; i < spec.n_buckets; i++) {
      lua_rawgeti(L, 5, (lua_Integer)i + 1);
      if (lua_type(L, -1) != LUA_TNUMBER)
        return l_raise(L, "%s: %s: buckets[%d]: expected a number, got %s", who, spec.name, (int)i + 1,
                       luaL_typename(L, -1));
      buckets[i] = lua_tonumber(L, -1);
      lua_pop(L, 1);
    }
    spec.buckets = buckets;
  }
  struct vm *vm = vm_of(L);
  struct metric *m = NULL;
  if (vm->host.metrics) {
    struct err err = ERR_INIT;
    m = metrics_declare(vm->host.metrics, &spec, &err);
    if (!m) return l_raise(L, "%s: %s", who, err.msg);
  }
  lua_pushlightuserdata(L, m);
  return 1;
}

/* update(family, op, values, v): op is add, set or observe; values in the order of the labels */
static int l_update(lua_State *L) {
  static const char *const ops[] = {"add", "set", "observe", NULL};
  static int (*const fn[])(struct metric * m, const char *const *values, double v) = {metric_add, metric_set,
                                                                                      metric_observe};
  struct metric *m = lua_touserdata(L, 1);
  int op = luaL_checkoption(L, 2, NULL, ops);
  const char *values[LIMIT_METRIC_LABELS] = {NULL};
  l_names(L, 3, values, ARRAY_LEN(values), "metrics");
  double v = luaL_checknumber(L, 4);
  if (!m || l_effect(L, "metrics", "%s %g", ops[op], v)) return 0;
  int rc = fn[op](m, values, v);
  if (rc == -EINVAL) return l_raise(L, "metrics: %f cannot be given here (a counter only grows)", v);
  return 0; /* no room: counted by the registry */
}

static int l_get(lua_State *L) {
  const struct metric *m = lua_touserdata(L, 1);
  const char *values[LIMIT_METRIC_LABELS] = {NULL};
  l_names(L, 2, values, ARRAY_LEN(values), "metrics");
  double v = m ? metric_get(m, values) : NAN;
  if (isnan(v))
    lua_pushnil(L);
  else
    lua_pushnumber(L, v);
  return 1;
}

int l_open_metrics(lua_State *L) {
  static const luaL_Reg functions[] = {{"declare", l_declare}, {"update", l_update}, {"get", l_get}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
