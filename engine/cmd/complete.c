/* What may follow on a command line, for the shells (deploy/completion): tend help --complete WORD... prints a
 * candidate a line, with what it is about after a tab. The last word is the one that is being typed, maybe empty.
 * Commands that ask an engine come from the table of operations and from the engine that runs here; of others only the
 * names. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "client/client.h"
#include "cmd/cmd.h"

static void put(const char *word, const char *about) { printf("%s\t%s\n", word, about ? about : ""); }

static void put_script(void *arg, const struct operation *op) {
  (void)arg;
  put(op->name, op->summary);
}

static void put_commands(int argc, char **argv) {
  for (const struct command *c = commands; c->name; c++)
    if (c->summary) put(c->name, c->summary);
  for (const struct operation *op = operations; op->name; op++)
    if (op->shown) put(op->name, op->summary);
  client_scripts(put_script, NULL, argc, argv);
}

static void put_name(void *arg, const char *name) { put(name, arg); }

/* The value of an argument. */
static void put_values(const struct operation_arg *a, int argc, char **argv) {
  char list[256];
  str_copy(list, sizeof list, a->choices ? a->choices : "");
  for (char *p = list; *p;) {
    size_t n = strcspn(p, "|");
    bool more = p[n];
    p[n] = 0;
    put(p, a->doc);
    p += n + more;
  }
  if (a->names) client_names(a->names, put_name, (void *)a->names, argc, argv);
}

static void option_of(const struct operation_arg *a, char *to, size_t size) {
  auto_buf struct buf usage = {0};
  operation_arg_usage(a, &usage);
  str_copy(to, size, buf_cstr(&usage));
  to[strcspn(to, " ")] = 0;
}

/* The option of this name that wants a value. */
static const struct operation_arg *wants_value(const struct operation *op, const char *word) {
  char option[64];
  for (const struct operation_arg *a = op->args; a->name; a++) {
    if (a->place != ARG_OPTION || a->type == ARG_BOOL) continue;
    option_of(a, option, sizeof option);
    if (STR_EQ(option, word)) return a;
  }
  return NULL;
}

static bool is_common(const char *word) { return STR_EQ(word, "--flow-name") || STR_EQ(word, "--state-dir"); }

static void put_options(const struct operation *op) {
  char option[64];
  for (const struct operation_arg *a = op->args; a->name; a++) {
    if (a->place != ARG_OPTION) continue;
    option_of(a, option, sizeof option);
    put(option, a->doc);
  }
  put("--json", "for programs");
  put("--flow-name", "which engine, where several run");
  put("--state-dir", "where its control socket is looked for");
  put("--read-only", "look, but refuse to change anything");
}

struct line {
  int argc;
  char **argv; /* the command first, the word that is being typed last */
};

static void put_operation(void *arg, const struct operation *op) {
  const struct line *l = arg;
  if (!STR_EQ(op->name, l->argv[0])) return;
  const char *now = l->argv[l->argc - 1];
  unsigned words = 0; /* given so far */
  const struct operation_arg *value = NULL;
  for (int i = 1; i < l->argc - 1; i++) {
    const char *word = l->argv[i];
    value = wants_value(op, word);
    bool common = is_common(word);
    if (value || common) {
      if (++i < l->argc - 1) value = NULL;
      if (common) value = NULL;
    } else if (*word != '-') {
      words++;
    }
  }
  if (value) {
    put_values(value, l->argc, l->argv);
    return;
  }
  if (*now == '-') {
    put_options(op);
    return;
  }
  const char *before = l->argc > 2 ? l->argv[l->argc - 2] : "";
  if (is_common(before)) return;
  unsigned place = 0;
  for (const struct operation_arg *a = op->args; a->name; a++) {
    if (a->place != ARG_WORD && a->place != ARG_KEYWORD) continue;
    if (place++ != words) continue;
    if (a->place == ARG_WORD)
      put_values(a, l->argc, l->argv);
    else
      put(a->name, a->doc);
  }
}

int complete_words(int argc, char **argv) {
  if (argc < 2) {
    put_commands(argc, argv);
    return 0;
  }
  struct line l = {argc, argv};
  const struct operation *op = command_operation(argv[0]);
  if (op)
    put_operation(&l, op);
  else
    client_scripts(put_operation, &l, argc, argv);
  return 0;
}
