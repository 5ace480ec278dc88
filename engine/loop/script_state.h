/* The one table that scripts may keep: as JSON text, longer than any generation of scripts that reads and writes it. */
#ifndef TEND_LOOP_SCRIPT_STATE_H
#define TEND_LOOP_SCRIPT_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct script_state {
  struct buf text;  /* an object; empty: nothing was kept yet */
  uint64_t version; /* grows with each change */
  /* Called after each change; keeps the text where the next engine finds it. May be NULL. */
  void (*keep)(void *arg, const char *text, size_t n);
  void *arg;
};

/* 0 or -ENOMEM; the same text as before is no change. */
int script_state_put(struct script_state *s, const char *text, size_t n);
void script_state_free(struct script_state *s);

#endif
