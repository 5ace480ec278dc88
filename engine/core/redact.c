#include "core/redact.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/str.h"

/* --- which secrets --- */

static void add_form(struct redact *r, const char *p, size_t n) {
  if (n < REDACT_MIN) return;
  for (size_t i = 0; i < r->n; i++)
    if (r->forms[i].n == n && memcmp(r->forms[i].text, p, n) == 0) return;
  if (r->n == r->cap) {
    size_t cap = r->cap ? r->cap * 2 : 16;
    void *grown = realloc(r->forms, cap * sizeof *r->forms);
    if (!grown) {
      r->failed = true;
      return;
    }
    r->forms = grown;
    r->cap = cap;
  }
  char *copy = malloc(n + 1);
  if (!copy) {
    r->failed = true;
    return;
  }
  memcpy(copy, p, n);
  copy[n] = 0;
  r->forms[r->n++] = (struct redact_form){.text = copy, .n = n};
}

static void url_encode(const char *p, size_t n, bool upper, struct buf *out) {
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)p[i];
    if (isalnum(c) || (c && strchr("-._~", c)))
      buf_char(out, (char)c);
    else
      buf_fmt(out, upper ? "%%%02X" : "%%%02x", c);
  }
}

static void url_decode(const char *p, size_t n, struct buf *out) {
  for (size_t i = 0; i < n; i++) {
    if (p[i] == '%' && i + 2 < n && isxdigit((unsigned char)p[i + 1]) && isxdigit((unsigned char)p[i + 2])) {
      char hex[3] = {p[i + 1], p[i + 2], 0};
      buf_char(out, (char)strtol(hex, NULL, 16));
      i += 2;
    } else {
      buf_char(out, p[i]);
    }
  }
}

static void base64(const char *text, size_t n, bool url, struct buf *out) {
  const char *digits = url ? "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
                           : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const unsigned char *p = (const unsigned char *)text;
  for (size_t i = 0; i < n; i += 3) {
    uint32_t v = (uint32_t)p[i] << 16;
    if (i + 1 < n) v |= (uint32_t)p[i + 1] << 8;
    if (i + 2 < n) v |= p[i + 2];
    buf_char(out, digits[v >> 18]);
    buf_char(out, digits[v >> 12 & 63]);
    if (i + 1 < n) buf_char(out, digits[v >> 6 & 63]);
    if (i + 2 < n) buf_char(out, digits[v & 63]); /* without padding, which may be there or not */
  }
}

static void add_forms(struct redact *r, const char *p, size_t n) {
  if (n < REDACT_MIN) return;
  add_form(r, p, n);
  auto_buf struct buf b = {0};
  for (int upper = 0; upper < 2; upper++) {
    buf_clear(&b);
    url_encode(p, n, upper, &b);
    add_form(r, buf_cstr(&b), b.len);
    buf_clear(&b);
    base64(p, n, upper, &b);
    add_form(r, buf_cstr(&b), b.len);
  }
  buf_clear(&b);
  json_quote(&b, p, n);
  if (b.len > 2) add_form(r, b.data + 1, b.len - 2);
  /* a JSON text inside a JSON text */
  auto_buf struct buf twice = {0};
  if (b.len > 2) json_quote(&twice, b.data + 1, b.len - 2);
  if (twice.len > 2) add_form(r, twice.data + 1, twice.len - 2);
  if (b.failed || twice.failed) r->failed = true;
}

/* --- by shape --- */

struct span {
  size_t begin, end;
};

static bool letter_or_digit(char c) { return (unsigned char)((c | 0x20) - 'a') < 26 || (unsigned char)(c - '0') < 10; }
static bool name_char(char c) { return letter_or_digit(c) || c == '_' || c == '-' || c == '.'; }
static bool blank(char c) { return c == ' ' || c == '\t'; }

/* The password in scheme://user:PASSWORD@host, p being at "://". */
static bool uri_password(const char *text, size_t n, size_t at, struct span *out) {
  size_t begin = at + 3;
  size_t end = begin;
  size_t last = 0; /* behind the last @ */
  while (end < n && !strchr("/?# \t\r\n\"'<>", text[end])) {
    if (text[end] == '@') last = end + 1;
    end++;
  }
  if (!last) return false;
  const char *colon = memchr(text + begin, ':', last - 1 - begin);
  if (!colon || (size_t)(colon - text) + 1 >= last - 1) return false;
  *out = (struct span){(size_t)(colon - text) + 1, last - 1};
  return true;
}

/* The same where the password holds a / that should have been encoded; only for what is known to be a secret. */
static bool uri_password_loose(const char *text, size_t n, size_t at, struct span *out) {
  const char *begin = text + at + 3;
  const char *last = memrchr(begin, '@', n - at - 3);
  const char *colon = last ? memchr(begin, ':', (size_t)(last - begin)) : NULL;
  if (!colon || colon + 1 >= last) return false;
  *out = (struct span){(size_t)(colon + 1 - text), (size_t)(last - text)};
  return true;
}

/* How many backslashes stand right before text[i]. */
static size_t backslashes(const char *text, size_t from, size_t i) {
  size_t k = 0;
  while (i - k > from && text[i - k - 1] == '\\') k++;
  return k;
}

/* The value behind "name =" or "name:", from i on; in a JSON text (json) a bare quote always ends it. */
static struct span value_span(const char *text, size_t n, size_t i, bool json) {
  size_t escaped = json && i + 1 < n && text[i] == '\\' && (text[i + 1] == '"' || text[i + 1] == '\'') ? 1 : 0;
  if (i + escaped < n && (text[i + escaped] == '\'' || (text[i + escaped] == '"' && (escaped || !json)))) {
    char quote = text[i + escaped];
    size_t begin = i + escaped + 1;
    size_t k = begin;
    for (; k < n; k++) {
      if (text[k] != quote && !(json && text[k] == '"')) continue;
      size_t before = backslashes(text, begin, k);
      if (json && text[k] == '"' && before % 2 == 0) break; /* the end of the JSON string */
      if (text[k] == quote && (json ? before <= escaped : before % 2 == 0)) {
        k -= json ? before : 0;
        break;
      }
    }
    return (struct span){begin, k};
  }
  size_t k = i;
  while (k < n && !strchr(" \t\r\n&;,\"'<>)}]", text[k])) k += text[k] == '\\' && k + 1 < n ? 2 : 1;
  return (struct span){i, k < n ? k : n};
}

/* password=…, with blanks around the sign, or "password": "…"; at is the sign. */
static bool keyed_value(const char *text, size_t n, size_t at, bool json, struct span *out) {
  enum { NAME_MAX_BYTES = 64, BLANKS_MAX = 8 };
  size_t end = at;
  for (int i = 0; i < BLANKS_MAX && end > 0 && blank(text[end - 1]); i++) end--;
  bool quoted = end > 0 && text[end - 1] == '"';
  if (quoted) end--;
  bool inner = quoted && end > 0 && text[end - 1] == '\\'; /* JSON text inside a JSON string */
  if (inner) end--;
  if (text[at] == ':' && !quoted) return false; /* "Token: x" in prose stays */
  size_t value = at + 1;
  for (int i = 0; i < BLANKS_MAX && value < n && blank(text[value]); i++) value++;
  bool number = quoted && !inner && text[at] == ':' && (value >= n || text[value] != '"');
  if (number) return false;
  size_t begin = end;
  while (begin > 0 && end - begin < NAME_MAX_BYTES && name_char(text[begin - 1])) begin--;
  if (!redact_secret_name(text + begin, end - begin)) return false;
  if (quoted && text[at] == ':') {
    /* a JSON key: only a string can be a secret, and its quotes stay */
    if (inner && value < n && text[value] != '\\') return false;
    if (value + inner >= n || text[value + inner] != '"') return false;
    size_t k = value += inner ? 2 : 1;
    for (; k < n; k++) {
      if (text[k] != '"') continue;
      size_t before = backslashes(text, value, k);
      if (before % 2 == 0) break; /* inside a JSON string: its end */
      if (inner && before == 1) {
        k--;
        break;
      }
    }
    *out = (struct span){value, k};
  } else {
    *out = value_span(text, n, value, json);
  }
  return out->end > out->begin;
}

struct word {
  const char *text;
  size_t n;
};
#define W(text) \
  { text, sizeof text - 1 }
static const struct word whole_words[] = {W("PASS"), W("PWD"), W("KEY"), W("DSN"), W("APIKEY"), W("PASSPHRASE")};
static const struct word parts[] = {
    W("PASSW"), W("SECRET"), W("TOKEN"), W("CREDENTIAL"), W("CONNECTION_STRING"), W("CONNECTIONSTRING")};
#undef W

bool redact_secret_name(const char *name, size_t n) {
  for (size_t at = 0; at < n; at++) {
    char c = name[at] & ~0x20; /* each key of each event is looked at: most letters begin none of them */
    if (c != 'P' && c != 'S' && c != 'T' && c != 'C') continue;
    char next = at + 1 < n ? name[at + 1] & ~0x20 : 0;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
      if (c != parts[i].text[0] || next != parts[i].text[1] || parts[i].n > n - at) continue;
      if (strncasecmp(name + at, parts[i].text, parts[i].n) == 0) return true;
    }
  }
  for (size_t begin = 0; begin < n;) {
    size_t end = begin;
    while (end < n && letter_or_digit(name[end])) end++;
    for (size_t i = 0; i < ARRAY_LEN(whole_words); i++) {
      if (end - begin != whole_words[i].n) continue;
      bool key_alone = STR_EQ(whole_words[i].text, "KEY") && end - begin == n; /* "key" names a key, "api_key" is one */
      if (!key_alone && strncasecmp(name + begin, whole_words[i].text, end - begin) == 0) return true;
    }
    begin = end + 1;
  }
  return false;
}

void redact_add(struct redact *r, const char *secret) {
  size_t n = strlen(secret);
  add_forms(r, secret, n);
  auto_buf struct buf plain = {0};
  for (size_t i = 0; i < n; i++) {
    struct span s;
    bool uri = secret[i] == ':' && n - i > 3 && memcmp(secret + i, "://", 3) == 0;
    if (uri ? uri_password(secret, n, i, &s) || uri_password_loose(secret, n, i, &s)
            : secret[i] == '=' && keyed_value(secret, n, i, false, &s)) {
      add_forms(r, secret + s.begin, s.end - s.begin);
      buf_clear(&plain);
      if (uri)
        url_decode(secret + s.begin, s.end - s.begin, &plain);
      else
        for (size_t k = s.begin; k < s.end; k++) {
          if (secret[k] == '\\' && k + 1 < s.end) k++;
          buf_char(&plain, secret[k]);
        }
      add_forms(r, buf_cstr(&plain), plain.len);
      if (plain.failed) r->failed = true;
    }
  }
}

/* --- in text --- */

/* What is to go, as a bit per byte: secrets may overlap. */
struct marks {
  unsigned char *bits;
  bool any;
};

static void mark(struct marks *m, size_t begin, size_t end) {
  memset(m->bits + begin, 1, end - begin);
  m->any = true;
}

/* Every occurrence, overlapping ones too, in linear time (Knuth, Morris, Pratt). */
static int mark_form(const struct redact_form *f, const char *text, size_t n, struct marks *m) {
  const char *first = memmem(text, n, f->text, f->n);
  if (!first) return 0;
  size_t *fail = calloc(f->n + 1, sizeof *fail);
  if (!fail) return -1;
  for (size_t i = 1, k = 0; i < f->n; i++) {
    while (k && f->text[i] != f->text[k]) k = fail[k];
    if (f->text[i] == f->text[k]) k++;
    fail[i + 1] = k;
  }
  size_t done = 0; /* marked up to here, so that no byte is marked twice */
  for (size_t i = (size_t)(first - text), k = 0; i < n; i++) {
    while (k && text[i] != f->text[k]) k = fail[k];
    if (text[i] == f->text[k]) k++;
    if (k < f->n) continue;
    size_t begin = i + 1 - f->n;
    mark(m, begin > done ? begin : done, i + 1);
    done = i + 1;
    k = fail[k];
  }
  free(fail);
  return 0;
}

static void mark_shapes(const char *text, size_t n, struct marks *m) {
  bool json = n > 0 && (text[0] == '{' || text[0] == '[' || text[0] == '"');
  for (size_t i = 0; i < n; i++) {
    struct span s;
    bool found = false;
    if (text[i] == ':' && n - i > 3 && memcmp(text + i, "://", 3) == 0)
      found = uri_password(text, n, i, &s);
    else if (text[i] == '=' || text[i] == ':')
      found = keyed_value(text, n, i, json, &s);
    if (!found) continue;
    mark(m, s.begin, s.end);
    i = s.end - 1;
  }
}

void redact_learn(struct redact *r, const struct redact *other, size_t most) {
  for (size_t i = 0; i < other->n && r->n < most; i++) add_form(r, other->forms[i].text, other->forms[i].n);
}

/* Most texts are neither: shapes have one of two characters. */
static bool may_hold_secret(const struct redact *r, const char *text, size_t n) {
  if (memchr(text, ':', n) || memchr(text, '=', n)) return true;
  for (size_t i = 0; r && i < r->n; i++)
    if (memmem(text, n, r->forms[i].text, r->forms[i].n)) return true;
  return false;
}

bool redact_would(const struct redact *r, const char *text) { return may_hold_secret(r, text, strlen(text)); }

void redact_apply(const struct redact *r, struct buf *text) {
  size_t n = text->len;
  if (n == 0 || !may_hold_secret(r, text->data, n)) return;
  struct marks m = {.bits = calloc(n, 1)};
  int rc = m.bits ? 0 : -1;
  for (size_t i = 0; rc == 0 && r && i < r->n; i++) rc = mark_form(&r->forms[i], text->data, n, &m);
  if (rc == 0) mark_shapes(text->data, n, &m);
  struct buf out = {.max = text->max};
  if (rc == 0 && m.any) {
    for (size_t i = 0; i < n;) {
      size_t k = i;
      while (k < n && m.bits[k] == m.bits[i]) k++;
      if (m.bits[i])
        buf_str(&out, "***");
      else
        buf_add(&out, text->data + i, k - i);
      i = k;
    }
  }
  if (rc != 0 || out.failed) {
    buf_clear(text);
    buf_str(text, "***");
  } else if (m.any) {
    buf_clear(text);
    buf_add(text, out.data, out.len);
  }
  buf_free(&out);
  free(m.bits);
}

void redact_free(struct redact *r) {
  for (size_t i = 0; i < r->n; i++) free(r->forms[i].text);
  free(r->forms);
  *r = (struct redact){0};
}
