/* Where output may be cut: pure functions over the bytes of one stream. */
#ifndef TEND_INIT_LINE_H
#define TEND_INIT_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many of the n bytes may be written now: whole lines; all where a line was begun already (`mid`), is longer
 * than `longest` or will never be completed (`eof`). */
size_t line_ready(const char *p, size_t n, size_t longest, bool mid, bool eof);

/* The longest prefix of at most `max` bytes that ends after a newline; min(n, max) where there is none. */
size_t line_cut(const char *p, size_t n, size_t max);

/* The next part of a line: up to its newline (not counted; *whole is then true), at most max bytes, never inside a
 * UTF-8 sequence that is there as a whole. */
size_t line_part(const char *p, size_t n, size_t max, bool *whole);

/* How many of the n bytes to drop so that at least `want` go, whole lines where there are such; *lines counts them,
 * one begun included. */
size_t line_drop(const char *p, size_t n, size_t want, uint64_t *lines);

/* Base64 (RFC 4648, section 4) with padding; out needs (n + 2) / 3 * 4 bytes. Returns how many were written. */
size_t line_base64(const char *p, size_t n, char *out);

#endif
