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
#include "lua/vm.h"

struct load {
  const struct options *options;
  struct settings *settings;
  struct problems problems;         /* of settings and flow file */
  char flow[LIMIT_NAME];            /* "" when none is named */
  bool command_only;                /* a command, and no flow of that name: the built-in policy */
  bool unnamed;                     /* a command, and no flow name at all */
  const struct keep_culprit *stuck; /* given: where loading it has ended an engine; NULL: nowhere */
  bool starts;                      /* given by who starts the flow: what a check alone needs is not loaded for it */
  char file[PATH_MAX];              /* the flow file, "" for none */
  struct buf text;                  /* of the flow file, once a line of it was asked for */
  struct buf flows, scripts;        /* colon lists that are searched */
  char near[LIMIT_NAME];            /* the nearest flow there is, when this one is missing */
  struct sched *sched;
  struct vm *vm; /* NULL without a flow file */
  struct policy policy;
  struct plan *plan; /* never NULL after load_flow; without a usable one: nothing that could be started */
};

/* What a generation of scripts is told of flow, settings and folders. */
void load_host(struct load *l, struct vm_host *host);
/* Settings of all layers but the flow's. -ENOMEM. */
int load_settings(struct load *l, const struct options *options, struct err *err);

/* Finds and runs the flow file, makes the plan, resolves the settings for good. What is wrong goes to l->problems.
 * host: loop, sink, probes, children, metrics as far as there are; the rest is filled here. -ENOMEM. */
int load_flow(struct load *l, const struct vm_host *host, struct err *err);

/* The same for who only shows settings: where no flow is named, tend's own stand alone. */
int load_rest(struct load *l, const struct vm_host *host, struct err *err);

/* How and where to log, as the settings are at present; log_fd: the pipe to init. */
struct sink_options load_sink_options(const struct load *l, int log_fd);

void load_free(struct load *l); /* any state */

/* PREFIX/share/tend/SUB of an installed tend, SUB of a checkout; "" when there is none. */
void load_share(const char *sub, char *to, size_t size);

#endif
