/* Picks the command. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cmd/cmd.h"
#include "guard/guard.h"

int main(int argc, char **argv) {
  guard_arguments = argv;
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
  if (command_operation(word)) return cmd_client(argc - 1, argv + 1);
  if (str_starts(word, "--")) return cmd_run(argc, argv); /* an entrypoint with options alone */
  return cmd_other(argc - 1, argv + 1);
}
