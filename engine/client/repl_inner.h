/* Between repl.c (a chunk and its answer) and repl_lines.c (lines that are typed). */
#ifndef TEND_CLIENT_REPL_INNER_H
#define TEND_CLIENT_REPL_INNER_H

#include "base/limits.h"
#include "client/repl.h"

struct repl_prompt {
  const struct repl_client_options *o;
  struct repl_wire wire;
  int sig_fd;
  int64_t session;
  bool read_only, terminal;
  char flow[LIMIT_NAME];
  struct buf sofar;   /* the lines of a chunk that goes on */
  struct buf history; /* its path */
  cJSON *completed;   /* what the last completion showed */
  struct repl_choice choices[256];
  struct buf shown[256], hint;
};

struct repl_chunk {
  const char *text;
  size_t n;
  const char *name; /* NULL: the engine's */
  bool statement;   /* a whole file */
  bool may_go_on;
};

enum eval_end { EVAL_DONE, EVAL_FAILED, EVAL_INCOMPLETE, EVAL_CANCELLED, EVAL_GONE };

int repl_session_open(struct repl_prompt *p, int64_t patience_ns, struct err *err);
/* Sends it and shows what comes. */
enum eval_end repl_eval(struct repl_prompt *p, const struct repl_chunk *c);
/* Lines from the terminal or from standard input, to their end: the exit code. */
int repl_lines(struct repl_prompt *p);
/* Asks what may follow. */
void repl_complete(void *prompt, const char *line, size_t cursor, struct repl_choices *out);

#endif
