/* Probes: one attempt at finding out whether something is there. They never block the loop and never
 * outlive their deadline, which is kept here, not by the kinds. Built-in kinds: tcp, dns, file, directory, command,
 * unix, process, resource, usage, silence; any other is looked for in the part of its name (postgres, http). What a
 * kind takes is its table of parameters.
 */
#ifndef TEND_PROBES_PROBE_H
#define TEND_PROBES_PROBE_H

#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "loop/children.h"
#include "loop/loop.h"
#include "probes/meter.h"
#include "tend/part.h"

struct looker;
struct probe;
struct settings;
struct sink;

enum probe_status { PROBE_OK, PROBE_WARN, PROBE_FAIL, PROBE_UNKNOWN };

const char *probe_status_name(enum probe_status status); /* "ok" … */

struct probe_result {
  enum probe_status status;
  /* A stable word for what went wrong, "" when ok: dns, refused, unreachable, timeout, tls, authentication,
   * no_database, too_many_clients, starting_up, read_only, closed, protocol, status, body, missing, permission, exit,
   * signal, exec, script … */
  char reason[32];
  char detail[256];    /* for people; names the peer, path or command; no secret */
  int64_t duration_ns; /* filled by the caller of the kind: from start to result */
  const cJSON *data;   /* kind-specific facts, may be NULL; valid during the callback */
};

typedef void probe_done_fn(void *arg, const struct probe_result *result);

/* A process of the plan, as the engine knows it. */
struct probe_process {
  unsigned instances, running; /* asked for; up */
  pid_t pid;                   /* of the one that came up last; 0 when none is up */
  int64_t since_ns;            /* that one's time, on CLOCK_MONOTONIC */
  const char *state;           /* of one that is not up, else of any */
};

/* 0; -ENOENT when the plan has none of that name. */
typedef int probe_process_fn(void *arg, const char *name, struct probe_process *out);

/* What probes need of the engine; lives as long as any probe. Zero-initialise, fill, then probe_env_init. */
struct probe_env {
  struct loop *loop;
  struct children *children;       /* NULL: kinds that need a child fail with reason exec */
  struct sink *sink;               /* what parts log; may be NULL */
  const struct settings *settings; /* for `setting = NAME` in parameters; may be NULL, may change */
  probe_process_fn *process;       /* NULL: there is no engine to ask */
  void *process_arg;
  struct tend_host host; /* what parts see; filled by probe_env_init */
  struct meter meter;    /* the container's use */
  struct looker *looker; /* made when it is needed first */
};

void probe_env_init(struct probe_env *env);
/* When no probe runs any more, before loop and children are freed; zeroed is allowed. */
void probe_env_close(struct probe_env *env);

/* Whether there is a kind of that name that is not written in Lua: built in, or of a part, whose file is there. */
bool probe_known(const char *kind);

/* Checks kind and parameters only: the same messages as probe_start, nothing is started. */
int probe_check(const char *kind, const cJSON *params, struct err *err);

/* The same, and the values of settings that the parameters name (`setting = NAME`), where these are given. */
int probe_check_values(const struct settings *settings, const char *kind, const cJSON *params, struct err *err);

/* The same of a probe that is asked only after the start: a part whose libraries are slow to load is not loaded where
 * all is certainly right. settings may be NULL. */
int probe_check_early(const struct settings *settings, const char *kind, const cJSON *params, struct err *err);

/* Starts an attempt. done is called once, from the loop, at the deadline at the latest, never from inside this call.
 * NULL with err when the kind or a parameter is wrong. params are copied as needed. */
struct probe *probe_start(struct probe_env *env, const char *kind, const cJSON *params, int64_t deadline_ns,
                          probe_done_fn *done, void *arg, struct err *err);
/* Ends the attempt; done is not called. NULL is allowed. */
void probe_cancel(struct probe *p);

#endif
