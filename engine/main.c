/* Picks the command. */
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cmd/cmd.h"

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

static int no_such_command(const char *word) {
  const char *names[64];
  size_t n = 0;
  for (const struct command *c = commands; c->name && n < ARRAY_LEN(names); c++)
    if (c->summary) names[n++] = c->name;
  const char *near = str_nearest(word, names, n);
  if (!near && is_program(word))
    fprintf(stderr, "tend: unknown command \"%s\"; to run the program of that name: tend run -- %s ...\n", word, word);
  else
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
