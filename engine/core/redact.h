/* Keeps secrets out of text, in three ways: by value (every known secret of at least REDACT_MIN bytes, as it is,
 * URL-encoded, in base64 and JSON-escaped), by shape (scheme://user:PASSWORD@, password=…) and by key
 * ("api_token": "…"). Each becomes ***. Time is linear in the text. JSON stays valid JSON.
 */
#ifndef TEND_CORE_REDACT_H
#define TEND_CORE_REDACT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum { REDACT_MIN = 6 };

struct redact_form {
  char *text;
  size_t n;
};

/* Zero-initialise; owns its texts. */
struct redact {
  struct redact_form *forms;
  size_t n, cap;
  bool failed; /* memory was short: a secret is missing here */
};

/* Adds a secret, and the passwords inside it where it is a URI or a keyword connection string. Shorter ones and
 * those that are known already are left out. */
void redact_add(struct redact *r, const char *secret);
/* What another one knows, too, until there are `most` forms. */
void redact_learn(struct redact *r, const struct redact *other, size_t most);
/* In place. When memory runs out the whole text becomes ***. r may be NULL: shapes and keys only. */
void redact_apply(const struct redact *r, struct buf *text);
/* Whether that text may hold what redact_apply takes out; false: it surely holds nothing. */
bool redact_would(const struct redact *r, const char *text);
void redact_free(struct redact *r);

/* Whether a name (of a setting, a key) says that its value is secret: contains PASSWORD, SECRET, TOKEN …, or has PASS,
 * KEY, DSN … as a word of several. Any case. */
bool redact_secret_name(const char *name, size_t n);

#endif
