/* What the words mean that tend speaks: exit codes, signals, events, states, health, causes, reasons, stages. All of it
 * is read from the tables that the rest of the program uses; settings have theirs in core/settings.h. Texts are
 * literals but for `name`.
 */
#ifndef TEND_CORE_EXPLAIN_H
#define TEND_CORE_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>

enum explain_kind {
  EXPLAIN_EXIT,
  EXPLAIN_SIGNAL,
  EXPLAIN_EVENT,
  EXPLAIN_STATE,
  EXPLAIN_INSTANCE,
  EXPLAIN_HEALTH,
  EXPLAIN_CAUSE,
  EXPLAIN_END,
  EXPLAIN_PROBE,
  EXPLAIN_STAGE,
  EXPLAIN_ERRNO, /* found by name, not listed */
  EXPLAIN_KINDS
};

const char *explain_kind_name(enum explain_kind kind);  /* "exit_code", for programs */
const char *explain_kind_title(enum explain_kind kind); /* "exit code", for people */

struct explain {
  enum explain_kind kind;
  char name[48];         /* "137", "SIGTERM", "dependency_failed" … */
  const char *doc;       /* what it means */
  const char *look;      /* what to look at or do; "" for nothing */
  const char *component; /* events: of the line; else NULL */
  const char *keys;      /* events: what the details may hold, with blanks between; "*": anything; else NULL */
  int code;              /* exit codes; signals: the exit code of a workload that it ends; else -1 */
};

/* All that the tables hold, in order: i from 0; false at the end. */
bool explain_at(size_t i, struct explain *out);

/* All that a word may mean, at most `max`, in any case of letters. Exit codes that no table holds (0 to 255, "128+9")
 * are explained, too, signals by their names ("KILL", "SIGKILL"), and the system's errors ("ENOSPC"). Returns how many;
 * 0: nothing of that name. */
size_t explain_find(const char *word, struct explain *out, size_t max);

#endif
