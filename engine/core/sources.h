/* The texts that a generation of scripts was made of: the flow file and what it required, by path. A new engine starts
 * from them; a reload sees by them whether anything has changed. Owns its texts; zero-initialise; sources_free on any
 * state. */
#ifndef TEND_CORE_SOURCES_H
#define TEND_CORE_SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct source {
  char *path, *text; /* text has a NUL behind it */
  size_t n;
};

struct sources {
  struct source *list;
  size_t n, cap;
};

/* Copies both; a path that is there already stays as it is. -ENOMEM. */
int sources_add(struct sources *s, const char *path, const char *text, size_t n);
const struct source *sources_find(const struct sources *s, const char *path); /* NULL: none */
bool sources_same(const struct sources *a, const struct sources *b);          /* in any order */
void sources_free(struct sources *s);

/* Of bytes (FNV-1a, 64 bits), continued from `h`; SOURCES_HASH to begin with. Not for enemies. */
#define SOURCES_HASH UINT64_C(0xcbf29ce484222325)
static inline uint64_t sources_hash(uint64_t h, const void *bytes, size_t n) {
  const unsigned char *p = bytes;
  for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * UINT64_C(0x100000001b3);
  return h;
}

#endif
