/* What can hang in the kernel (a dead mount, a big tree, a write to a full volume) runs in a child: `tend helper
 * ACTION PATH [--option VALUE]...`. Each action is one file and one function of the form below; it prints one line of
 * JSON with its result on standard output; on failure the last line is the reason, for people.
 *
 * Exit: 0 done, 1 not (wholly) done, 64 wrong use. */
#ifndef TEND_HELPER_HELPER_H
#define TEND_HELPER_HELPER_H

#include <stddef.h>
#include <stdint.h>

#include "base/exits.h"
#include "base/limits.h"

enum { HELPER_OK = EXIT_OK, HELPER_FAILED = EXIT_FAILED, HELPER_USAGE = EXIT_USAGE };

/* argv[0] is the action's name. Returns the exit code. */
typedef int helper_fn(int argc, char **argv);

helper_fn helper_attend, helper_clean, helper_connect, helper_fs, helper_handles, helper_journal, helper_looks,
    helper_process, helper_resources, helper_sync, helper_rotate, helper_stat, helper_usage, helper_write;

/* argv[0] is "helper". */
int helper_main(int argc, char **argv);

/* --- options ---------------------------------------------------------------------------------------------------- */

enum helper_kind {
  HELPER_FLAG,   /* bool */
  HELPER_NUMBER, /* int64_t, 0 to max */
  HELPER_TEXTS,  /* struct helper_texts: may be given more than once */
};

/* A handler's patterns, or the directories whose file systems are looked at. */
enum { HELPER_TEXTS_MAX = LIMIT_DIRECTORIES + 3 };
struct helper_texts {
  const char *text[HELPER_TEXTS_MAX];
  size_t n;
};

struct helper_option {
  const char *name; /* with its dashes */
  enum helper_kind kind;
  void *out;
  int64_t max; /* of a number */
};

/* Takes "PATH [--option VALUE]..." apart: HELPER_OK, or HELPER_USAGE after it has said what is wrong. */
int helper_parse(int argc, char **argv, const char **path, const struct helper_option *options, size_t n);

/* Replaces a file of the folder by n bytes, or, where data is NULL, by the standard input, as write.c says. Positive
 * errno. */
int helper_replace(int dir, const char *name, const char *data, size_t n, int64_t *bytes);

/* Prints "tend helper ACTION: message" as the last line and returns HELPER_FAILED. */
int helper_fail(const char *action, const char *message);

#endif
