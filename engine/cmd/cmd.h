/* The commands of the program: the top layer, which may use all others. Each file is one command or a group
 * of near ones; main.c picks by name from one list. argv[0] is the command's name. Each returns the exit code.
 */
#ifndef TEND_CMD_CMD_H
#define TEND_CMD_CMD_H

#include "base/exits.h"

typedef int cmd_fn(int argc, char **argv);

struct command {
  const char *name;
  cmd_fn *fn;
  const char *args;    /* for help: "[--flow-name F] [--json]" */
  const char *summary; /* one line */
};

/* Ends with {0}. */
extern const struct command commands[];

cmd_fn cmd_run, cmd_check, cmd_config, cmd_script, cmd_client, cmd_explain, cmd_simulate, cmd_test, cmd_helper, cmd_version,
    cmd_help;

#endif
