/* What a function is, as a number: the same in another generation where it would do the same. Of a function written in
 * Lua that is its code and whatever it has caught (upvalues), by value, as deep as it goes; globals are tend's own and
 * stay. Where it stands, and what stands around it, does not matter.
 *
 * All that can be reached from the functions of a flow is one graph, whose nodes (tables, functions) begin with a
 * number of their own and take up those of their neighbours, round after round: so circles and shared tables come out
 * the same, in whatever order Lua goes through a table.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "lua/l.h"

enum { NODES_MAX = 20000, EDGES_MAX = 200000, ROUNDS = 24 };

struct node {
  uint64_t colour, next;
};

/* A value: of a node, or (node negative) of something plain. */
struct value {
  int32_t node;
  uint64_t plain;
};

struct edge {
  uint32_t from;
  struct value key, value;
};

struct graph {
  struct vm *vm;
  struct node *nodes;
  struct edge *edges;
  size_t n, nodes_cap, n_edges, edges_cap;
  const cJSON *flow;
  struct identity *out;
  size_t n_out, out_cap;
};

static uint64_t mix(uint64_t a, uint64_t b) {
  uint64_t x = a ^ (b + UINT64_C(0x9e3779b97f4a7c15) + (a << 6) + (a >> 2));
  x = (x ^ (x >> 31)) * UINT64_C(0xd6e8feb86659fd93);
  return x ^ (x >> 32);
}

static void *l_grow(lua_State *L, void *p, size_t n, size_t *cap, size_t size, size_t most) {
  if (n < *cap) return p;
  if (n >= most) luaL_error(L, "too much to look at");
  size_t want = *cap ? *cap * 2 : 64;
  void *q = realloc(p, want * size);
  if (!q) {
    luaL_error(L, "no memory");
    return NULL;
  }
  *cap = want;
  return q;
}

/* --- code -------------------------------------------------------------------------------------------------------- */

/* A function as lua_dump writes it without debug information (Lua 5.4): all of it is taken but the numbers of its
 * lines, which say only where it stands. */
struct dump {
  const unsigned char *p, *end;
  uint64_t hash;
  bool bad;
};

static size_t dump_number(struct dump *d) {
  size_t n = 0;
  while (d->p < d->end) {
    unsigned char c = *d->p++;
    if (n > SIZE_MAX >> 8) break;
    n = n << 7 | (c & 0x7f);
    if (c & 0x80) return n;
  }
  d->bad = true;
  return 0;
}

static void dump_take(struct dump *d, size_t n) {
  if (n > (size_t)(d->end - d->p)) {
    d->bad = true;
    return;
  }
  d->hash = sources_hash(d->hash, d->p, n);
  d->p += n;
}

/* A number of things, that counts too. */
static size_t dump_count(struct dump *d) {
  size_t n = dump_number(d);
  d->hash = mix(d->hash, n);
  if (n > (size_t)(d->end - d->p)) d->bad = true;
  return d->bad ? 0 : n;
}

static void dump_text(struct dump *d) {
  size_t n = dump_count(d);
  if (n) dump_take(d, n - 1);
}

static void dump_constant(struct dump *d) {
  enum { INTEGER = 3, SHORT_TEXT = 4, FLOAT = 19, LONG_TEXT = 20 };
  int kind = d->p < d->end ? *d->p : 0;
  dump_take(d, 1);
  if (kind == INTEGER || kind == FLOAT) dump_take(d, 8);
  if (kind == SHORT_TEXT || kind == LONG_TEXT) dump_text(d);
}

static void dump_function(struct dump *d, int depth) {
  enum { INSTRUCTION = 4, UPVALUE = 3, TABLES = 4 };
  dump_text(d);   /* the source: none */
  dump_number(d); /* first and last line */
  dump_number(d);
  dump_take(d, 3); /* parameters, variable ones, stack */
  dump_take(d, dump_count(d) * INSTRUCTION);
  for (size_t n = dump_count(d); n && !d->bad; n--) dump_constant(d);
  dump_take(d, dump_count(d) * UPVALUE);
  for (size_t n = dump_count(d); n && !d->bad; n--) {
    if (depth == LIMIT_JSON_DEPTH)
      d->bad = true;
    else
      dump_function(d, depth + 1);
  }
  for (int i = 0; i < TABLES; i++) d->bad |= dump_number(d) != 0; /* debug information: none */
}

static int write_dump(lua_State *L, const void *p, size_t n, void *out) {
  (void)L;
  buf_add(out, p, n);
  return ((struct buf *)out)->failed;
}

/* Of the function on top. */
static uint64_t function_colour(lua_State *L, const struct graph *g) {
  enum { HEADER = 4 + 1 + 1 + 6 + 3 + 8 + 8 + 1 };
  lua_CFunction c = lua_tocfunction(L, -1);
  if (c) return mix(2, (uint64_t)(uintptr_t)c);
  auto_buf struct buf b = {0};
  int rc = lua_dump(L, write_dump, &b, 1);
  struct dump d = {.hash = SOURCES_HASH};
  if (!rc && b.len > HEADER) {
    d.p = (const unsigned char *)b.data + HEADER;
    d.end = (const unsigned char *)b.data + b.len;
    dump_function(&d, 0);
  }
  bool good = d.p && !d.bad && d.p == d.end;
  return good ? mix(3, d.hash) : mix((uint64_t)(uintptr_t)g->vm, (uint64_t)(uintptr_t)lua_topointer(L, -1));
}

/* --- the graph --------------------------------------------------------------------------------------------------- */

/* The value on top, which is taken off. Index 1: what is known, by object; index 2: the list of objects. */
static struct value l_value(lua_State *L, struct graph *g) {
  struct value v = {.node = -1};
  int type = lua_type(L, -1);
  size_t n;
  switch (type) {
    case LUA_TTABLE:
    case LUA_TFUNCTION:
      lua_pushvalue(L, -1);
      if (lua_rawget(L, 1) == LUA_TNUMBER) {
        v.node = (int32_t)lua_tointeger(L, -1);
        lua_pop(L, 1);
        break;
      }
      lua_pop(L, 1);
      g->nodes = l_grow(L, g->nodes, g->n, &g->nodes_cap, sizeof *g->nodes, NODES_MAX);
      g->nodes[g->n].colour = type == LUA_TTABLE ? 1 : function_colour(L, g);
      v.node = (int32_t)g->n++;
      lua_pushvalue(L, -1);
      lua_pushinteger(L, v.node);
      lua_rawset(L, 1);
      lua_pushvalue(L, -1);
      lua_rawseti(L, 2, v.node + 1);
      break;
    case LUA_TSTRING: {
      const char *s = lua_tolstring(L, -1, &n);
      v.plain = mix(5, sources_hash(SOURCES_HASH, s, n));
      break;
    }
    case LUA_TNUMBER:
      if (lua_isinteger(L, -1)) {
        v.plain = mix(6, (uint64_t)lua_tointeger(L, -1));
      } else {
        lua_Number d = lua_tonumber(L, -1);
        v.plain = mix(7, sources_hash(SOURCES_HASH, &d, sizeof d));
      }
      break;
    case LUA_TBOOLEAN:
      v.plain = mix(8, (uint64_t)lua_toboolean(L, -1));
      break;
    default: /* userdata and coroutines are what they are by where they came from */
      v.plain = mix(9, (uint64_t)(unsigned)type);
      break;
  }
  lua_pop(L, 1);
  return v;
}

/* From the object at index 3. */
static void l_edge(lua_State *L, struct graph *g, uint32_t from, struct value key, struct value value) {
  g->edges = l_grow(L, g->edges, g->n_edges, &g->edges_cap, sizeof *g->edges, EDGES_MAX);
  g->edges[g->n_edges++] = (struct edge){from, key, value};
}

static void l_look(lua_State *L, struct graph *g, uint32_t i) {
  if (lua_type(L, 3) == LUA_TFUNCTION) {
    const char *name;
    for (int k = 1; (name = lua_getupvalue(L, 3, k)); k++) {
      if (STR_EQ(name, "_ENV"))
        lua_pop(L, 1);
      else
        l_edge(L, g, i, (struct value){.node = -1, .plain = (uint64_t)k}, l_value(L, g));
    }
    return;
  }
  lua_pushnil(L);
  while (lua_next(L, 3)) {
    lua_pushvalue(L, -2);
    struct value key = l_value(L, g);
    l_edge(L, g, i, key, l_value(L, g));
  }
  if (lua_getmetatable(L, 3)) l_edge(L, g, i, (struct value){.node = -1, .plain = 11}, l_value(L, g));
}

static void l_roots(lua_State *L, struct graph *g, const cJSON *v) {
  const cJSON *fn = cJSON_IsObject(v) ? cJSON_GetObjectItemCaseSensitive(v, "$fn") : NULL;
  if (fn && cJSON_IsNumber(fn)) {
    g->out = l_grow(L, g->out, g->n_out, &g->out_cap, sizeof *g->out, NODES_MAX);
    lua_rawgeti(L, LUA_REGISTRYINDEX, (lua_Integer)fn->valuedouble);
    struct value x = l_value(L, g);
    g->out[g->n_out++] = (struct identity){(int)fn->valuedouble, (uint64_t)(int64_t)x.node};
    return;
  }
  for (const cJSON *c = v->child; c; c = c->next) l_roots(L, g, c);
}

static int l_build(lua_State *L) {
  struct graph *g = lua_touserdata(L, 1);
  lua_settop(L, 0);
  luaL_checkstack(L, 16, NULL);
  lua_newtable(L);
  lua_newtable(L);
  l_roots(L, g, g->flow);
  for (uint32_t i = 0; i < g->n; i++) {
    lua_rawgeti(L, 2, (lua_Integer)i + 1);
    l_look(L, g, i);
    lua_settop(L, 2);
  }
  return 0;
}

static uint64_t colour_of(const struct graph *g, struct value v) {
  return v.node < 0 ? v.plain : g->nodes[v.node].colour;
}

/* Edges add up, so that their order is nothing. */
static void refine(struct graph *g) {
  for (int round = 0; round < ROUNDS; round++) {
    for (size_t i = 0; i < g->n; i++) g->nodes[i].next = 0;
    for (size_t i = 0; i < g->n_edges; i++) {
      const struct edge *e = &g->edges[i];
      g->nodes[e->from].next += mix(colour_of(g, e->key), colour_of(g, e->value));
    }
    for (size_t i = 0; i < g->n; i++) g->nodes[i].colour = mix(g->nodes[i].colour, g->nodes[i].next);
  }
}

static int by_ref(const void *a, const void *b) {
  return ((const struct identity *)a)->ref - ((const struct identity *)b)->ref;
}

void identity_note(struct vm *vm, const cJSON *flow) {
  struct graph g = {.vm = vm, .flow = flow};
  lua_State *L = vm->L;
  if (!lua_checkstack(L, 4)) return;
  lua_pushcfunction(L, l_build);
  lua_pushlightuserdata(L, &g);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) {
    refine(&g);
    for (size_t i = 0; i < g.n_out; i++) g.out[i].is = g.nodes[g.out[i].is].colour;
    if (g.n_out) qsort(g.out, g.n_out, sizeof *g.out, by_ref);
    free(vm->identities);
    vm->identities = g.out;
    vm->n_identities = g.n_out;
  } else { /* without: no function is known to be as before */
    lua_pop(L, 1);
    free(g.out);
  }
  free(g.nodes);
  free(g.edges);
}

uint64_t identity_find(const struct vm *vm, int ref) {
  const struct identity key = {.ref = ref};
  const struct identity *found =
      vm->n_identities ? bsearch(&key, vm->identities, vm->n_identities, sizeof key, by_ref) : NULL;
  return found ? found->is : mix((uint64_t)(uintptr_t)vm, (uint64_t)ref);
}
