/* The globals that scripts see: the harmless part of Lua's own, strict about names, with a require of our own. One
 * place lists what is opened. A guard rail for people who make mistakes, not a wall. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/str.h"
#include "lua/conv.h"
#include "lua/l.h"

/* --- strict globals --- */

static int l_unknown_global(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING) return 0;
  const char *name = lua_tostring(L, 2);
  if (l_open_module(L, name)) return 1;
  const char *names[256];
  size_t n = 0;
  for (; module_name(n); n++) names[n] = module_name(n);
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING && n < ARRAY_LEN(names)) names[n++] = lua_tostring(L, -1);
  }
  const char *near = str_nearest(name, names, n);
  return luaL_error(L, "variable \"%s\" is not defined%s%s%s", name, near ? "; did you mean \"" : "", near ? near : "",
                    near ? "\"?" : "");
}

static int l_new_global(lua_State *L) {
  const char *name = luaL_tolstring(L, 2, NULL);
  lua_pushglobaltable(L);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, -2) != LUA_TNIL) return luaL_error(L, "variable \"%s\" is tend's own and cannot be changed", name);
  return luaL_error(L, "variable \"%s\" is not declared: write local %s = …", name, name);
}

/* --- what is replaced --- */

/* setmetatable without __gc: hooks are off in finalizers, so nothing could end one that loops */
static int l_setmetatable(lua_State *L) {
  if (lua_type(L, 2) == LUA_TTABLE) {
    lua_pushliteral(L, "__gc");
    if (lua_rawget(L, 2) != LUA_TNIL)
      return luaL_error(L, "setmetatable: __gc is not possible here; use <close> or a cleanup handler");
    lua_pop(L, 1);
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  return 1;
}

static int l_collectgarbage(lua_State *L) {
  static const char *const what[] = {"collect", "count", "step", NULL};
  int i = luaL_checkoption(L, 1, "collect", what);
  if (i == 1)
    lua_pushnumber(L, (lua_Number)vm_memory(vm_of(L)) / 1024);
  else
    lua_pushinteger(L, lua_gc(L, i == 0 ? LUA_GCCOLLECT : LUA_GCSTEP, 0));
  return 1;
}

/* --- require --- */

/* Where all symbolic links lead, a script must be below its directory: one that leads elsewhere is refused. (Those of a
 * ConfigMap lead to another name in the same volume.) */
static bool is_inside(const struct vm *vm, const char *dirs, size_t len, const char *path) {
  char dir[PATH_MAX], real_dir[PATH_MAX], real_path[PATH_MAX];
  if (vm->host.given) return true;
  snprintf(dir, sizeof dir, "%.*s", (int)len, dirs);
  if (!realpath(dir, real_dir) || !realpath(path, real_path)) return true; /* reading it tells why */
  size_t n = strlen(real_dir);
  return strncmp(real_path, real_dir, n) == 0 && (real_path[n] == '/' || n == 1);
}

/* Searches "DIR:DIR" for name with dots as slashes; the path found is in out. */
static bool l_search(lua_State *L, struct vm *vm, const char *dirs, const char *name, char *out, size_t size) {
  char file[256];
  size_t n = strlen(name);
  if (n >= sizeof file) return false;
  for (size_t i = 0; i <= n; i++) file[i] = name[i] == '.' ? '/' : name[i];
  while (dirs && *dirs) {
    size_t len = strcspn(dirs, ":");
    for (int init = 0; init < 2 && len; init++) {
      snprintf(out, size, "%.*s/%s%s.lua", (int)len, dirs, file, init ? "/init" : "");
      if (!script_exists(vm, out)) continue;
      if (is_inside(vm, dirs, len, out)) return true;
      luaL_error(L, "require: %s leads out of its directory, where no script is loaded from", out);
    }
    dirs += len + (dirs[len] == ':');
  }
  return false;
}

/* The name nearest to one that is not there, of the scripts of its directory. near: "" or one of another list. */
static void find_near(const char *dirs, const char *name, char *near, size_t size) {
  const char *dot = strrchr(name, '.');
  int above = dot ? (int)(dot - name) : 0;
  while (dirs && *dirs) {
    size_t len = strcspn(dirs, ":");
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%.*s/%.*s", (int)len, dirs, above, name) >= sizeof path) return;
    for (char *p = path + len; *p; p++)
      if (*p == '.') *p = '/';
    DIR *d = opendir(path);
    for (const struct dirent *e; d && (e = readdir(d));) {
      if (!str_ends(e->d_name, ".lua")) continue;
      char found[512];
      snprintf(found, sizeof found, "%.*s%s%.*s", above, name, dot ? "." : "", (int)strlen(e->d_name) - 4, e->d_name);
      const char *const names[] = {found, near};
      if (str_nearest(name, names, *near ? 2 : 1) == found && strlen(found) < size) str_copy(near, size, found);
    }
    if (d) closedir(d);
    dirs += len + (dirs[len] == ':');
  }
}

/* Leaves the compiled chunk on the stack; raises. The buffer is freed before anything raises. */
static void l_compile_module(lua_State *L, const char *name, char *path, size_t size) {
  struct vm *vm = vm_of(L);
  struct err err = ERR_INIT;
  size_t n;
  const char *text = embedded_script(name, &n);
  int rc;
  if (text) {
    snprintf(path, size, "scripts/%s.lua", name);
    for (char *p = path + 8; *p && !STR_EQ(p, ".lua"); p++)
      if (*p == '.') *p = '/';
    rc = script_compile(L, text, n, path, &err);
  } else if (l_search(L, vm, vm->host.scripts, name, path, size) || l_search(L, vm, vm->host.flows, name, path, size)) {
    struct buf b = {0};
    rc = script_source(vm, path, &b, &err);
    if (!rc) rc = script_compile(L, buf_cstr(&b), b.len, path, &err);
    buf_free(&b);
  } else {
    char near[256] = "";
    find_near(vm->host.scripts, name, near, sizeof near);
    find_near(vm->host.flows, name, near, sizeof near);
    luaL_error(L, "require: there is no script \"%s\" in %s%s%s%s%s%s", name,
               vm->host.scripts ? vm->host.scripts : "(none)", vm->host.flows ? " or " : "",
               vm->host.flows ? vm->host.flows : "", *near ? "; did you mean \"" : "", near, *near ? "\"?" : "");
    return;
  }
  if (rc) luaL_error(L, "%s", err.msg);
}

/* The script has run, maybe in slices. An error inside must leave the name free for the next try. */
static int l_required(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  const char *name = lua_tostring(L, 1);
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_pushnil(L);
    lua_setfield(L, 2, name);
    return lua_error(L);
  }
  if (lua_isnil(L, -1)) {
    lua_pushboolean(L, 1);
    lua_replace(L, -2);
  }
  lua_pushvalue(L, -1);
  lua_setfield(L, 2, name);
  return 1;
}

static int l_require(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  if (!*name || strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") != strlen(name) ||
      strstr(name, ".."))
    return luaL_error(L, "require: \"%s\" is no name of a script, e.g. \"policies.database\"", name);
  lua_settop(L, 1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LOADED_SCRIPTS);
  if (lua_getfield(L, 2, name) != LUA_TNIL) {
    if (lua_islightuserdata(L, -1)) return luaL_error(L, "require: \"%s\" requires itself in a circle", name);
    return 1;
  }
  if (l_open_module(L, name)) return 1;
  char path[512];
  l_compile_module(L, name, path, sizeof path);
  lua_pushlightuserdata(L, L);
  lua_setfield(L, 2, name);
  lua_pushstring(L, name);
  lua_pushstring(L, path);
  return l_required(L, lua_pcallk(L, 2, 1, 0, 0, l_required), 0);
}

/* --- opening --- */

static void keep_only(lua_State *L, const char *const *names) {
  lua_newtable(L);
  for (; *names; names++) {
    lua_getfield(L, -2, *names);
    lua_setfield(L, -2, *names);
  }
  lua_remove(L, -2);
}

static void wrap_global(lua_State *L, const char *name, lua_CFunction fn) {
  lua_getglobal(L, name);
  lua_pushcclosure(L, fn, 1);
  lua_setglobal(L, name);
}

/* What follows works in C as long as its numbers say, and nothing can interrupt it: numbers that no data has are
 * refused. */

enum { MOVE_MAX = 10000000 };
#define REP_MAX (INT64_C(1) << 40)

/* In the same frame, so that its errors name what the script called. */
static int call_wrapped(lua_State *L) { return lua_tocfunction(L, lua_upvalueindex(1))(L); }

/* Copied in ever larger pieces: the library's own does it one by one. */
static int l_rep(lua_State *L) {
  size_t text = 0, separator = 0;
  const char *from = luaL_checklstring(L, 1, &text);
  lua_Integer n = luaL_checkinteger(L, 2);
  const char *between = luaL_optlstring(L, 3, "", &separator);
  if (n < 1 || !(text + separator)) {
    lua_pushliteral(L, "");
    return 1;
  }
  size_t period = text + separator;
  if (period > REP_MAX / (size_t)n) return luaL_error(L, "resulting string too large");
  size_t size = period * (size_t)n - separator;
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, size + separator);
  memcpy(to, from, text);
  memcpy(to + text, between, separator);
  for (size_t done = period; done < size; done *= 2) memcpy(to + done, to, done < size - done ? done : size - done);
  luaL_pushresultsize(&b, size);
  return 1;
}

static int l_move(lua_State *L) {
  lua_Integer from = luaL_checkinteger(L, 2), to = luaL_checkinteger(L, 3);
  if (to >= from && (lua_Unsigned)to - (lua_Unsigned)from >= MOVE_MAX)
    return luaL_argerror(L, 3, "more than 10 million elements");
  return call_wrapped(L);
}

/* table.insert and table.remove move what comes after the place. */
static int l_shift(lua_State *L) {
  luaL_checkany(L, 1);
  if (luaL_len(L, 1) > MOVE_MAX) return luaL_argerror(L, 1, "more than 10 million elements");
  return call_wrapped(L);
}

/* Of the library on top. */
static void wrap_member(lua_State *L, const char *name, lua_CFunction fn) {
  lua_getfield(L, -1, name);
  lua_pushcclosure(L, fn, 1);
  lua_setfield(L, -2, name);
}

static void adapt_table(lua_State *L) {
  wrap_member(L, "move", l_move);
  wrap_member(L, "insert", l_shift);
  wrap_member(L, "remove", l_shift);
  wrap_member(L, "sort", l_sort);
}

/* Methods of texts are the same functions, and their table is nobody's to change. */
static void adapt_string(lua_State *L) {
  wrap_member(L, "gsub", l_gsub);
  lua_pushcfunction(L, l_rep);
  lua_setfield(L, -2, "rep");
  lua_pushliteral(L, "");
  lua_getmetatable(L, -1);
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 2);
}

static const char *const os_names[] = {"clock", "date", "difftime", "time", NULL};
static const char *const string_names[] = {"byte",    "char",  "find",   "format", "gmatch",   "gsub",
                                           "len",     "lower", "match",  "pack",   "packsize", "rep",
                                           "reverse", "sub",   "unpack", "upper",  NULL};

static const struct library {
  const char *name;
  lua_CFunction open;
  const char *const *names; /* what of it; NULL: all */
  void (*adapt)(lua_State *L);
} libraries[] = {
    {"string", luaopen_string, string_names, adapt_string},
    {"table", luaopen_table, NULL, adapt_table},
    {"math", luaopen_math, NULL, NULL},
    {"utf8", luaopen_utf8, NULL, NULL},
    {"os", luaopen_os, os_names, NULL},
    {"coroutine", l_open_coroutine, NULL, NULL},
};

const char *library_name(size_t i) { return i < ARRAY_LEN(libraries) ? libraries[i].name : NULL; }

void l_note_loaded(lua_State *L, const char *name) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LOADED_SCRIPTS);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

void l_set_global(lua_State *L, const char *name) {
  lua_pushglobaltable(L);
  lua_pushstring(L, name);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

static void l_open_library(lua_State *L, const struct library *l) {
  lua_pushcfunction(L, l->open);
  lua_pushstring(L, l->name);
  lua_call(L, 1, 1);
  if (l->names) keep_only(L, l->names);
  if (l->adapt) l->adapt(L);
  l_read_only(L, l->name);
  l_note_loaded(L, l->name);
  l_set_global(L, l->name);
}

bool l_open_late(lua_State *L, const char *name) {
  for (size_t i = 0; i < ARRAY_LEN(libraries); i++) {
    if (!STR_EQ(libraries[i].name, name)) continue;
    l_open_library(L, &libraries[i]);
    return true;
  }
  if (!STR_EQ(name, "xpcall")) return false;
  lua_pushnil(L);
  l_lua_half(L, "xpcall");
  l_set_global(L, name);
  return true;
}

int l_open_base(lua_State *L) {
  static const char *const globals[] = {"assert", "error",        "getmetatable", "ipairs",   "load",   "next",
                                        "pairs",  "pcall",        "rawequal",     "rawget",   "rawlen", "rawset",
                                        "select", "setmetatable", "tonumber",     "tostring", "type",   "_VERSION",
                                        NULL};
  lua_pushcfunction(L, luaopen_base);
  lua_call(L, 0, 1);
  lua_pop(L, 1);
  /* the table of globals stays the same one, what is not listed goes */
  lua_pushglobaltable(L);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pop(L, 1);
    const char *key = lua_tostring(L, -1);
    bool keep = false;
    for (const char *const *g = globals; *g && !keep; g++) keep = STR_EQ(*g, key);
    if (keep) continue;
    lua_pushvalue(L, -1);
    lua_pushnil(L);
    lua_rawset(L, -4);
  }
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "_G");
  lua_pop(L, 1);
  l_open_read_only(L);
  lua_register(L, "print", l_print_task);
  lua_register(L, "require", l_require);
  lua_register(L, "collectgarbage", l_collectgarbage);
  wrap_global(L, "load", l_load);
  wrap_global(L, "setmetatable", l_setmetatable);
  l_open_library(L, &libraries[0]); /* arithmetic with texts is in it, too; the others wait until they are named */
  lua_pop(L, 1);
  return 0;
}

static const char environment; /* its address: key in the registry */

void l_give_environment(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &environment) == LUA_TTABLE)
    lua_setupvalue(L, -2, 1);
  else
    lua_pop(L, 1);
}

/* What scripts call _G, and their environment. */
static void l_make_environment(lua_State *L) {
  lua_pushglobaltable(L);
  l_read_only(L, "_G");
  lua_getmetatable(L, -1);
  lua_pushcfunction(L, l_new_global);
  lua_setfield(L, -2, "__newindex");
  lua_pop(L, 1);
  lua_pushglobaltable(L);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "_G");
  lua_pop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &environment);
}

/* Called last: from here on a new global is a mistake. */
int l_close_globals(lua_State *L) {
  l_make_environment(L);
  lua_pushglobaltable(L);
  lua_createtable(L, 0, 3);
  lua_pushcfunction(L, l_unknown_global);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, l_new_global);
  lua_setfield(L, -2, "__newindex");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
  return 0;
}
