/* From what was given in the layers to one value each: the highest layer wins, ${…} in defaults is expanded, types and
 * bounds are checked, and all that is wrong is told. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "core/settings_store.h"

enum { CHAIN_MAX = 32, SHOWN_MAX = 200 };

struct resolve {
  struct settings *s;
  struct problems *problems; /* may be NULL */
  size_t errors;
  struct setting_item *chain[CHAIN_MAX]; /* what is being expanded */
  size_t depth;
};

static void tell(struct resolve *r, const struct problem *p) {
  if (!p->warning) r->errors++;
  if (r->problems) problems_add(r->problems, p);
}

/* A value as people may see it: neither a secret nor one that holds a secret, and not more than most bytes of it. */
static char *presentable(struct settings *s, const struct setting_item *it, const char *text, size_t most) {
  if (it->secret) return strdup("***");
  auto_buf struct buf b = {0};
  buf_str(&b, text);
  settings_redact(s, &b);
  if (b.len > most) {
    while (most > 0 && ((unsigned char)b.data[most] & 0xc0) == 0x80) most--; /* no half character */
    b.data[b.len = most] = 0;
    buf_str(&b, "…");
  }
  return buf_take(&b);
}

static const char *origin_of(const struct setting_item *it, enum setting_layer layer) {
  return it->given[layer].origin ? it->given[layer].origin : "default";
}

static void tell_wrong(struct resolve *r, const struct setting_item *it, enum setting_layer layer, const char *text,
                       const char *allowed, const char *fix) {
  char *value = presentable(r->s, it, text, SHOWN_MAX);
  tell(r, &(struct problem){.class = PROBLEM_CONFIG,
                            .check = "configuration",
                            .name = it->def.name,
                            .value = value,
                            .source = origin_of(it, layer),
                            .allowed = allowed,
                            .fix = fix});
  free(value);
}

static void tell_value(struct resolve *r, const struct setting_item *it, enum setting_layer layer, const char *text,
                       int rc) {
  auto_buf struct buf allowed = {0};
  auto_buf struct buf fix = {0};
  if (strlen(text) > LIMIT_SETTING_VALUE)
    buf_fmt(&allowed, "at most %d bytes", LIMIT_SETTING_VALUE);
  else
    setting_allowed(&it->def, &allowed);
  const char *verb = rc == -ERANGE ? "set it within these bounds" : "correct it";
  if (layer > LAYER_DEFAULT && it->def.fallback)
    buf_fmt(&fix, "%s, or leave it out (default %s)", verb, setting_default(&it->def));
  else if (layer > LAYER_DEFAULT)
    buf_fmt(&fix, "%s, or leave it out", verb);
  else
    buf_fmt(&fix, "set %s to such a value", it->def.name);
  tell_wrong(r, it, layer, text, buf_cstr(&allowed), buf_cstr(&fix));
}

static bool resolve_item(struct resolve *r, struct setting_item *it);

static void tell_cycle(struct resolve *r, struct setting_item *it, enum setting_layer layer, const char *text,
                       const struct setting_item *again) {
  auto_buf struct buf chain = {0};
  size_t i = 0;
  while (i < r->depth && r->chain[i] != again) i++;
  for (; i < r->depth; i++) buf_fmt(&chain, "%s -> ", r->chain[i]->def.name);
  buf_fmt(&chain, "%s", again->def.name);
  auto_buf struct buf allowed = {0};
  buf_fmt(&allowed, "no setting that stands for itself, but here: %s", buf_cstr(&chain));
  tell_wrong(r, it, layer, text, buf_cstr(&allowed), "give one of them a value without ${…}");
}

/* The value of ${name}: 1 and *value, 0 when it has none, -1 when it is wrong (told). */
static int reference(struct resolve *r, struct setting_item *it, enum setting_layer layer, const char *text,
                     const char *name, const char **value) {
  char full[SETTING_NAME_MAX + sizeof SETTING_PREFIX];
  snprintf(full, sizeof full, SETTING_PREFIX "%s", name);
  struct setting_item *other = settings_item(r->s, full);
  if (!other) other = settings_item(r->s, name);
  if (!other) {
    for (size_t i = 0; i < r->s->variables_n; i++) {
      if (!STR_EQ(r->s->variables[i].name, name)) continue;
      *value = r->s->variables[i].value;
      return *value != NULL;
    }
    if (STR_EQ(name, "HOSTNAME")) return 0; /* nobody has said it yet */
    auto_buf struct buf allowed = {0};
    const char *near = settings_near(r->s, full);
    buf_fmt(&allowed, "${NAME} with the name of a setting, but there is no %s", full);
    if (near) buf_fmt(&allowed, " (%s?)", near);
    tell_wrong(r, it, layer, text, buf_cstr(&allowed), "correct the name");
    return -1;
  }
  if (other->state == ITEM_BUSY || r->depth == CHAIN_MAX) {
    tell_cycle(r, it, layer, text, other);
    return -1;
  }
  if (other->state == ITEM_FRESH) resolve_item(r, other);
  if (other->secret) it->secret = true;
  *value = other->text;
  return *value != NULL;
}

/* Expands text into out. 1 done, 0 when something in it has no value, -1 when it is wrong (told). */
static int expand(struct resolve *r, struct setting_item *it, enum setting_layer layer, const char *text,
                  struct buf *out) {
  bool missing = false;
  for (const char *p = text; *p;) {
    const char *open = strstr(p, "${");
    if (!open) {
      buf_str(out, p);
      break;
    }
    buf_add(out, p, (size_t)(open - p));
    size_t n = strcspn(open + 2, "}");
    char name[SETTING_NAME_MAX];
    if (open[2 + n] != '}' || n == 0 || n >= sizeof name) {
      tell_wrong(r, it, layer, text, "${NAME}, closed, with the name of a setting", "correct it");
      return -1;
    }
    memcpy(name, open + 2, n);
    name[n] = 0;
    const char *value = NULL;
    int rc = reference(r, it, layer, text, name, &value);
    if (rc < 0) return rc;
    if (rc == 0)
      missing = true;
    else
      buf_str(out, value);
    p = open + 3 + n;
  }
  return missing ? 0 : 1;
}

/* The value of one layer into the item: 1 there is one, 0 none, -1 wrong (told). */
static int take_layer(struct resolve *r, struct setting_item *it, enum setting_layer layer) {
  const char *raw = it->given[layer].value;
  if (!raw && layer == LAYER_DEFAULT) raw = it->def.fallback;
  if (!raw) return 0;
  auto_buf struct buf b = {0};
  const char *text = raw;
  if (layer <= LAYER_FLOW && strstr(raw, "${")) {
    int rc = expand(r, it, layer, raw, &b);
    if (rc <= 0) return rc;
    text = buf_cstr(&b);
  }
  int64_t number = 0;
  int rc = setting_parse(&it->def, text, &number);
  if (rc != 0) {
    tell_value(r, it, layer, text, rc);
    return -1;
  }
  free(it->text);
  it->text = strdup(text);
  if (!it->text) r->s->failed = true;
  it->number = number;
  it->layer = layer;
  return 1;
}

static bool resolve_item(struct resolve *r, struct setting_item *it) {
  it->state = ITEM_BUSY;
  r->chain[r->depth++] = it;
  free(it->text);
  free(it->shown);
  it->text = it->shown = NULL;
  it->number = 0;
  it->layer = LAYER_DEFAULT;
  it->secret = (it->def.flags & SETTING_SECRET) != 0;
  int rc = 0;
  enum setting_layer top = LAYER_DEFAULT;
  for (int l = SETTING_LAYERS - 1; l > LAYER_DEFAULT && rc == 0; l--) {
    top = (enum setting_layer)l;
    rc = take_layer(r, it, top);
  }
  if (rc == 0) {
    top = LAYER_DEFAULT;
    rc = take_layer(r, it, top);
  }
  /* What is shown is what was given; what a reader gets after an error is the default, so that the log goes on. */
  const char *given = rc < 0 && it->given[top].value ? it->given[top].value : NULL;
  if (rc < 0 && top > LAYER_DEFAULT) take_layer(r, it, LAYER_DEFAULT);
  if (rc < 0) it->layer = top;
  const char *seen = given ? given : it->text;
  if (seen && (given || it->secret || redact_would(&r->s->redact, seen))) {
    it->shown = presentable(r->s, it, seen, LIMIT_SETTING_VALUE);
    if (!it->shown) r->s->failed = true;
  }
  if (r->s->in_force && rc >= 0) settings_keep_item(r->s, it);
  if (it->secret && it->text) redact_add(&r->s->redact, it->text);
  r->depth--;
  it->state = ITEM_DONE;
  return rc > 0;
}

/* A secret of a layer that lost, or one that is wrong, is as secret as the one that won. */
static void know_secrets(struct settings *s) {
  for (size_t i = 0; i < s->n; i++) {
    const struct setting_item *it = &s->items[i];
    if (!(it->def.flags & SETTING_SECRET)) continue;
    for (int l = 0; l < SETTING_LAYERS; l++)
      if (it->given[l].value) redact_add(&s->redact, it->given[l].value);
  }
  for (size_t i = 0; i < s->unknown_n; i++) {
    const struct setting_unknown *u = &s->unknown[i];
    if (!u->name || !u->value || str_ends(u->name, "_FILE")) continue; /* a path is no secret */
    if (redact_secret_name(u->name, strlen(u->name))) redact_add(&s->redact, u->value);
  }
}

static void tell_missing(struct resolve *r, const struct setting_item *it, const char *who) {
  auto_buf struct buf allowed = {0};
  auto_buf struct buf fix = {0};
  setting_allowed(&it->def, &allowed);
  if (who) buf_fmt(&allowed, ", required by %s", who);
  buf_fmt(&fix, "set %s%s", it->def.name, it->secret ? ", or put it into a file and set its path with _FILE" : "");
  if (it->def.doc && *it->def.doc) buf_fmt(&fix, " (%s)", it->def.doc);
  tell(r, &(struct problem){.class = PROBLEM_CONFIG,
                            .check = "environment",
                            .name = it->def.name,
                            .source = "nowhere",
                            .allowed = buf_cstr(&allowed),
                            .fix = buf_cstr(&fix)});
}

static void tell_unknown(struct resolve *r) {
  for (size_t i = 0; i < r->s->unknown_n; i++) {
    const struct setting_unknown *u = &r->s->unknown[i];
    if (u->layer == LAYER_ENVIRONMENT || !u->name) continue;
    const char *near = settings_near(r->s, u->name);
    auto_buf struct buf allowed = {0};
    auto_buf struct buf fix = {0};
    buf_str(&allowed, near ? near : "the name of a setting of tend or of this flow");
    buf_str(&fix, near ? "correct the name" : "take it out, where no other flow uses it; tend config lists all names");
    tell(r, &(struct problem){.class = PROBLEM_CONFIG,
                              .warning = !near,
                              .check = "configuration",
                              .name = u->name,
                              .source = u->origin,
                              .allowed = buf_cstr(&allowed),
                              .fix = buf_cstr(&fix)});
  }
}

size_t settings_resolve(struct settings *s, struct problems *problems) {
  struct resolve r = {.s = s, .problems = problems};
  know_secrets(s);
  for (size_t i = 0; i < s->n; i++) s->items[i].state = ITEM_FRESH;
  for (size_t i = 0; i < s->n; i++) {
    struct setting_item *it = &s->items[i];
    size_t before = r.errors;
    bool there = it->state == ITEM_DONE ? it->text != NULL : resolve_item(&r, it);
    bool required = it->required_by || (i >= SET_COUNT && (it->def.flags & SETTING_REQUIRED));
    if (!there && !it->shown && required && r.errors == before) tell_missing(&r, it, it->required_by);
  }
  tell_unknown(&r);
  if (s->failed || s->redact.failed)
    tell(&r, &(struct problem){.class = PROBLEM_CONFIG,
                               .check = "configuration",
                               .name = "memory",
                               .allowed = "enough memory to hold the settings",
                               .fix = "raise the container's memory limit"});
  return r.errors;
}
