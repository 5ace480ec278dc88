/* The built-in kinds, and what they share. */
#ifndef TEND_PROBES_KINDS_H
#define TEND_PROBES_KINDS_H

#include "probes/probe.h"
#include "tend/probe.h"

extern const struct tend_probe_kind probe_kind_tcp, probe_kind_dns, probe_kind_file, probe_kind_directory,
    probe_kind_command, probe_kind_unix, probe_kind_process, probe_kind_resource, probe_kind_usage, probe_kind_silence;

/* Of the attempt's engine: for kinds that need children. */
struct probe_env *probe_env_of(struct tend_probe *p);
/* The name of the kind that runs. */
const char *probe_kind_of(struct tend_probe *p);

/* Ends the attempt with nothing but a reason and a detail. */
void probe_end(struct tend_probe *p, enum tend_status status, const char *reason, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The reason for an errno of connect(2). */
const char *probe_connect_reason(int error);

#endif
