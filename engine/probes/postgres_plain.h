/* What is certainly right of a probe of kind postgres, found without its part: libpq and the libraries that it needs
 * take longer to load than all else of a start, and a check is asked only after it. */
#ifndef TEND_PROBES_POSTGRES_PLAIN_H
#define TEND_PROBES_POSTGRES_PLAIN_H

#include <stdbool.h>

#include "base/json.h"
#include "tend/part.h"

/* true: the part is there and would take these parameters, and the value of their setting where there is one.
 * false: it has to be asked. */
bool postgres_plain(const struct tend_host *host, const cJSON *params);

#endif
