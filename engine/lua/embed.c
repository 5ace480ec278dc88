/* Our own Lua halves, as text inside the program: they belong to its C halves and must never be of another version. */
#include <stddef.h>
#include <string.h>

#include "base/str.h"
#include "lua/l.h"

#define EMBED(name) \
  __asm__(".section .rodata\n.balign 16\nembed_" #name ":\n.incbin \"scripts/tend/" #name ".lua\"\nembed_" #name \
          "_end:\n.byte 0\n.previous\n"); \
  extern const char embed_##name[] __attribute__((visibility("hidden"))); \
  extern const char embed_##name##_end[] __attribute__((visibility("hidden")))

/* clang-format off */
#define SCRIPTS(S) \
  S(control) S(dns) S(fs) S(hooks) S(http) S(lifecycle) S(metrics) S(net) S(postgres) S(probe) S(process) \
  S(repl) S(repl_complete) S(repl_help) S(repl_operate) S(repl_print) S(retry) S(settings) S(xpcall) S(yielding)
/* clang-format on */

#define S(name) EMBED(name);
SCRIPTS(S)
#undef S

/* The stubs that editors read, one after the other: the prompt's help. */
__asm__(".section .rodata\n.balign 16\nembed_stubs:\n.incbin \"" STUBS "\"\nembed_stubs_end:\n.byte 0\n.previous\n");
extern const char embed_stubs[] __attribute__((visibility("hidden")));
extern const char embed_stubs_end[] __attribute__((visibility("hidden")));

static const struct {
  const char *name, *text, *end;
} scripts[] = {{"stubs", embed_stubs, embed_stubs_end},
#define S(name) {"tend." #name, embed_##name, embed_##name##_end},
               SCRIPTS(S)
#undef S
};

const char *embedded_script(const char *name, size_t *n) {
  for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
    if (!STR_EQ(scripts[i].name, name)) continue;
    *n = (size_t)(scripts[i].end - scripts[i].text);
    return scripts[i].text;
  }
  return NULL;
}

const char *vm_embedded(size_t i, const char **name, size_t *n) {
  if (i >= ARRAY_LEN(scripts)) return NULL;
  *name = scripts[i].name;
  *n = (size_t)(scripts[i].end - scripts[i].text);
  return scripts[i].text;
}
