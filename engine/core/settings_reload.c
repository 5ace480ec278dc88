/* Settings of a reload: what it may not change stays as it is in force; what is in force takes over the new values. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/settings_store.h"

void settings_keep_to(struct settings *s, const struct settings *in_force) { s->in_force = in_force; }

static bool same(const char *a, const char *b) { return a == b || (a && b && STR_EQ(a, b)); }

/* tend's own follow where their table says so. A flow's own follow its file in any case: that is what is edited. */
static bool follows(const struct setting_item *it, const struct setting_item *old, bool own) {
  if (it->def.flags & SETTING_RELOADABLE) return true;
  return !own && it->layer <= LAYER_FLOW && old->layer <= LAYER_FLOW;
}

void settings_keep_item(struct settings *s, struct setting_item *it) {
  size_t i = (size_t)(it - s->items);
  bool own = i < SET_COUNT;
  const struct setting_item *old = own ? &s->in_force->items[i] : settings_item(s->in_force, it->def.name);
  it->waits = false;
  if (!old || follows(it, old, own) || same(it->text, old->text)) return;
  if (!own && (old->def.type != it->def.type || setting_parse(&it->def, old->text ? old->text : "", &it->number) < 0))
    return;
  free(it->text);
  free(it->shown);
  it->text = old->text ? strdup(old->text) : NULL;
  it->shown = old->shown ? strdup(old->shown) : NULL;
  if ((old->text && !it->text) || (old->shown && !it->shown)) s->failed = true;
  it->number = old->number;
  it->layer = old->layer;
  it->secret |= old->secret;
  it->waits = true;
}

enum { LEARNED_MAX = 256 }; /* forms of secrets: those of many rotations would make each line slower */

void settings_exchange(struct settings *a, struct settings *b) {
  struct settings was = *a;
  *a = *b;
  *b = was;
  a->in_force = b->in_force = NULL;
  redact_learn(&a->redact, &b->redact, LEARNED_MAX);
  redact_learn(&b->redact, &a->redact, LEARNED_MAX);
}

void settings_note_file(struct settings *s, const char *path) {
  for (size_t i = 0; i < s->files_n; i++)
    if (STR_EQ(s->files[i], path)) return;
  char **p = realloc(s->files, (s->files_n + 1) * sizeof *p);
  char *copy = strdup(path);
  if (p) s->files = p;
  if (!p || !copy) {
    s->failed = true;
    free(copy);
    return;
  }
  s->files[s->files_n++] = copy;
}

const char *settings_file(const struct settings *s, size_t i) { return i < s->files_n ? s->files[i] : NULL; }
