#include "base/err.h"

#include <stdio.h>
#include <string.h>

static int set_v(struct err *err, int code, const char *fmt, va_list ap) {
  if (err) {
    err->code = code;
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
  }
  return code;
}

int err_set(struct err *err, int code, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  set_v(err, code, fmt, ap);
  va_end(ap);
  return code;
}

int err_errno(struct err *err, int code, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  set_v(err, code, fmt, ap);
  va_end(ap);
  if (err) {
    size_t n = strlen(err->msg);
    snprintf(err->msg + n, sizeof err->msg - n, ": %s", strerror(-code));
  }
  return code;
}

int err_wrap(struct err *err, const char *fmt, ...) {
  if (!err) return 0;
  char old[ERR_MSG_MAX];
  memcpy(old, err->msg, sizeof old);
  va_list ap;
  va_start(ap, fmt);
  set_v(err, err->code, fmt, ap);
  va_end(ap);
  size_t n = strlen(err->msg);
  snprintf(err->msg + n, sizeof err->msg - n, ": %s", old);
  return err->code;
}
