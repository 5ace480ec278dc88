/* Frames of the control socket: a 4-byte big-endian length, then that many bytes of JSON. Used on both ends. */
#ifndef TEND_BASE_FRAME_H
#define TEND_BASE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { FRAME_HEAD = 4 };

/* Appends one frame. */
void frame_add(struct buf *out, const void *payload, size_t n);
/* Looks at what was received: the length of the frame at the front, head included, once it is whole; 0 when more is
 * needed; -EMSGSIZE when it is empty or longer than max. */
int64_t frame_length(const struct buf *in, size_t max);

#endif
