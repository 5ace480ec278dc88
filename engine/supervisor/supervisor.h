/* The supervisor: the only caller of the machine. It carries out the machine's actions (spawn, signal, checks,
 * hooks, cleanup, report) and feeds what comes of them back as inputs; every event of the lifecycle is told here.
 *
 * All that the options point to stays the caller's and must outlive it.
 */
#ifndef TEND_SUPERVISOR_SUPERVISOR_H
#define TEND_SUPERVISOR_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "core/machine.h"
#include "core/plan.h"
#include "core/problem.h"
#include "core/settings.h"
#include "loop/children.h"
#include "loop/policy.h"
#include "probes/probe.h"
#include "loop/sink.h"
#include "loop/state.h"

struct control;
struct supervisor;
struct keep;
struct metrics;
struct quarantine;
struct quarantined;
struct generation;
struct generations;
struct revival;

struct supervisor_options {
  struct loop *loop;
  struct children *children;
  struct sink *sink;
  struct probe_env *probes;
  struct metrics *metrics;
  const struct settings *settings;
  const struct plan *plan;
  const struct policy *policy;           /* NULL: no scripts */
  struct generation *generation;         /* these four, as the first of them; NULL: */
  const struct generations *generations; /* nothing is ever loaded anew */
  struct problems *problems;             /* found while settings and flow were loaded; the validation adds its own */
  bool simple;                           /* --mode simple */
  bool tty;
  pid_t pid;                       /* tend's, as the world sees it */
  int64_t loaded_ns;               /* how long the loading took */
  struct keep *keep;               /* what is put there outlives the engine; NULL: nothing does */
  struct quarantine *quarantine;   /* NULL: there is none */
  const struct quarantined *stuck; /* the one of them who has ended the engine before; NULL: nobody has */
  struct revival *revival;         /* this one takes over from one that died; NULL: it is the first */
};

/* NULL with err: no memory. */
struct supervisor *supervisor_new(const struct supervisor_options *options, struct err *err);
void supervisor_free(struct supervisor *s); /* NULL is allowed; the generation in force stays: */
struct generation *supervisor_generation(const struct supervisor *s);

/* Begins; from now on everything happens in the loop, which is stopped at the end. */
void supervisor_begin(struct supervisor *s);

/* For operations of others (control_add); NULL where there is no socket. After supervisor_begin. */
struct control *supervisor_control(struct supervisor *s);

/* A signal to the instances of a process that are up (instance below 0: all): to how many; -ENOENT. */
int supervisor_signal(struct supervisor *s, const char *process, int instance, int signal, bool group);
/* "metrics", "report", "status" as JSON, for scripts; -EINVAL. arg is the supervisor. */
int supervisor_ask(void *arg, const char *what, struct buf *out);

#endif
