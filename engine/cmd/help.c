/* tend help, tend version, and the list of commands. */
#include <stdio.h>

#include "cmd/cmd.h"
#include "tend/version.h"

const struct command commands[] = {
    {"version", cmd_version, "", "print the version"},
    {"help", cmd_help, "[COMMAND]", "print help"},
    {0},
};

int cmd_version(int argc, char **argv) {
  (void)argc;
  (void)argv;
  puts("tend " TEND_VERSION);
  return 0;
}

int cmd_help(int argc, char **argv) {
  (void)argc;
  (void)argv;
  for (const struct command *c = commands; c->name; c++)
    printf("  tend %s %s\n      %s\n", c->name, c->args, c->summary);
  return 0;
}
