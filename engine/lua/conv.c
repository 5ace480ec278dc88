#include "lua/conv.h"

#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/limits.h"
#include "base/str.h"

struct conv {
  int flags;
  cJSON *root; /* holds every node that was made, so that nothing is lost when Lua raises */
  struct err *err;
  int rc;
  char path[256];
};

static cJSON *convert(lua_State *L, struct conv *c, cJSON *parent, const char *key, int depth);

static int wrong(struct conv *c, const char *what) {
  if (!c->rc) c->rc = err_set(c->err, -EINVAL, "%s%s%s", c->path, *c->path ? ": " : "", what);
  return c->rc;
}

/* Keys that a flow may have a thousand times are not kept as often. */
static const char *shared_key(const char *key) {
  static const char *const keys[] = {"name", "kind", "params",  "interval", "timeout", "host",
                                     "port", "path", "command", "role",     "process", "url"};
  for (size_t i = 0; i < ARRAY_LEN(keys); i++)
    if (STR_EQ(keys[i], key)) return keys[i];
  return NULL;
}

static cJSON *attach(struct conv *c, cJSON *parent, const char *key, cJSON *v) {
  if (!v) {
    if (!c->rc) c->rc = err_set(c->err, -ENOMEM, "no memory to convert a value");
    return NULL;
  }
  bool ok = true;
  if (!parent)
    c->root = v;
  else if (key)
    ok = shared_key(key) ? cJSON_AddItemToObjectCS(parent, shared_key(key), v) : cJSON_AddItemToObject(parent, key, v);
  else
    ok = cJSON_AddItemToArray(parent, v);
  if (ok) return v;
  cJSON_Delete(v);
  c->rc = err_set(c->err, -ENOMEM, "no memory to convert a value");
  return NULL;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* The keys of the table on top: their number, and how many are text and how many are 1..n. */
static size_t count_keys(lua_State *L, size_t *texts, size_t *positions) {
  size_t n = 0;
  lua_Integer len = (lua_Integer)lua_rawlen(L, -1);
  *texts = *positions = 0;
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pop(L, 1);
    n++;
    if (lua_type(L, -1) == LUA_TSTRING)
      ++*texts;
    else if (lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 1 && lua_tointeger(L, -1) <= len)
      ++*positions;
  }
  return n;
}

static void convert_object(lua_State *L, struct conv *c, cJSON *object, size_t n, int depth) {
  /* garbage of Lua's, so that it goes whatever happens */
  const char **keys = lua_newuserdatauv(L, n * sizeof *keys, 0);
  lua_insert(L, -2);
  size_t k = 0;
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pop(L, 1);
    if (k < n) keys[k++] = lua_tostring(L, -1);
  }
  qsort(keys, k, sizeof *keys, by_text);
  size_t end = strlen(c->path);
  for (size_t i = 0; i < k && !c->rc; i++) {
    snprintf(c->path + end, sizeof c->path - end, "%s%s", end ? "." : "", keys[i]);
    lua_pushstring(L, keys[i]);
    lua_rawget(L, -2);
    convert(L, c, object, keys[i], depth + 1);
    lua_pop(L, 1);
    c->path[end] = 0;
  }
  lua_remove(L, -2);
}

static void convert_array(lua_State *L, struct conv *c, cJSON *array, size_t n, int depth) {
  size_t end = strlen(c->path);
  for (size_t i = 1; i <= n && !c->rc; i++) {
    snprintf(c->path + end, sizeof c->path - end, "[%zu]", i);
    lua_rawgeti(L, -1, (lua_Integer)i);
    convert(L, c, array, NULL, depth + 1);
    lua_pop(L, 1);
    c->path[end] = 0;
  }
}

static cJSON *convert_table(lua_State *L, struct conv *c, cJSON *parent, const char *key, int depth) {
  if (depth > LIMIT_JSON_DEPTH) {
    wrong(c, "tables are nested too deep (or in a circle)");
    return NULL;
  }
  luaL_checkstack(L, 8, "nested tables");
  size_t texts;
  size_t positions;
  size_t n = count_keys(L, &texts, &positions);
  bool array = n && positions == n && lua_rawlen(L, -1) == n;
  if (!array && texts != n) {
    wrong(c, texts ? "a table has both named keys and positions" : "a list has holes (nil in between)");
    return NULL;
  }
  cJSON *v = attach(c, parent, key, array ? cJSON_CreateArray() : cJSON_CreateObject());
  if (!v) return NULL;
  if (array)
    convert_array(L, c, v, n, depth);
  else if (n)
    convert_object(L, c, v, n, depth);
  return v;
}

static cJSON *convert_number(lua_State *L, struct conv *c, cJSON *parent, const char *key) {
  lua_Number d = lua_tonumber(L, -1);
  if (!isfinite(d)) {
    wrong(c, "the number is not finite");
    return NULL;
  }
  if (lua_isinteger(L, -1)) {
    lua_Integer i = lua_tointeger(L, -1);
    if (i > (INT64_C(1) << 53) || i < -(INT64_C(1) << 53)) {
      wrong(c, "the integer is above 2^53 and would not survive; give it as text");
      return NULL;
    }
  }
  return attach(c, parent, key, cJSON_CreateNumber(d));
}

/* Converts the value on top. */
static cJSON *convert(lua_State *L, struct conv *c, cJSON *parent, const char *key, int depth) {
  switch (lua_type(L, -1)) {
    case LUA_TNIL:
      return attach(c, parent, key, cJSON_CreateNull());
    case LUA_TBOOLEAN:
      return attach(c, parent, key, cJSON_CreateBool(lua_toboolean(L, -1)));
    case LUA_TNUMBER:
      return convert_number(L, c, parent, key);
    case LUA_TSTRING: {
      size_t n;
      const char *s = lua_tolstring(L, -1, &n);
      if (memchr(s, 0, n)) {
        wrong(c, "the text has a NUL byte");
        return NULL;
      }
      return attach(c, parent, key, cJSON_CreateString(s));
    }
    case LUA_TTABLE:
      return convert_table(L, c, parent, key, depth);
    case LUA_TFUNCTION:
      if (c->flags & CONV_FUNCTIONS) {
        cJSON *v = attach(c, parent, key, cJSON_CreateObject());
        if (!v) return NULL;
        lua_pushvalue(L, -1);
        attach(c, v, "$fn", cJSON_CreateNumber(luaL_ref(L, LUA_REGISTRYINDEX)));
        return v;
      }
      break;
    case LUA_TLIGHTUSERDATA:
      if (lua_touserdata(L, -1) == CONV_NULL) return attach(c, parent, key, cJSON_CreateNull());
      break;
    default:
      break;
  }
  char what[64];
  snprintf(what, sizeof what, "a %s cannot be converted to JSON", luaL_typename(L, -1));
  wrong(c, what);
  return NULL;
}

static int l_convert(lua_State *L) {
  struct conv *c = lua_touserdata(L, 1);
  lua_remove(L, 1);
  convert(L, c, NULL, NULL, 0);
  return 0;
}

static int run(lua_State *L, int i, struct conv *c, cJSON **out) {
  i = lua_absindex(L, i);
  if (!lua_checkstack(L, 4)) return err_set(c->err, -ENOMEM, "no memory to convert a value");
  lua_pushcfunction(L, l_convert);
  lua_pushlightuserdata(L, c);
  lua_pushvalue(L, i);
  if (lua_pcall(L, 2, 0, 0)) {
    if (!c->rc) c->rc = err_set(c->err, -ENOMEM, "%s", lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "?");
    lua_pop(L, 1);
  }
  if (c->rc) {
    cJSON_Delete(c->root);
    return c->rc;
  }
  *out = c->root;
  return 0;
}

int conv_to_json(lua_State *L, int i, int flags, cJSON **out, struct err *err) {
  struct conv c = {.flags = flags, .err = err};
  return run(L, i, &c, out);
}

int conv_to_text(lua_State *L, int i, struct buf *out, struct err *err) {
  auto_json cJSON *v = NULL;
  int rc = conv_to_json(L, i, 0, &v, err);
  if (rc) return rc;
  struct json j = JSON_INIT(out);
  json_value(&j, NULL, v);
  return out->failed ? err_set(err, -E2BIG, "the JSON text is too long") : 0;
}

int conv_results(lua_State *L, int n, cJSON **out, struct err *err) {
  auto_json cJSON *array = cJSON_CreateArray();
  if (!array) return err_set(err, -ENOMEM, "no memory for results");
  int top = lua_gettop(L);
  for (int i = top - n + 1; i <= top; i++) {
    cJSON *v = NULL;
    int rc = conv_to_json(L, i, 0, &v, err);
    if (rc) {
      err_wrap(err, "returned value %d", i - top + n);
      return rc;
    }
    cJSON_AddItemToArray(array, v);
  }
  *out = take_ptr(array);
  return 0;
}

static void push(lua_State *L, const cJSON *v, bool in_array) {
  if (cJSON_IsBool(v)) {
    lua_pushboolean(L, cJSON_IsTrue(v));
  } else if (cJSON_IsNumber(v)) {
    lua_Integer i;
    if (lua_numbertointeger(v->valuedouble, &i) && (lua_Number)i == v->valuedouble)
      lua_pushinteger(L, i);
    else
      lua_pushnumber(L, v->valuedouble);
  } else if (cJSON_IsString(v)) {
    lua_pushstring(L, v->valuestring);
  } else if (cJSON_IsArray(v) || cJSON_IsObject(v)) {
    luaL_checkstack(L, 4, "nested JSON");
    lua_newtable(L);
    bool array = cJSON_IsArray(v);
    lua_Integer n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, v) {
      push(L, item, array);
      if (array)
        lua_rawseti(L, -2, ++n);
      else
        lua_setfield(L, -2, item->string);
    }
  } else if (in_array) {
    lua_pushlightuserdata(L, CONV_NULL);
  } else {
    lua_pushnil(L);
  }
}

void l_push_json(lua_State *L, const cJSON *v) { push(L, v, false); }

static int l_push_it(lua_State *L) {
  l_push_json(L, lua_touserdata(L, 1));
  return 1;
}

int conv_push_json(lua_State *L, const cJSON *v) {
  lua_pushcfunction(L, l_push_it);
  lua_pushlightuserdata(L, (void *)v);
  return lua_pcall(L, 1, 1, 0);
}

static int l_push_bytes(lua_State *L) {
  const struct buf *b = lua_touserdata(L, 1);
  lua_pushlstring(L, buf_cstr(b), b->len);
  return 1;
}

int conv_push_text(lua_State *L, const struct buf *b) {
  lua_pushcfunction(L, l_push_bytes);
  lua_pushlightuserdata(L, (void *)b);
  return lua_pcall(L, 1, 1, 0);
}
