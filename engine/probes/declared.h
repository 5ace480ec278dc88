/* Kinds of probes that are written in Lua say which parameters they take: { host = { type = "text", required = true }
 * }. Types: text, integer (min, max), number, boolean, duration, command, any; each may have a default and a doc.
 */
#ifndef TEND_PROBES_DECLARED_H
#define TEND_PROBES_DECLARED_H

#include "base/err.h"
#include "base/json.h"

/* Checks the declaration itself; NULL: there are no parameters. -EINVAL with the key ("params.port.type: …"). */
int probe_declaration_check(const cJSON *declaration, struct err *err);

/* Checks params against a declaration that is right, with the messages of the built-in kinds. *out, the caller's, is
 * what the kind's function gets: defaults filled in, durations in seconds. */
int probe_declared_read(const cJSON *declaration, const cJSON *params, cJSON **out, struct err *err);

#endif
