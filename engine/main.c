/* Picks the command. */
#include <string.h>

#include "base/str.h"
#include "cmd/cmd.h"

static int no_such_command(const char *word) {
  const char *names[64];
  size_t n = 0;
  for (const struct command *c = commands; c->name && n < ARRAY_LEN(names); c++)
    if (c->summary) names[n++] = c->name;
  const char *near = str_nearest(word, names, n);
  fprintf(stderr, "tend: unknown command \"%s\"%s%s%s; see tend help\n", word, near ? "; did you mean \"" : "",
          near ? near : "", near ? "\"" : "");
  return EXIT_USAGE;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fputs("tend: a command is missing; see tend help\n", stderr);
    return EXIT_USAGE;
  }
  const char *word = argv[1];
  if (STR_EQ(word, "--help") || STR_EQ(word, "-h")) word = "help";
  if (STR_EQ(word, "--version")) word = "version";
  for (const struct command *c = commands; c->name; c++) {
    if (!STR_EQ(word, c->name)) continue;
    if (argc > 2 && c->summary && (STR_EQ(argv[2], "--help") || STR_EQ(argv[2], "-h")))
      return cmd_help(2, (char *[]){argv[2], argv[1], NULL});
    return c->fn(argc - 1, argv + 1);
  }
  if (str_starts(word, "--")) return cmd_run(argc, argv); /* an entrypoint with options alone */
  return no_such_command(word);
}
