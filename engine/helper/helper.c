/* Picks the action, and takes its options apart. */
#include "helper/helper.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

static const struct {
  const char *name;
  helper_fn *fn;
} actions[] = {
    {"attend", helper_attend}, {"clean", helper_clean},     {"connect", helper_connect},
    {"fs", helper_fs},         {"handles", helper_handles}, {"journal", helper_journal},
    {"looks", helper_looks},   {"process", helper_process}, {"resources", helper_resources},
    {"rotate", helper_rotate}, {"stat", helper_stat},       {"sync", helper_sync},
    {"usage", helper_usage},   {"write", helper_write},
};

int helper_main(int argc, char **argv) {
  const char *names[ARRAY_LEN(actions)];
  signal(SIGXFSZ, SIG_IGN); /* a limit is an error like a full disk */
  for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
    names[i] = actions[i].name;
    if (argc > 1 && STR_EQ(argv[1], actions[i].name)) return actions[i].fn(argc - 1, argv + 1);
  }
  const char *near = argc > 1 ? str_nearest(argv[1], names, ARRAY_LEN(names)) : NULL;
  fprintf(stderr, "tend helper: %s%s%s%s\n", argc > 1 ? "unknown action " : "an action is missing",
          argc > 1 ? argv[1] : "", near ? "; nearest: " : "", near ? near : "");
  return HELPER_USAGE;
}

int helper_fail(const char *action, const char *message) {
  fflush(stdout); /* the reason comes last */
  fprintf(stderr, "tend helper %s: %s\n", action, message);
  return HELPER_FAILED;
}

static int wrong(const char *action, const char *what, const char *word) {
  fprintf(stderr, "tend helper %s: %s%s\n", action, what, word);
  return HELPER_USAGE;
}

static const struct helper_option *find(const char *word, const struct helper_option *options, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (STR_EQ(word, options[i].name)) return &options[i];
  return NULL;
}

int helper_parse(int argc, char **argv, const char **path, const struct helper_option *options, size_t n) {
  if (argc < 2 || argv[1][0] == '-') return wrong(argv[0], "a path is missing", "");
  *path = argv[1];
  for (int i = 2; i < argc; i++) {
    const struct helper_option *o = find(argv[i], options, n);
    if (!o) return wrong(argv[0], "unknown option ", argv[i]);
    if (o->kind == HELPER_FLAG) {
      *(bool *)o->out = true;
      continue;
    }
    const char *value = i + 1 < argc ? argv[++i] : NULL;
    if (!value) return wrong(argv[0], "a value is missing after ", o->name);
    if (o->kind == HELPER_NUMBER) {
      if (str_int(value, 0, o->max, o->out)) return wrong(argv[0], "a whole number is expected after ", o->name);
    } else {
      struct helper_texts *texts = o->out;
      if (texts->n == HELPER_TEXTS_MAX) return wrong(argv[0], "given too often: ", o->name);
      texts->text[texts->n++] = value;
    }
  }
  return HELPER_OK;
}
