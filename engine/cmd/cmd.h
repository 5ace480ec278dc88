/* The commands of the program: the top layer, which may use all others. Each file is one command or a group
 * of near ones; main.c picks by name from one list. argv[0] is the command's name. Each returns the exit code.
 */
#ifndef TEND_CMD_CMD_H
#define TEND_CMD_CMD_H

#include <stddef.h>

#include "base/exits.h"
#include "core/operation.h"

typedef int cmd_fn(int argc, char **argv);

struct command {
  const char *name;
  cmd_fn *fn;
  const char *args;    /* for help: "[--flow-name F] [--json]" */
  const char *summary; /* one line */
};

/* Ends with {0}. The one without a name stands where the operations are shown. */
extern const struct command commands[];
/* The names of all that people may type; how many. */
size_t command_names(const char **names, size_t max);
/* tend help --complete WORD...: what may follow; argv are the words. */
int complete_words(int argc, char **argv);
/* The operation that is a command of this name, NULL: none. */
const struct operation *command_operation(const char *name);

/* All that was printed has gone out: 0, else a negative errno. A write that failed earlier, of a text longer than the
 * library's buffer, counts (-EIO: its reason is gone). */
int command_printed(void);

cmd_fn cmd_run, cmd_repl, cmd_check, cmd_config, cmd_script, cmd_client, cmd_explain, cmd_simulate, cmd_test,
    cmd_helper, cmd_other, cmd_version, cmd_help;

#endif
