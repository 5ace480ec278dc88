#include "loop/script_state.h"

#include <errno.h>
#include <string.h>

int script_state_put(struct script_state *s, const char *text, size_t n) {
  if (n == s->text.len && (n == 0 || memcmp(text, s->text.data, n) == 0)) return 0;
  struct buf fresh = {0};
  buf_add(&fresh, text, n);
  if (fresh.failed) {
    buf_free(&fresh);
    return -ENOMEM;
  }
  buf_free(&s->text);
  s->text = fresh;
  s->version++;
  if (s->keep) s->keep(s->arg, buf_cstr(&s->text), n);
  return 0;
}

void script_state_free(struct script_state *s) { buf_free(&s->text); }
