/* Errors that carry their cause.
 *
 * Functions return 0 or a negative errno and fill a `struct err` (last parameter, may be NULL) where the
 * cause is known: which setting, file, key or peer; what was expected; what to do. Outputs stay untouched
 * on failure. A struct err owns nothing and may be copied.
 */
#ifndef TEND_BASE_ERR_H
#define TEND_BASE_ERR_H

#include <stdarg.h>

enum { ERR_MSG_MAX = 512 };

struct err {
  int code;              /* negative errno, 0 when nothing is set */
  char msg[ERR_MSG_MAX]; /* one line, no newline at the end */
};

#define ERR_INIT \
  { 0, "" }

/* Sets code and message, truncating it to ERR_MSG_MAX - 1 bytes. Returns code (a negative errno). */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set, and appends ": " and the system's text for the code. */
int err_errno(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the message that is there. Returns the code. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
