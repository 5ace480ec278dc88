#include "core/sources.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

int sources_add(struct sources *s, const char *path, const char *text, size_t n) {
  if (sources_find(s, path)) return 0;
  if (s->n == s->cap) {
    size_t cap = s->cap ? s->cap * 2 : 8;
    struct source *p = realloc(s->list, cap * sizeof *p);
    if (!p) return -ENOMEM;
    s->list = p;
    s->cap = cap;
  }
  struct source new = {strdup(path), malloc(n + 1), n};
  if (!new.path || !new.text) {
    free(new.path);
    free(new.text);
    return -ENOMEM;
  }
  if (n) memcpy(new.text, text, n);
  new.text[n] = 0;
  s->list[s->n++] = new;
  return 0;
}

const struct source *sources_find(const struct sources *s, const char *path) {
  for (size_t i = 0; i < s->n; i++)
    if (STR_EQ(s->list[i].path, path)) return &s->list[i];
  return NULL;
}

bool sources_same(const struct sources *a, const struct sources *b) {
  if (a->n != b->n) return false;
  for (size_t i = 0; i < a->n; i++) {
    const struct source *x = &a->list[i], *y = sources_find(b, x->path);
    if (!y || x->n != y->n || memcmp(x->text, y->text, x->n) != 0) return false;
  }
  return true;
}

void sources_free(struct sources *s) {
  for (size_t i = 0; i < s->n; i++) {
    free(s->list[i].path);
    free(s->list[i].text);
  }
  free(s->list);
  *s = (struct sources){0};
}
