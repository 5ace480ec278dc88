/* The commands that ask a running engine: one for all, which looks at its own name; those that its scripts have added;
 * and words that are no command at all. */
#include "client/client.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cmd/cmd.h"

static bool wants_help(const char *word) { return STR_EQ(word, "--help") || STR_EQ(word, "-h"); }

int cmd_client(int argc, char **argv) {
  for (int i = 1; i < argc && !STR_EQ(argv[i], "--"); i++)
    if (wants_help(argv[i])) return cmd_help(2, (char *[]){argv[i], argv[0], NULL});
  return client_main(argc, argv);
}

/* --- other words ------------------------------------------------------------------------------------------------- */

/* Where an image has tend as its entry point, what is given to it may be meant as a command line. */
static bool is_program(const char *word) {
  if (strchr(word, '/')) return access(word, X_OK) == 0;
  const char *path = getenv("PATH");
  for (const char *dir = path ? path : ""; *dir; dir += *dir == ':') {
    size_t n = strcspn(dir, ":");
    char file[PATH_MAX];
    snprintf(file, sizeof file, "%.*s/%s", (int)n, dir, word);
    if (n && access(file, X_OK) == 0) return true;
    dir += n;
  }
  return false;
}

/* Names of commands that scripts have added, where an engine runs. */
struct added {
  char names[LIMIT_COMMANDS][LIMIT_NAME];
  size_t n;
};

static void add_name(void *arg, const struct operation *op) {
  struct added *a = arg;
  if (a->n < LIMIT_COMMANDS) str_copy(a->names[a->n++], LIMIT_NAME, op->name);
}

static int no_such_command(const char *word) {
  struct added added = {.n = 0};
  const char *names[64 + LIMIT_COMMANDS];
  size_t n = command_names(names, 64);
  client_scripts(add_name, &added, 0, NULL);
  for (size_t i = 0; i < added.n; i++) names[n++] = added.names[i];
  const char *near = str_nearest(word, names, n);
  if (!near && is_program(word))
    fprintf(stderr, "tend: unknown command \"%s\"; to run the program of that name: tend run -- %s ...\n", word, word);
  else
    fprintf(stderr, "tend: unknown command \"%s\"%s%s%s; see tend help\n", word, near ? "; did you mean \"" : "",
            near ? near : "", near ? "\"" : "");
  return EXIT_USAGE;
}

int cmd_other(int argc, char **argv) {
  if (argc > 1 && wants_help(argv[1])) return cmd_help(2, (char *[]){argv[1], argv[0], NULL});
  int code = client_script_main(argc, argv);
  return code >= 0 ? code : no_such_command(argv[0]);
}
