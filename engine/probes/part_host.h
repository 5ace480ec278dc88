/* The engine as parts see it. */
#ifndef TEND_PROBES_PART_HOST_H
#define TEND_PROBES_PART_HOST_H

#include "probes/probe.h"

/* env is the host's self and must live as long. The two probe_ functions are filled by loop/probe. */
void part_host_fill(struct tend_host *host, struct probe_env *env);

#endif
