/* A list of things that are wrong, collected so that all are told at once: settings that do not parse, keys
 * of a plan, failed validation. Owns its texts; zero-initialise; problems_free on any state. */
#ifndef TEND_CORE_PROBLEM_H
#define TEND_CORE_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/json.h"

enum problem_class {                     /* decides tend's exit code and whether a restart can help */
                     PROBLEM_CONFIG,     /* 78: environment, flow name, configuration, flow file */
                     PROBLEM_RESOURCES,  /* 75: a limit below the need */
                     PROBLEM_DISK,       /* 75, can pass */
                     PROBLEM_PERMISSION, /* 73: permission, read-only */
                     PROBLEM_CREATE,     /* 73, can pass: a directory that cannot be made for now */
                     PROBLEM_USER,       /* 77: permission to become the user */
};

struct problem { /* in a list the texts are the list's; what is given to problems_add may be literals */
  enum problem_class class;
  bool warning;        /* told, but does not fail the start */
  const char *check;   /* environment, flow_name, configuration, directories, resource_limits, disk_space, flow_file */
  const char *name;    /* the setting, directory or key path it is about */
  const char *value;   /* as given, "***" for a secret, NULL for none */
  const char *source;  /* where the value came from: "environment", "flows/rpa1.lua:14", "default" … */
  const char *allowed; /* what is allowed or expected */
  const char *fix;     /* what to do */
};

struct problems {
  struct problem *items;
  size_t n, cap;
};

/* Adds a copy of every text of *p. On failure of memory the problem is still counted as "out of memory". */
void problems_add(struct problems *ps, const struct problem *p);
size_t problems_errors(const struct problems *ps); /* those that are no warnings */
int problems_exit_code(const struct problems *ps); /* the contract's code for the gravest, 0 for none */
bool problems_can_pass(const struct problems *ps); /* every error may go away by itself */
/* [{"check", "name", "value", "source", "allowed", "fix"}]: errors or warnings. */
void problems_json(const struct problems *ps, bool warnings, struct json *j, const char *key);
/* One line of text: "NAME: value "x" from SOURCE: expected ALLOWED; FIX". Appended to b. */
void problem_text(const struct problem *p, struct buf *b);
void problems_free(struct problems *ps);

#endif
