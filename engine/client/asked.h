/* Between the files of the client: a command line as its operation's table (core/operation) takes it, and what is done
 * with the answer. */
#ifndef TEND_CLIENT_ASKED_H
#define TEND_CLIENT_ASKED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "client/client.h"
#include "core/operation.h"

struct asked {
  const struct operation *op;
  const char *state_dir, *flow;
  bool json, read_only;
  struct asked_value {
    const struct operation_arg *arg;
    const char *text; /* as it was given; NULL for an option without a value */
  } given[LIMIT_COMMAND_ARGS];
  size_t n;
  int64_t seen;                  /* number of the last event that was put out; 0: none */
  char heading[LIMIT_NAME + 16]; /* whose lines were put out last, of several */
};

/* --state-dir and --flow-name of a command line whose operation is not known; the rest is left alone. */
void asked_where(struct asked *q, int argc, char **argv);
/* Reads the words after the command's name by q->op. CLIENT_OK; else CLIENT_USAGE, told on standard error. */
int asked_parse(struct asked *q, int argc, char **argv);
/* NULL: not given. */
const char *asked_text(const struct asked *q, const char *name);
bool asked_on(const struct asked *q, const char *name);
/* The arguments of the request, as JSON. */
void asked_args(const struct asked *q, struct buf *out);

/* The answer, put out; the exit code. */
int answer_put(const struct asked *q, const cJSON *value);
/* A part of a stream; false: it cannot be put out. arg: a struct asked. */
bool answer_part(void *arg, const cJSON *part);
int put_text(const char *p, size_t n);
int put_json(const cJSON *value);
/* Nothing in it steers the terminal, or looks like a line of ours. */
void tame_text(char *p);

#endif
