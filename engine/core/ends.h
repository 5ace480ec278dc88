/* The last ends of processes, newest last: how, why, what they used, and what they said before. Pure; it owns copies.
 */
#ifndef TEND_CORE_ENDS_H
#define TEND_CORE_ENDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/json.h"

enum { ENDS_MAX = 16, ENDS_OUTPUT_MAX = 2048 };

struct end {
  uint64_t seq; /* given by ends_add, from 1 */
  char process[64];
  unsigned instance;
  int pid;
  int code;          /* as a shell gives it: 128+N for a signal */
  char text[128];    /* "exit code 3", "signal KILL (out of memory)" */
  const char *cause; /* a literal: exit, signal, oom, start_timeout, check … */
  int64_t at_real_ns, duration_ns;
  double user_s, system_s;
  int64_t max_rss_kb;
  char *output; /* its last lines, at most ENDS_OUTPUT_MAX bytes; NULL: not asked for, or none */
};

struct ends {
  struct end list[ENDS_MAX];
  size_t n;
  uint64_t last; /* seq */
};

/* Copies *e but for seq and output; the oldest goes when there is no room. Returns the number. */
uint64_t ends_add(struct ends *ends, const struct end *e);
/* The end of that number gets its last lines; of a longer text the last ones. No such end any more: nothing. */
void ends_output(struct ends *ends, uint64_t seq, const char *text, size_t n);
/* The newest of an instance of a process (of any when it is negative), NULL: none. */
const struct end *ends_of(const struct ends *ends, const char *process, int instance);
void ends_free(struct ends *ends); /* zeroed is allowed */

/* "exits": [{"process", "instance", "pid", "code", "text", "cause", "at", "duration_seconds", "user_seconds",
 * "system_seconds", "max_rss_kb", "output": [lines] | null}], oldest first. */
void ends_json(const struct ends *ends, struct json *j, const char *key);

#endif
