#include "core/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "core/settings_store.h"

#define MS(n) ((n)*NS_PER_MS)
#define SEC(n) ((n)*NS_PER_S)
#define HOUR(n) ((n)*INT64_C(3600) * NS_PER_S)

static const struct setting_def table[SET_COUNT] = {
#define S(id, ...) [SET_##id] = {__VA_ARGS__},
#include "core/settings.def"
#undef S
};

const struct setting_def *setting_table(enum setting_id id) { return &table[id]; }

/* Grows *items for one more of `size` bytes. */
static void *grow(void *items, size_t n, size_t *cap, size_t size) {
  if (n < *cap) return items;
  size_t want = *cap ? *cap * 2 : 16;
  void *p = realloc(items, want * size);
  if (p) *cap = want;
  return p;
}

struct settings *settings_new(void) {
  struct settings *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->items = calloc(SET_COUNT + 16, sizeof *s->items);
  if (!s->items) {
    free(s);
    return NULL;
  }
  s->cap = SET_COUNT + 16;
  for (; s->n < SET_COUNT; s->n++) s->items[s->n].def = table[s->n];
  return s;
}

static void item_free(struct setting_item *it) {
  if (it->own_def) {
    free((char *)it->def.name);
    free((char *)it->def.unit);
    free((char *)it->def.fallback);
    free((char *)it->def.choices);
    free((char *)it->def.doc);
  }
  for (int l = 0; l < SETTING_LAYERS; l++) {
    free(it->given[l].value);
    free(it->given[l].origin);
  }
  free(it->required_by);
  free(it->text);
  free(it->shown);
}

void settings_free(struct settings *s) {
  if (!s) return;
  for (size_t i = 0; i < s->n; i++) item_free(&s->items[i]);
  free(s->items);
  for (size_t i = 0; i < s->unknown_n; i++) {
    free(s->unknown[i].name);
    free(s->unknown[i].value);
    free(s->unknown[i].origin);
  }
  free(s->unknown);
  for (size_t i = 0; i < s->variables_n; i++) {
    free(s->variables[i].name);
    free(s->variables[i].value);
  }
  for (size_t i = 0; i < s->files_n; i++) free(s->files[i]);
  free(s->files);
  redact_free(&s->redact);
  free(s);
}

struct setting_item *settings_item(const struct settings *s, const char *name) {
  for (size_t i = 0; i < s->n; i++)
    if (STR_EQ(s->items[i].def.name, name)) return &s->items[i];
  return NULL;
}

/* An error of memory is noted in *failed; NULL stays NULL. */
static char *copy(const char *text, bool *failed) {
  char *p = text ? strdup(text) : NULL;
  if (text && !p) *failed = true;
  return p;
}

struct setting_item *settings_append(struct settings *s, const struct setting_def *def) {
  void *p = grow(s->items, s->n, &s->cap, sizeof *s->items);
  if (!p) {
    s->failed = true;
    return NULL;
  }
  s->items = p;
  struct setting_item it = {.own_def = true, .def = *def};
  bool failed = false;
  it.def.name = copy(def->name, &failed);
  it.def.unit = copy(def->unit, &failed);
  it.def.fallback = copy(def->fallback, &failed);
  it.def.choices = copy(def->choices, &failed);
  it.def.doc = copy(def->doc, &failed);
  if (failed) {
    s->failed = true;
    item_free(&it);
    return NULL;
  }
  s->items[s->n] = it;
  return &s->items[s->n++];
}

static void keep_unknown(struct settings *s, enum setting_layer layer, const char *name, const char *value,
                         const char *origin) {
  void *p = grow(s->unknown, s->unknown_n, &s->unknown_cap, sizeof *s->unknown);
  if (!p) {
    s->failed = true;
    return;
  }
  s->unknown = p;
  s->unknown[s->unknown_n++] = (struct setting_unknown){.name = copy(name, &s->failed),
                                                        .value = copy(value, &s->failed),
                                                        .origin = copy(origin, &s->failed),
                                                        .layer = layer};
}

static void item_give(struct settings *s, struct setting_item *it, enum setting_layer layer, const char *value,
                      const char *origin) {
  struct setting_given *g = &it->given[layer];
  free(g->value);
  free(g->origin);
  g->value = copy(value, &s->failed);
  g->origin = copy(origin, &s->failed);
}

void settings_give(struct settings *s, enum setting_layer layer, const char *name, const char *value,
                   const char *origin) {
  if (!value || !*value || !name || !*name) return;
  struct setting_item *it = settings_item(s, name);
  if (!it) it = settings_family(s, name);
  if (it)
    item_give(s, it, layer, value, origin);
  else
    keep_unknown(s, layer, name, value, origin);
}

const char *settings_given_origin(const struct settings *s, enum setting_layer layer, const char *name) {
  const struct setting_item *it = settings_item(s, name);
  if (it) return it->given[layer].value ? it->given[layer].origin : NULL;
  for (size_t i = 0; i < s->unknown_n; i++) {
    const struct setting_unknown *u = &s->unknown[i];
    if (u->layer == layer && u->name && u->value && STR_EQ(u->name, name)) return u->origin;
  }
  return NULL;
}

const char *settings_given_value(const struct settings *s, enum setting_layer layer, enum setting_id id) {
  return s->items[id].given[layer].value;
}

static void forget_unknown(struct settings *s, size_t i) {
  struct setting_unknown *u = &s->unknown[i];
  free(u->name);
  free(u->value);
  free(u->origin);
  memmove(u, u + 1, (--s->unknown_n - i) * sizeof *u);
}

bool settings_take_file(struct settings *s, struct setting_file *out) {
  for (size_t i = 0; i < s->unknown_n; i++) {
    struct setting_unknown *u = &s->unknown[i];
    if (!u->name || !u->value || !str_ends(u->name, "_FILE")) continue;
    auto_free char *name = strndup(u->name, strlen(u->name) - strlen("_FILE"));
    if (!name || !(settings_item(s, name) || settings_family(s, name))) continue;
    *out = (struct setting_file){.layer = u->layer, .name = take_ptr(name), .path = u->value, .origin = u->origin};
    u->value = u->origin = NULL;
    forget_unknown(s, i);
    return true;
  }
  return false;
}

void settings_variable(struct settings *s, const char *name, const char *value) {
  for (size_t i = 0; i < s->variables_n; i++) {
    if (!STR_EQ(s->variables[i].name, name)) continue;
    free(s->variables[i].value);
    s->variables[i].value = copy(value, &s->failed);
    return;
  }
  if (s->variables_n == SETTING_VARIABLES) return;
  s->variables[s->variables_n].name = copy(name, &s->failed);
  s->variables[s->variables_n++].value = copy(value, &s->failed);
}

static bool name_valid(const char *name) {
  if (!str_starts(name, SETTING_PREFIX)) return false;
  const char *rest = name + strlen(SETTING_PREFIX);
  return *rest && rest[strspn(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] == 0;
}

int settings_declare(struct settings *s, const struct setting_def *def, struct err *err) {
  if (!name_valid(def->name) || strlen(def->name) >= SETTING_NAME_MAX)
    return err_set(err, -EINVAL,
                   "%.100s: not the name of a setting; expected %sA_NAME, capitals, digits and _, at most %d bytes",
                   def->name, SETTING_PREFIX, SETTING_NAME_MAX - 1);
  if (settings_item(s, def->name)) return err_set(err, -EEXIST, "%s: declared already; choose another name", def->name);
  if (s->n - SET_COUNT >= SETTING_DECLARED_MAX)
    return err_set(err, -E2BIG, "%s: a flow can declare %d settings at most", def->name, SETTING_DECLARED_MAX);
  if (def->type == SETTING_CHOICE && (!def->choices || !*def->choices))
    return err_set(err, -EINVAL, "%s: a choice needs choices", def->name);
  struct setting_def d = *def;
  if (redact_secret_name(d.name, strlen(d.name))) d.flags |= SETTING_SECRET;
  struct setting_item *it = settings_append(s, &d);
  if (!it) return err_set(err, -ENOMEM, "%s: out of memory", def->name);
  for (size_t i = 0; i < s->unknown_n;) {
    struct setting_unknown *u = &s->unknown[i];
    if (!u->name || !STR_EQ(u->name, def->name)) {
      i++;
      continue;
    }
    if (u->value) item_give(s, it, u->layer, u->value, u->origin);
    forget_unknown(s, i);
  }
  return 0;
}

int settings_require(struct settings *s, const char *name, const char *who) {
  struct setting_item *it = settings_item(s, name);
  if (!it) return -ENOENT;
  free(it->required_by);
  it->required_by = copy(who, &s->failed);
  return 0;
}

const char *settings_str(const struct settings *s, enum setting_id id) { return s->items[id].text; }
int64_t settings_int(const struct settings *s, enum setting_id id) { return s->items[id].number; }
bool settings_bool(const struct settings *s, enum setting_id id) { return s->items[id].number != 0; }
int64_t settings_ns(const struct settings *s, enum setting_id id) { return s->items[id].number; }
int settings_choice(const struct settings *s, enum setting_id id) { return (int)s->items[id].number; }
bool settings_given(const struct settings *s, enum setting_id id) { return s->items[id].layer > LAYER_DEFAULT; }

static void view(const struct setting_item *it, struct setting_view *out) {
  const char *origin = it->given[it->layer].origin;
  *out = (struct setting_view){
      .def = &it->def,
      .text = it->text,
      .shown = setting_shown(it),
      .origin = origin ? origin : "default",
      .layer = it->layer,
      .number = it->number,
      .waits = it->waits,
  };
}

bool settings_view(const struct settings *s, const char *name, struct setting_view *out) {
  const struct setting_item *it = settings_item(s, name);
  if (it) view(it, out);
  return it != NULL;
}

bool settings_at(const struct settings *s, size_t i, struct setting_view *out) {
  if (i >= s->n) return false;
  view(&s->items[i], out);
  return true;
}

void settings_redact(const struct settings *s, struct buf *text) { redact_apply(&s->redact, text); }
