/* The operations of the control socket: one table from which the engine checks what it is asked, the client reads its
 * command line, and `tend help`, docs/control.md and completion are made. Scripts add some of the same shape
 * (control.command). Pure.
 */
#ifndef TEND_CORE_OPERATION_H
#define TEND_CORE_OPERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

/* What a client may do. */
enum right {
  RIGHT_READ,    /* "read-only": look */
  RIGHT_OPERATE, /* "operator": change */
};
const char *right_name(enum right r);

enum arg_type { ARG_STRING, ARG_INTEGER, ARG_NUMBER, ARG_BOOL, ARG_DURATION, ARG_ANY };

/* Where it stands on the command line. */
enum arg_place {
  ARG_PROTOCOL, /* nowhere */
  ARG_WORD,     /* PROCESS */
  ARG_KEYWORD,  /* for DURATION */
  ARG_OPTION,   /* --last N; --follow */
};

struct operation_arg {
  const char *name; /* in the request */
  enum arg_type type;
  enum arg_place place;
  bool required;
  bool local;          /* the client's own: never sent */
  int64_t min, max;    /* ARG_INTEGER, where they differ */
  const char *choices; /* "on|off" */
  const char *value;   /* what stands for it in a usage: "PROCESS"; NULL: the choices */
  const char *option;  /* where it is not --name; "--no-…" gives false */
  const char *names;   /* what it names, for completion: "process", "check", "remedy", "file" */
  const char *doc;
};

struct operation {
  const char *name;
  const char *summary;
  bool shown; /* a command of `tend help` */
  enum right right;
  const char *reads_with, *reads_without; /* RIGHT_READ is enough with (without) this argument; NULL: no such rule */
  bool audit;                             /* an event tells who asked, and another what came of it; not where reading
                                           * is enough by the two rules above */
  bool waits;                             /* the answer may take any time */
  bool json;                              /* --json is worth telling */
  bool own;                               /* only for the engine's user and root, whatever the right */
  bool script;                            /* of a script */
  const struct operation_arg *args;       /* ends with {0}; never NULL */
};

/* The built-in ones, in the order in which they are shown; ends with {0}. */
extern const struct operation operations[];
const struct operation *operation_find(const char *name);
/* A command of tend's own, with or without an engine, or an operation: not to be had by a script. */
bool operation_is_taken(const char *name);

/* 0, or -EINVAL and what is wrong with the arguments of a request: an unknown one, a missing one, a wrong type, a value
 * that is not allowed. */
int operation_check(const struct operation *op, const cJSON *args, struct err *err);
/* What a client needs for this request. */
enum right operation_right(const struct operation *op, const cJSON *args);

/* "[PROCESS] [--follow] [--json]" */
void operation_usage(const struct operation *op, struct buf *out);
/* "--last N", "PROCESS", "for DURATION" */
void operation_arg_usage(const struct operation_arg *a, struct buf *out);
/* {"name", "summary", "right", …, "args": [{…}]} */
void operation_json(const struct operation *op, struct json *j);
/* The other way, for what a newer engine or its scripts have. The texts stay v's. -EINVAL; free args with
 * operation_free. */
int operation_read(const cJSON *v, struct operation *out, struct err *err);
void operation_free(struct operation *op);

#endif
