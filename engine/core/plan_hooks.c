/* Hooks: what a flow wants to do at points of the lifecycle, put into order by the names that each gives with before
 * and after; where these say nothing the order of the flow. */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/plan_read.h"

static const char *const points[] = {
#define P(id, key, doc) key,
    PLAN_HOOKS(P)
#undef P
};

/* The entries of one point, while they are read. */
struct entries {
  const cJSON *value[LIMIT_HOOKS];
  size_t place[LIMIT_HOOKS]; /* in the list of the flow */
  struct plan_hook hook[LIMIT_HOOKS];
  size_t n;
  const struct at *at; /* of the point */
  bool list;           /* the flow gives a list */
};

static int find(const struct entries *e, const char *name) {
  for (size_t i = 0; i < e->n; i++)
    if (STR_EQ(e->hook[i].name, name)) return (int)i;
  return -1;
}

static void read_entry(struct plan_reader *r, const struct at *at, const cJSON *v, struct entries *e) {
  e->place[e->n] = at->index;
  static const char *const keys[] = {"run", "timeout", "name", "before", "after"};
  struct plan_hook *hook = &e->hook[e->n];
  *hook = (struct plan_hook){.timeout_ns = PLAN_UNSET, .fn = json_fn(v)};
  if (!hook->fn && !cJSON_IsObject(v)) {
    plan_problem(r, at, v, "a function, { run = function, timeout = 5 }, or a list of these", "%s", "");
    return;
  }
  if (!hook->fn) {
    read_keys(r, at, v, keys, ARRAY_LEN(keys));
    read_fn(r, at, v, "run", &hook->fn);
    if (!read_get(v, "run")) plan_problem(r, AT_KEY(at, "run"), NULL, "a function", "it is missing");
    read_duration(r, at, v, "timeout", NS_PER_MS, 3600 * NS_PER_S, &hook->timeout_ns);
    if (read_text(r, at, v, "name", &hook->name)) plan_check_name(r, AT_KEY(at, "name"), hook->name);
  }
  if (!hook->name) hook->name = plan_text_fmt(r, "%s_%zu", e->at->key, e->n + 1);
  if (!hook->name) return;
  if (find(e, hook->name) >= 0) {
    plan_problem(r, AT_KEY(at, "name"), read_get(v, "name"), "a name that no other hook of this point has",
                 "rename one of the two");
    return;
  }
  e->value[e->n++] = v;
}

/* before[a][b]: a is called before b. */
struct order {
  bool before[LIMIT_HOOKS][LIMIT_HOOKS];
};

static void read_name(struct plan_reader *r, const struct at *at, const cJSON *v, const struct entries *e, size_t self,
                      bool before, struct order *order) {
  const char *name = cJSON_GetStringValue(v);
  int other = name ? find(e, name) : -1;
  if (other < 0 || (size_t)other == self) {
    const char *names[LIMIT_HOOKS];
    for (size_t i = 0; i < e->n; i++) names[i] = e->hook[i].name;
    const char *near = name && other < 0 ? str_nearest(name, names, e->n) : NULL;
    plan_problem(r, at, v, "the name of another hook of this point", near ? "did you mean \"%s\"?" : "%s",
                 near ? near : "");
  } else if (before) {
    order->before[self][other] = true;
  } else {
    order->before[other][self] = true;
  }
}

static void read_names(struct plan_reader *r, const struct at *at, const struct entries *e, size_t self,
                       const char *key, struct order *order) {
  const cJSON *v = cJSON_IsObject(e->value[self]) ? read_get(e->value[self], key) : NULL;
  const struct at here = {.up = at, .key = key};
  bool before = STR_EQ(key, "before");
  size_t i = 0;
  const cJSON *item;
  if (cJSON_IsArray(v)) {
    cJSON_ArrayForEach(item, v) read_name(r, AT_INDEX(&here, i++), item, e, self, before, order);
  } else if (v) {
    read_name(r, &here, v, e, self, before, order);
  }
}

/* The first of the flow that waits for none that is left. */
static bool put_in_order(const struct entries *e, const struct order *order, struct plan_hooks *out) {
  bool done[LIMIT_HOOKS] = {false};
  while (out->n < e->n) {
    size_t next = e->n;
    for (size_t i = 0; i < e->n && next == e->n; i++) {
      bool waits = done[i];
      for (size_t k = 0; k < e->n; k++) waits |= !done[k] && order->before[k][i];
      if (!waits) next = i;
    }
    if (next == e->n) return false;
    done[next] = true;
    out->list[out->n++] = e->hook[next];
  }
  return true;
}

static void read_point(struct plan_reader *r, const struct at *at, const cJSON *v, struct plan_hooks *out) {
  static struct entries e; /* large, and not called by itself */
  static struct order order;
  e = (struct entries){.at = at, .list = cJSON_IsArray(v)};
  memset(&order, 0, sizeof order);
  const cJSON *item;
  size_t i = 0;
  if (!e.list) {
    read_entry(r, at, v, &e);
  } else {
    cJSON_ArrayForEach(item, v) {
      const struct at *place = AT_INDEX(at, i++);
      if (cJSON_IsFalse(item)) continue;
      if (e.n == LIMIT_HOOKS) {
        plan_problem(r, at, NULL, "at most 32 hooks", "there are more");
        break;
      }
      read_entry(r, place, item, &e);
    }
  }
  for (i = 0; i < e.n; i++) {
    const struct at *place = e.list ? AT_INDEX(at, e.place[i]) : at;
    read_names(r, place, &e, i, "before", &order);
    read_names(r, place, &e, i, "after", &order);
  }
  out->list = e.n ? plan_alloc(r, e.n, sizeof *out->list) : NULL;
  if (out->list && !put_in_order(&e, &order, out))
    plan_problem(r, at, NULL, "an order that is possible", "before and after go round in a circle");
}

void plan_read_hooks(struct plan_reader *r, const struct at *at, const cJSON *flow) {
  const cJSON *hooks = read_object(r, at, flow, "hooks");
  if (!hooks) return;
  const struct at here = {.up = at, .key = "hooks"};
  if (cJSON_IsObject(hooks)) read_keys(r, &here, hooks, points, ARRAY_LEN(points));
  for (size_t i = 0; i < PLAN_HOOKS_N; i++) {
    const cJSON *v = read_get(hooks, points[i]);
    const struct at place = {.up = &here, .key = points[i]};
    if (v && !cJSON_IsFalse(v)) read_point(r, &place, v, &r->plan->hooks[i]);
  }
}
