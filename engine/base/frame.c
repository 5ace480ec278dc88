#include "base/frame.h"

#include <errno.h>

void frame_add(struct buf *out, const void *payload, size_t n) {
  const unsigned char head[FRAME_HEAD] = {(unsigned char)(n >> 24), (unsigned char)(n >> 16), (unsigned char)(n >> 8),
                                          (unsigned char)n};
  if (!buf_room(out, FRAME_HEAD + n)) return;
  buf_add(out, head, sizeof head);
  buf_add(out, payload, n);
}

int64_t frame_length(const struct buf *in, size_t max) {
  if (in->len < FRAME_HEAD) return 0;
  const unsigned char *p = (const unsigned char *)in->data;
  size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
  if (n == 0 || n > max) return -EMSGSIZE;
  return in->len >= FRAME_HEAD + n ? (int64_t)(FRAME_HEAD + n) : 0;
}
