/* From the command line, the environment and the files to settings and a plan: what run, check and config share. */
#ifndef TEND_CMD_LOAD_H
#define TEND_CMD_LOAD_H

#include <limits.h>
#include <stdbool.h>

#include "base/limits.h"
#include "cmd/options.h"
#include "core/plan.h"
#include "core/problem.h"
#include "core/settings.h"
#include "probes/probe.h"
#include "loop/sink.h"
#include "core/kept.h"
#include "lua/vm.h"

struct by_hand;

struct load {
  const struct options *options;
  struct by_hand *by_hand; /* given: what an operator has changed; NULL: nothing */
  struct settings *settings;
  struct problems problems;         /* of settings and flow file */
  char flow[LIMIT_NAME];            /* "" when none is named */
  bool command_only;                /* a command, and no flow of that name: the built-in policy */
  bool unnamed;                     /* a command, and no flow name at all */
  const struct kept_policy *kept;   /* given: of the engine before, in place of what is on disk; NULL: the disk */
  bool safe;                        /* given: without scripts and checks, of `kept` */
  bool whole;                       /* the plan is that of the flow file */
  cJSON *returned;                  /* by the flow file */
  const struct keep_culprit *stuck; /* given: where loading it has ended an engine; NULL: nowhere */
  bool starts;                      /* given by who starts the flow: what a check alone needs is not loaded for it */
  char file[PATH_MAX];              /* the flow file, "" for none */
  struct buf flows, scripts;        /* colon lists that are searched */
  char near[LIMIT_NAME];            /* the nearest flow there is, when this one is missing */
  bool must_have_file;              /* of a reload: without one it is refused */
  struct sched *sched;
  bool own_sched;
  struct vm *vm; /* NULL without a flow file */
  struct policy policy;
  void (*done)(void *arg, const struct err *err); /* of load_flow_aside */
  void *done_arg;
  struct plan *plan; /* never NULL after load_flow; without a usable one: nothing that could be started */
};

/* What a generation of scripts is told of flow, settings and folders. */
void load_host(struct load *l, struct vm_host *host);
/* Makes the scheduler of scripts, where there is none yet, for this load and those that share it. -ENOMEM. */
int load_sched(struct load *l, struct vm_host *host, struct err *err);
/* Settings of all layers but the flow's. -ENOMEM. in_force: of a reload, see settings_keep_to; else NULL. */
int load_settings(struct load *l, const struct options *options, struct err *err);
int load_settings_again(struct load *l, const struct options *options, const struct settings *in_force,
                        struct err *err);

/* Finds and runs the flow file, makes the plan, resolves the settings for good. What is wrong goes to l->problems.
 * host: loop, sink, probes, children, metrics as far as there are; the rest is filled here. -ENOMEM. */
int load_flow(struct load *l, const struct vm_host *host, struct err *err);

/* The same in slices, for a reload: done comes from the loop, or at once where there is no flow file. host->sched is
 * shared. What is begun ends with load_free. */
typedef void load_done_fn(void *arg, const struct err *err);
void load_flow_aside(struct load *l, const struct vm_host *host, load_done_fn *done, void *arg);

/* The same for who only shows settings: where no flow is named, tend's own stand alone. */
int load_rest(struct load *l, const struct vm_host *host, struct err *err);

/* How and where to log, as the settings are at present; log_fd: the pipe to init. */
struct sink_options load_sink_options(const struct load *l, int log_fd);

/* All but the names of the folders, and the scheduler: what may point to these goes on. */
void load_drop(struct load *l);
void load_free(struct load *l); /* any state; the scheduler goes only with who made it */

/* PREFIX/share/tend/SUB of an installed tend, SUB of a checkout; "" when there is none. */
void load_share(const char *sub, char *to, size_t size);

#endif
