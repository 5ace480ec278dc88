/* The public interface of a kind of probe: one attempt at finding out whether something is there. Built-in kinds
 * and those of parts look the same.
 */
#ifndef TEND_PROBE_H
#define TEND_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tend_host;
struct tend_params; /* read with the param_ functions of struct tend_host */
struct tend_probe;  /* one attempt, seen from the kind */

enum tend_status { TEND_OK, TEND_WARN, TEND_FAIL, TEND_UNKNOWN };

enum tend_param_type {
  TEND_TEXT,     /* a string, not empty */
  TEND_INTEGER,  /* a whole number in [min, max] */
  TEND_BOOL,     /* true or false */
  TEND_DURATION, /* seconds as a number, or a string with a suffix: "250ms", "10s" */
  TEND_COMMAND,  /* a string, or a list of strings; not empty */
  TEND_ANY,      /* checked by the kind */
};

struct tend_param {
  const char *name; /* NULL ends the table */
  enum tend_param_type type;
  bool required;
  int64_t min, max; /* integers; both 0: any */
  const char *doc;
};

/* A fact for whoever asked: text, or number where text is NULL. */
struct tend_fact {
  const char *name;
  const char *text;
  double number;
};

struct tend_result {
  enum tend_status status;
  const char *reason; /* a stable word (those of tend itself: `tend explain`), NULL or "" when ok */
  const char *detail; /* for people; names the peer; no secret; may be NULL */
  const struct tend_fact *facts;
  size_t nfacts;
};

struct tend_probe_kind {
  const char *name;
  const char *doc;
  const struct tend_param *params;
  /* Beyond the table: 0, or -1 with a message that names the key. NULL: nothing more to check. */
  int (*check)(const struct tend_host *host, const struct tend_params *params, char *msg, size_t size);
  /* Returns what cancel gets, NULL with a message when it cannot start. params and p live until the end. The deadline
   * (CLOCK_MONOTONIC, ns) is kept by the caller: it cancels. */
  void *(*start)(const struct tend_host *host, struct tend_probe *p, const struct tend_params *params,
                 int64_t deadline_ns, char *msg, size_t size);
  void (*cancel)(void *run);
};

#endif
