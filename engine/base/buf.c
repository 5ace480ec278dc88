#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *buf_room(struct buf *b, size_t n) {
  if (b->failed) return NULL;
  if (n > SIZE_MAX / 2 - b->len || (b->max && b->len + n > b->max)) {
    b->failed = true;
    return NULL;
  }
  size_t need = b->len + n + 1;
  if (need > b->cap) {
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need) cap *= 2;
    char *p = realloc(b->data, cap);
    if (!p) {
      b->failed = true;
      return NULL;
    }
    b->data = p;
    b->cap = cap;
  }
  return b->data + b->len;
}

void buf_add(struct buf *b, const void *p, size_t n) {
  char *to = buf_room(b, n);
  if (!to) return;
  if (n) memcpy(to, p, n);
  b->len += n;
  b->data[b->len] = 0;
}

void buf_str(struct buf *b, const char *s) { buf_add(b, s, strlen(s)); }

void buf_char(struct buf *b, char c) { buf_add(b, &c, 1); }

void buf_vfmt(struct buf *b, const char *fmt, va_list ap) {
  va_list again;
  va_copy(again, ap);
  size_t room = b->failed || !b->data ? 0 : b->cap - b->len;
  int n = vsnprintf(room ? b->data + b->len : NULL, room, fmt, ap); /* most often it fits */
  if (n >= 0 && (size_t)n < room && (!b->max || b->len + (size_t)n <= b->max)) {
    b->len += (size_t)n;
  } else if (n >= 0) {
    if (room) b->data[b->len] = 0;
    char *to = buf_room(b, (size_t)n);
    if (to) {
      vsnprintf(to, (size_t)n + 1, fmt, again);
      b->len += (size_t)n;
    }
  }
  va_end(again);
}

void buf_fmt(struct buf *b, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  buf_vfmt(b, fmt, ap);
  va_end(ap);
}

void buf_drop(struct buf *b, size_t n) {
  if (n >= b->len) {
    buf_clear(b);
    return;
  }
  memmove(b->data, b->data + n, b->len - n);
  b->len -= n;
  b->data[b->len] = 0;
}

void buf_clear(struct buf *b) {
  b->len = 0;
  if (b->data) b->data[0] = 0;
}

void buf_free(struct buf *b) {
  free(b->data);
  b->data = NULL;
  b->len = b->cap = 0;
  b->failed = false;
}

const char *buf_cstr(const struct buf *b) { return b->data ? b->data : ""; }

char *buf_take(struct buf *b) {
  if (b->failed) return NULL;
  char *p = b->data ? b->data : calloc(1, 1);
  b->data = NULL;
  b->len = b->cap = 0;
  return p;
}
