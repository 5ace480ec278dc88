/* A difference as people and programs read it. */
#include "base/str.h"
#include "core/plan_diff.h"

static const char *const section_names[DIFF_SECTIONS] = {
#define D(id, name, word) [DIFF_##id] = name,
    DIFF_SECTIONS_LIST(D)
#undef D
};

static const char *const section_words[DIFF_SECTIONS] = {
#define D(id, name, word) [DIFF_##id] = word,
    DIFF_SECTIONS_LIST(D)
#undef D
};

static const char *const hows[] = {[DIFF_ADDED] = "added", [DIFF_REMOVED] = "removed", [DIFF_CHANGED] = "changed"};
static const char *const effects[] = {
    [DIFF_AT_ONCE] = "at_once", [DIFF_RESTART] = "restart", [DIFF_NEXT_START] = "next_start"};

static size_t count(const struct plan_diff *d, int section, int how) {
  size_t n = 0;
  for (size_t i = 0; i < d->n; i++)
    n += (int)d->items[i].section == section && (how < 0 || (int)d->items[i].how == how);
  return n;
}

static void list(const struct plan_diff *d, int section, int how, struct json *j) {
  if (!count(d, section, how)) return;
  json_array(j, hows[how]);
  for (size_t i = 0; i < d->n; i++) {
    const struct diff_item *it = &d->items[i];
    if ((int)it->section != section || (int)it->how != how) continue;
    if (how != DIFF_CHANGED) {
      json_str(j, NULL, it->name);
      continue;
    }
    json_object(j, NULL);
    json_str(j, "name", it->name);
    if (it->keys[0]) json_str(j, "keys", it->keys);
    json_str(j, "effect", effects[it->effect]);
    json_object_end(j);
  }
  json_array_end(j);
}

void plan_diff_json(const struct plan_diff *d, struct json *j, const char *key) {
  json_object(j, key);
  for (int s = 0; s < DIFF_SECTIONS; s++) {
    if (!count(d, s, -1)) continue;
    json_object(j, section_names[s]);
    for (int how = DIFF_ADDED; how <= DIFF_CHANGED; how++) list(d, s, how, j);
    json_object_end(j);
  }
  json_object_end(j);
}

void plan_diff_text(const struct plan_diff *d, struct buf *out) {
  static const char marks[] = {[DIFF_ADDED] = '+', [DIFF_REMOVED] = '-', [DIFF_CHANGED] = '~'};
  if (!d->n) buf_str(out, "  no difference\n");
  for (size_t i = 0; i < d->n; i++) {
    const struct diff_item *it = &d->items[i];
    buf_fmt(out, "  %c %s %s", marks[it->how], section_words[it->section], it->name);
    if (it->keys[0]) buf_fmt(out, ": %s", it->keys);
    if (it->effect == DIFF_RESTART) buf_str(out, " (it is restarted)");
    if (it->effect == DIFF_NEXT_START)
      buf_str(out, it->section == DIFF_SETTING ? " (at the next start of tend)" : " (at its next start)");
    buf_char(out, '\n');
  }
}

void plan_diff_summary(const struct plan_diff *d, struct buf *out) {
  bool any = false;
  for (int s = 0; s < DIFF_SECTIONS; s++)
    for (int how = DIFF_ADDED; how <= DIFF_CHANGED; how++) {
      size_t n = count(d, s, how);
      if (!n) continue;
      buf_str(out, any ? ", " : "");
      any = true;
      if (n > 1) {
        buf_fmt(out, "%zu %s %s", n, section_names[s], hows[how]);
        continue;
      }
      for (size_t i = 0; i < d->n; i++)
        if ((int)d->items[i].section == s && (int)d->items[i].how == how)
          buf_fmt(out, "%s %s %s", section_words[s], d->items[i].name, hows[how]);
    }
  if (!any) buf_str(out, "nothing has changed");
}
