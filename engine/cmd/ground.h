/* What an engine stands on, whatever it is for (tend run, tend script, a prompt without a container): opened in this
 * order, closed in the reverse one. */
#ifndef TEND_CMD_GROUND_H
#define TEND_CMD_GROUND_H

#include "cmd/load.h"
#include "core/metric.h"
#include "loop/children.h"
#include "loop/loop.h"

struct ground {
  struct loop *loop;
  struct children *children;
  struct metrics *metrics;
  struct sink *sink;
  struct probe_env probes;
};

/* Loop, children and metrics: what needs no setting. On failure, too, ground_close comes. -ENOMEM. */
int ground_open(struct ground *g, int channel_fd, struct err *err);
/* The sink, as the settings are by now, and probes; log_fd: the pipe to init. -ENOMEM. */
int ground_open_log(struct ground *g, const struct load *load, int log_fd, struct err *err);
/* After the flow has said what its settings are. */
void ground_configure_log(struct ground *g, const struct load *load, int log_fd);

/* A host of scripts with all of this; what else it needs is for the caller. */
struct vm_host ground_host(struct ground *g);

void ground_close(struct ground *g);

#endif
