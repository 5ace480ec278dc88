/* postgres: C half. connect(conninfo, seconds [, size, max_age]) → session | nil, err, with a size out of the pool of
 * that connection string; session:query(sql, {n =, …}, seconds) → rows, affected, tag | nil, err; session:close();
 * connection(name) → conninfo, seconds, size, max_age of a database in the settings; pool(conninfo) → its numbers |
 * nil; reset(conninfo) → how many connections. The part with libpq is loaded at the first call. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "loop/part.h"
#include "lua/conv.h"
#include "lua/effect.h"
#include "lua/l.h"
#include "lua/notices.h"
#include "tend/postgres.h"

#define META "tend.postgres"

struct request;

struct session {
  const struct tend_postgres *pg;
  struct tend_pg_session *pg_session; /* NULL: closed */
  struct request *asking;             /* a task waits for its answer */
  struct notices *notices;            /* NULL: nothing is listened to */
  char where[128];                    /* host, port, database and user, for messages */
};

/* One waiting call: it owns what it copies out of the callback. */
struct request {
  struct sched *sched;
  const struct tend_postgres *pg;
  struct tend_pg_session *opening;   /* until it is handed out */
  struct tend_pg_checkout *checkout; /* the same, of a pool */
  struct session *session;           /* held by the stack of the waiting task */
  uint64_t token;
  bool failed;
  char reason[32], sqlstate[6], message[ERR_MSG_MAX];
  int rows, columns;
  long long affected;
  char tag[64];
  unsigned *types;
  struct buf names; /* terminated texts one after the other */
  struct buf cells; /* for each: int32 length (-1: null), bytes */
};

static void request_free(void *arg) {
  struct request *r = arg;
  if (r->opening) r->pg->session_close(r->opening);
  if (r->checkout) r->pg->checkout_cancel(r->checkout);
  buf_free(&r->names);
  buf_free(&r->cells);
  free(r->types);
  free(r);
}

static void take_error(struct request *r, const struct tend_pg_error *error) {
  r->failed = true;
  str_copy(r->reason, sizeof r->reason, error->reason && *error->reason ? error->reason : "query");
  str_copy(r->sqlstate, sizeof r->sqlstate, error->sqlstate);
  str_copy(r->message, sizeof r->message, error->message ? error->message : "failed");
}

static int l_push_failure(lua_State *L, const struct request *r, const char *where) {
  l_fail(L, r->reason, "%s: %s", where, r->message);
  if (*r->sqlstate) {
    lua_pushstring(L, r->sqlstate);
    lua_setfield(L, -2, "sqlstate");
  }
  return 2;
}

static const struct tend_postgres *load(struct err *err) {
  const struct tend_part *part = part_load("postgres", err);
  return part ? part->ops : NULL;
}

/* --- connect --- */

static void connect_cancel(void *arg) { request_free(arg); }

static int l_push_session(lua_State *L, void *data) {
  struct request *r = data;
  struct session *s = r->session;
  if (r->failed) return l_push_failure(L, r, s->where);
  s->pg_session = r->opening;
  r->opening = NULL;
  lua_pushvalue(L, 5); /* the userdata made by l_connect */
  return 1;
}

static void on_open(void *arg, struct tend_pg_session *session, const struct tend_pg_error *error) {
  struct request *r = arg;
  r->checkout = NULL;
  if (error) {
    r->opening = NULL;
    take_error(r, error);
  } else {
    r->opening = session;
  }
  task_ready(r->sched, r->token, l_push_session, r, request_free);
}

static int l_connect(lua_State *L) {
  const char *conninfo = luaL_checkstring(L, 1);
  int64_t limit_ns = l_check_seconds(L, 2, "postgres.connect: timeout");
  lua_Integer size = luaL_optinteger(L, 3, 0);
  int64_t max_age_ns = size > 0 ? l_check_seconds(L, 4, "postgres.connect: max_age") : 0;
  lua_settop(L, 4);
  struct vm *vm = vm_of(L);
  struct err err = ERR_INIT;
  task_may_wait(L); /* tend check, without an engine, finds the same mistake */
  if (!vm->host.probes) return l_fail(L, "unavailable", "there are no databases here");
  const struct tend_postgres *pg = load(&err);
  if (!pg) return l_fail(L, "part", "%s", err.msg);
  struct session *s = lua_newuserdatauv(L, sizeof *s, 0);
  *s = (struct session){.pg = pg};
  luaL_setmetatable(L, META);
  pg->describe(conninfo, s->where, sizeof s->where);
  uint64_t token = task_wait(L);
  struct request *r = calloc(1, sizeof *r);
  if (!r) return l_raise(L, "postgres: no memory");
  r->sched = vm->host.sched;
  r->pg = pg;
  r->session = s;
  r->token = token;
  const struct tend_host *host = &vm->host.probes->host;
  const struct tend_pg_pool_options options = {(int)(size < 1000 ? size : 1000), max_age_ns};
  int64_t deadline = clock_mono_ns() + limit_ns;
  if (size > 0)
    r->checkout = pg->checkout(host, conninfo, &options, deadline, on_open, r, err.msg, sizeof err.msg);
  else
    r->opening = pg->session_open(host, conninfo, deadline, on_open, r, err.msg, sizeof err.msg);
  if (!r->opening && !r->checkout) {
    request_free(r);
    return l_fail(L, "config", "%s", err.msg);
  }
  return task_suspend(L, connect_cancel, r);
}

/* --- query --- */

enum {
  OID_BOOL = 16,
  OID_INT8 = 20,
  OID_INT2 = 21,
  OID_INT4 = 23,
  OID_OID = 26,
  OID_FLOAT4 = 700,
  OID_FLOAT8 = 701,
  OID_NUMERIC = 1700
};

static void l_push_cell(lua_State *L, unsigned type, const char *text, size_t n) {
  switch (type) {
    case OID_BOOL:
      lua_pushboolean(L, *text == 't');
      return;
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
    case OID_OID:
    case OID_FLOAT4:
    case OID_FLOAT8:
    case OID_NUMERIC:
      if (lua_stringtonumber(L, text) == n + 1) return;
      break; /* NaN, Infinity */
    default:
      break;
  }
  lua_pushlstring(L, text, n);
}

static int l_push_rows(lua_State *L, void *data) {
  const struct request *r = data;
  if (r->failed) return l_push_failure(L, r, r->session->where);
  luaL_checkstack(L, 8, "rows");
  lua_createtable(L, r->rows, 0);
  const char *cell = r->cells.data;
  for (int row = 1; row <= r->rows; row++) {
    lua_createtable(L, 0, r->columns);
    const char *name = buf_cstr(&r->names);
    for (int c = 0; c < r->columns; c++, name += strlen(name) + 1) {
      int32_t n;
      memcpy(&n, cell, sizeof n);
      cell += sizeof n;
      if (n < 0) continue;
      l_push_cell(L, r->types[c], cell, (size_t)n);
      lua_setfield(L, -2, name);
      cell += n + 1;
    }
    lua_rawseti(L, -2, row);
  }
  lua_pushinteger(L, r->affected);
  lua_pushstring(L, r->tag);
  return 3;
}

static void take_result(struct request *r, const struct tend_pg_result *result) {
  r->rows = result->rows;
  r->columns = result->columns;
  r->affected = result->affected;
  str_copy(r->tag, sizeof r->tag, result->tag ? result->tag : "");
  r->types = calloc((size_t)result->columns + 1, sizeof *r->types);
  r->cells.max = (size_t)LIMIT_LUA_MB << 20;
  for (int c = 0; c < result->columns && r->types; c++) {
    const char *name = result->name(result, c);
    r->types[c] = result->type(result, c);
    buf_add(&r->names, name, strlen(name) + 1);
  }
  for (int row = 0; row < result->rows && !r->cells.failed; row++) {
    for (int c = 0; c < result->columns; c++) {
      size_t n = 0;
      const char *text = result->value(result, row, c, &n);
      int32_t len = text ? (int32_t)n : -1;
      buf_add(&r->cells, &len, sizeof len);
      if (text) buf_add(&r->cells, text, n);
      if (text) buf_char(&r->cells, 0);
    }
  }
  if (r->types && !r->cells.failed && !r->names.failed) return;
  r->failed = true;
  str_copy(r->reason, sizeof r->reason, "memory");
  snprintf(r->message, sizeof r->message, "the result is too big (%d rows)", result->rows);
}

static void on_result(void *arg, const struct tend_pg_result *result, const struct tend_pg_error *error) {
  struct request *r = arg;
  r->session->asking = NULL;
  if (error)
    take_error(r, error);
  else
    take_result(r, result);
  task_ready(r->sched, r->token, l_push_rows, r, request_free);
}

/* Nothing else ends a running query without blocking: its connection goes. */
static void query_cancel(void *arg) {
  struct request *r = arg;
  struct session *s = r->session;
  if (s->notices) notices_take(s->notices, NULL, NULL, 0);
  r->pg->session_close(s->pg_session);
  s->pg_session = NULL;
  s->asking = NULL;
  request_free(r);
}

static const char *l_param(lua_State *L, int t, int i) {
  switch (lua_rawgeti(L, t, i)) {
    case LUA_TNIL:
      return NULL;
    case LUA_TBOOLEAN:
      return lua_toboolean(L, -1) ? "true" : "false";
    case LUA_TNUMBER: {
      const char *text = luaL_tolstring(L, -1, NULL);
      return text;
    }
    case LUA_TSTRING: {
      size_t n;
      const char *text = lua_tolstring(L, -1, &n);
      if (strlen(text) != n) l_raise(L, "postgres: parameter %d has a NUL byte", i);
      return text;
    }
    default:
      l_raise(L, "postgres: parameter %d: expected text, number, boolean or nil, got %s", i, luaL_typename(L, -1));
      return NULL;
  }
}

static int l_query(lua_State *L) {
  struct session *s = luaL_checkudata(L, 1, META);
  const char *sql = luaL_checkstring(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  int64_t limit_ns = l_check_seconds(L, 4, "postgres: timeout");
  lua_settop(L, 4);
  lua_getfield(L, 3, "n");
  int n = (int)luaL_optinteger(L, -1, 0);
  if (n < 0 || n > 1000) return l_raise(L, "postgres: at most 1000 parameters");
  const char **texts = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *texts, 0);
  luaL_checkstack(L, 2 * n + 8, "parameters");
  for (int i = 0; i < n; i++) texts[i] = l_param(L, 3, i + 1); /* they stay on the stack */
  if (!s->pg_session) return l_fail(L, "closed", "%s: the connection is closed", s->where);
  if (!effect_sql_reads(sql) && l_effect(L, "postgres.query", "%s", sql)) {
    lua_newtable(L);
    lua_pushinteger(L, 0);
    return 2;
  }
  struct vm *vm = vm_of(L);
  uint64_t token = task_wait(L);
  struct request *r = calloc(1, sizeof *r);
  if (!r) return l_raise(L, "postgres: no memory");
  r->sched = vm->host.sched;
  r->pg = s->pg;
  r->session = s;
  r->token = token;
  const struct tend_pg_params params = {n, texts};
  int rc = s->pg->session_query(s->pg_session, sql, &params, clock_mono_ns() + limit_ns, on_result, r);
  if (!rc) {
    s->asking = r;
    return task_suspend(L, query_cancel, r);
  }
  request_free(r);
  if (rc == -EBUSY) return l_raise(L, "postgres: a query runs on this connection already; open another one");
  if (rc == -ENOTCONN) return l_fail(L, "closed", "%s: the connection is gone", s->where);
  return l_fail_code(L, -rc, s->where);
}

static int l_close(lua_State *L) {
  struct session *s = luaL_checkudata(L, 1, META);
  struct request *r = s->asking;
  s->asking = NULL;
  if (s->pg_session && s->notices) s->pg->session_on_notify(s->pg_session, NULL, NULL);
  notices_free(s->notices);
  s->notices = NULL;
  if (r && s->pg_session)
    s->pg->session_close(s->pg_session);
  else
    s->pg->session_release(s->pg_session);
  s->pg_session = NULL;
  if (r) { /* another task's, which hears nothing from the part any more */
    take_error(r, &(struct tend_pg_error){.reason = "closed", .message = "the connection was closed under the query"});
    task_ready(r->sched, r->token, l_push_rows, r, request_free);
  }
  return 0;
}

/* hear(): notifications are kept from now on */
static int l_hear(lua_State *L) {
  struct session *s = luaL_checkudata(L, 1, META);
  if (s->notices || !s->pg_session) return 0;
  s->notices = notices_new(vm_of(L));
  if (!s->notices) return l_raise(L, "postgres: no memory");
  s->pg->session_on_notify(s->pg_session, notices_take, s->notices);
  return 0;
}

/* notice(seconds or nil) → table | nil, err */
static int l_notice(lua_State *L) {
  const struct session *s = luaL_checkudata(L, 1, META);
  int64_t limit_ns = lua_isnoneornil(L, 2) ? TIME_NEVER : l_check_seconds(L, 2, "postgres: timeout");
  if (!s->pg_session) return l_fail(L, "closed", "%s: the connection is closed", s->where);
  if (!s->notices) return l_raise(L, "postgres: this connection listens to nothing; call listen first");
  return l_next_notice(L, s->notices, limit_ns, s->where);
}

/* connection(name) → conninfo, seconds, size, max_age; nil, setting when it has no connection string; nil when there is
 * none so named
 */
static int l_connection(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  struct setting_database db;
  for (size_t i = 0; settings_database(vm_of(L)->host.settings, i, &db); i++) {
    if (!STR_EQ(db.name, name)) continue;
    lua_pushstring(L, db.connection);
    if (!db.connection) {
      lua_pushstring(L, db.setting);
      return 2;
    }
    lua_pushnumber(L, (lua_Number)db.timeout_ns / (lua_Number)NS_PER_S);
    lua_pushinteger(L, db.pool_size);
    lua_pushnumber(L, (lua_Number)db.pool_max_age_ns / (lua_Number)NS_PER_S);
    return 4;
  }
  lua_pushnil(L);
  return 1;
}

static const struct tend_postgres *loaded(void) {
  const struct tend_part *part = part_find("postgres");
  return part ? part->ops : NULL;
}

static int l_pool(lua_State *L) {
  const struct tend_postgres *pg = loaded();
  struct tend_pg_pool_stats st;
  if (!pg || !pg->pool_stats(luaL_checkstring(L, 1), &st)) {
    lua_pushnil(L);
    return 1;
  }
  const struct {
    const char *name;
    lua_Number value;
  } fields[] = {{"size", st.size},
                {"idle", st.idle},
                {"used", st.used},
                {"waiting", st.waiting},
                {"opened", (lua_Number)st.opened},
                {"dropped", (lua_Number)st.dropped},
                {"oldest", (lua_Number)st.oldest_ns / (lua_Number)NS_PER_S}};
  lua_createtable(L, 0, ARRAY_LEN(fields));
  for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
    lua_pushnumber(L, fields[i].value);
    lua_setfield(L, -2, fields[i].name);
  }
  return 1;
}

static int l_reset(lua_State *L) {
  const char *conninfo = luaL_checkstring(L, 1);
  const struct tend_postgres *pg = loaded();
  lua_pushinteger(L, pg ? pg->pool_reset(conninfo) : 0);
  return 1;
}

int l_open_postgres(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"connect", l_connect}, {"connection", l_connection}, {"pool", l_pool}, {"reset", l_reset}, {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"query", l_query}, {"close", l_close}, {"hear", l_hear}, {"notice", l_notice}, {NULL, NULL}};
  l_class(L, META, methods, l_close);
  luaL_newlib(L, functions);
  l_set_fail(L);
  return 1;
}
