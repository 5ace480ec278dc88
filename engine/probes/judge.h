/* What a check's function returned, as the result of a probe. */
#ifndef TEND_PROBES_JUDGE_H
#define TEND_PROBES_JUDGE_H

#include "probes/probe.h"

/* What a function says: true; nil, false or nothing, and an error; a table with `status` ("ok", "warn", "fail",
 * "unknown"), `reason`, `detail`, or one without, which is a good answer; or a status as a word. Anything else is
 * nonsense: unknown. */
void probe_judge(const cJSON *values, struct probe_result *out);

/* A result made here. */
void probe_say(struct probe_result *out, enum probe_status status, const char *reason, const char *detail);

#endif
