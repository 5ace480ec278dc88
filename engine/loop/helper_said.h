/* What a helper wrote last: on failure its reason, on success its summary. */
#ifndef TEND_LOOP_HELPER_SAID_H
#define TEND_LOOP_HELPER_SAID_H

#include "base/buf.h"

/* The last line of its output that is not empty, cut to size; "" when there is none (out may be NULL). */
void helper_last_line(const struct buf *out, char *to, size_t size);

#endif
