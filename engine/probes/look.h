/* Kinds that look at what can hang in the kernel: a child (probes/looker.h) takes the look, `tend helper ACTION WHAT
 * [OPTION]`, and prints facts as one JSON object; the kind judges these. A child that hangs is killed at the deadline.
 */
#ifndef TEND_PROBES_LOOK_H
#define TEND_PROBES_LOOK_H

#include "base/json.h"
#include "probes/kinds.h"

/* Must end the attempt. */
typedef void probe_look_fn(struct tend_probe *p, const struct tend_params *params, const cJSON *facts);

/* As `start` of a kind. An attempt whose child gives no facts ends as unknown, reason exec. */
void *probe_look_start(struct tend_probe *p, const struct tend_params *params, const char *action, const char *what,
                       const char *option, probe_look_fn *judge, char *msg, size_t size);
void probe_look_cancel(void *run);

/* The kind's "errno" as a reason: missing, permission, refused, io. */
const char *probe_look_reason(int error);
double probe_look_number(const cJSON *facts, const char *key); /* 0 when it is none */

#endif
