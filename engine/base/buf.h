/* A growable byte buffer. Zero-initialise it ({0}); it owns its memory; buf_free on any state. The text is
 * always followed by a NUL that does not count. An allocation that fails, or growth over `max` (0: none),
 * sets `failed` and later writes do nothing, so one check at the end is enough. */
#ifndef TEND_BASE_BUF_H
#define TEND_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
  char *data;
  size_t len, cap, max;
  bool failed;
};

void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, const char *s);
void buf_char(struct buf *b, char c);
void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vfmt(struct buf *b, const char *fmt, va_list ap);
/* Room for n more bytes at data + len; NULL on failure. The caller adds to len what it wrote. */
char *buf_room(struct buf *b, size_t n);
/* Drops the first n bytes. */
void buf_drop(struct buf *b, size_t n);
void buf_clear(struct buf *b); /* empties, keeps the memory */
void buf_free(struct buf *b);  /* releases; the buffer can be used again */
/* The text as a string, never NULL; owned by the buffer. */
const char *buf_cstr(const struct buf *b);
/* Hands the memory out (free() it); the buffer is empty after. NULL on an earlier failure. */
char *buf_take(struct buf *b);

#define auto_buf __attribute__((cleanup(buf_free)))

#endif
