#include "init/line.h"

#include <string.h>

#include "base/str.h"

size_t line_ready(const char *p, size_t n, size_t longest, bool mid, bool eof) {
  if (n == 0) return 0;
  const char *last = memrchr(p, '\n', n);
  if (last) return (size_t)(last - p) + 1;
  return mid || eof || n >= longest ? n : 0;
}

size_t line_cut(const char *p, size_t n, size_t max) {
  if (n <= max) return n;
  const char *last = memrchr(p, '\n', max);
  return last ? (size_t)(last - p) + 1 : max;
}

size_t line_part(const char *p, size_t n, size_t max, bool *whole) {
  size_t k = n < max ? n : max;
  const char *end = memchr(p, '\n', n > k ? k + 1 : k);
  *whole = end != NULL;
  if (end) return (size_t)(end - p);
  if (k == n) return k;
  /* a sequence has at most 4 bytes: step back to its first one if the cut is inside */
  size_t back = 0;
  while (back < 3 && back + 1 < k && ((unsigned char)p[k - back] & 0xc0) == 0x80) back++;
  if (back && str_utf8_len(p + k - back, n - (k - back)) > back) k -= back;
  return k;
}

size_t line_drop(const char *p, size_t n, size_t want, uint64_t *lines) {
  size_t done = 0;
  while (done < n && done < want) {
    const char *end = memchr(p + done, '\n', n - done);
    done = end ? (size_t)(end - p) + 1 : n;
    (*lines)++;
  }
  return done;
}

size_t line_base64(const char *p, size_t n, char *out) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const unsigned char *s = (const unsigned char *)p;
  char *o = out;
  for (size_t i = 0; i < n; i += 3) {
    uint32_t v = (uint32_t)s[i] << 16;
    if (i + 1 < n) v |= (uint32_t)s[i + 1] << 8;
    if (i + 2 < n) v |= s[i + 2];
    *o++ = digits[v >> 18];
    *o++ = digits[v >> 12 & 63];
    *o++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
    *o++ = i + 2 < n ? digits[v & 63] : '=';
  }
  return (size_t)(o - out);
}
