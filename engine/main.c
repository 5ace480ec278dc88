/* Picks the command. */
#include <string.h>

#include "base/str.h"
#include "cmd/cmd.h"

int main(int argc, char **argv) {
  if (argc < 2) {
    cmd_help(1, argv);
    return EXIT_USAGE;
  }
  const char *names[64];
  size_t n = 0;
  for (const struct command *c = commands; c->name; c++) {
    if (STR_EQ(argv[1], c->name)) return c->fn(argc - 1, argv + 1);
    if (n < ARRAY_LEN(names)) names[n++] = c->name;
  }
  const char *near = str_nearest(argv[1], names, n);
  fprintf(stderr, "tend: unknown command \"%s\"%s%s%s; see tend help\n", argv[1], near ? "; did you mean \"" : "",
          near ? near : "", near ? "\"" : "");
  return EXIT_USAGE;
}
