/* The text of a JSON value (RFC 8259) made a tree. Bytes of strings are taken as they come, whatever they are; a NUL
 * ends the text that users see. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_tree.h"

enum { DEPTH_MAX = 1000, NUMBER_MAX = 64 };

struct reader {
  const char *p, *end;
  int depth;
};

static cJSON *read_value(struct reader *r);

static void skip_space(struct reader *r) {
  while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t')) r->p++;
}

static bool take(struct reader *r, char c) {
  if (r->p == r->end || *r->p != c) return false;
  r->p++;
  return true;
}

static bool take_word(struct reader *r, const char *word) {
  size_t n = strlen(word);
  if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0) return false;
  r->p += n;
  return true;
}

/* --- numbers ----------------------------------------------------------------------------------------------------- */

static const char *digits(const char *p, const char *end) {
  while (p < end && *p >= '0' && *p <= '9') p++;
  return p;
}

/* Behind the number at p; NULL: there is none. */
static const char *number_end(const char *p, const char *end) {
  if (p < end && *p == '-') p++;
  const char *q = p < end && *p == '0' ? p + 1 : digits(p, end);
  if (q == p) return NULL;
  if (q < end && *q == '.') {
    p = q + 1;
    q = digits(p, end);
    if (q == p) return NULL;
  }
  if (q < end && (*q == 'e' || *q == 'E')) {
    p = q + 1;
    if (p < end && (*p == '+' || *p == '-')) p++;
    q = digits(p, end);
    if (q == p) return NULL;
  }
  return q;
}

/* strtod goes by the locale, and tend never sets one. */
static cJSON *read_number(struct reader *r) {
  const char *end = number_end(r->p, r->end);
  if (!end) return NULL;
  size_t n = (size_t)(end - r->p);
  char usual[NUMBER_MAX];
  char *text = n < sizeof usual ? usual : malloc(n + 1);
  if (!text) return NULL;
  memcpy(text, r->p, n);
  text[n] = 0;
  cJSON *v = cJSON_CreateNumber(strtod(text, NULL));
  if (text != usual) free(text);
  if (v) r->p = end;
  return v;
}

/* --- strings ----------------------------------------------------------------------------------------------------- */

static int hex4(const char *p, const char *end) {
  int v = 0;
  if (end - p < 4) return -1;
  for (int i = 0; i < 4; i++) {
    int c = p[i];
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) return -1;
    v = v << 4 | digit;
  }
  return v;
}

static char *put_utf8(char *to, uint32_t c) {
  int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  static const unsigned char heads[] = {0, 0xc0, 0xe0, 0xf0};
  *to++ = (char)(heads[more] | c >> 6 * more);
  while (more--) *to++ = (char)(0x80 | (c >> 6 * more & 0x3f));
  return to;
}

/* \uXXXX, or two of them for one character; p is behind the u. Where it went on, or NULL. */
static const char *unescape_hex(const char *p, const char *end, char **to) {
  int c = hex4(p, end);
  if (c < 0 || (c >= 0xdc00 && c < 0xe000)) return NULL;
  p += 4;
  if (c >= 0xd800 && c < 0xdc00) {
    int low = end - p >= 6 && p[0] == '\\' && p[1] == 'u' ? hex4(p + 2, end) : -1;
    if (low < 0xdc00 || low >= 0xe000) return NULL;
    c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    p += 6;
  }
  *to = put_utf8(*to, (uint32_t)c);
  return p;
}

static char unescape(char c) {
  static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
  const char *at = c ? strchr(names, c) : NULL;
  return at ? values[at - names] : 0;
}

/* The text between quotes, the first of which is taken; the caller's. */
static char *read_text(struct reader *r) {
  const char *p = r->p, *end = p;
  while (end < r->end && *end != '"') end += *end == '\\' ? 2 : 1;
  if (end >= r->end) {
    r->p = r->end;
    return NULL;
  }
  char *text = malloc((size_t)(end - p) + 1); /* no escape is shorter than what it stands for */
  char *to = text;
  while (text && p < end) {
    const char *plain = memchr(p, '\\', (size_t)(end - p));
    size_t n = (size_t)((plain ? plain : end) - p);
    memcpy(to, p, n);
    to += n;
    p += n;
    if (!plain) break;
    const char *next = p + 2;
    if (p[1] == 'u')
      next = unescape_hex(next, end, &to);
    else if ((*to = unescape(p[1])))
      to++;
    else
      next = NULL;
    if (!next) {
      r->p = p;
      free(text);
      return NULL;
    }
    p = next;
  }
  if (!text) return NULL;
  *to = 0;
  r->p = end + 1;
  return text;
}

static cJSON *read_string(struct reader *r) {
  char *text = read_text(r);
  cJSON *v = text ? cJSON_CreateNull() : NULL;
  if (!v) {
    free(text);
    return NULL;
  }
  v->type = cJSON_String;
  v->valuestring = text;
  return v;
}

/* --- containers -------------------------------------------------------------------------------------------------- */

static cJSON *read_member(struct reader *r) {
  if (!take(r, '"')) return NULL;
  char *name = read_text(r);
  if (!name) return NULL;
  skip_space(r);
  cJSON *item = NULL;
  if (take(r, ':')) {
    skip_space(r);
    item = read_value(r);
  }
  if (item)
    item->string = name;
  else
    free(name);
  return item;
}

static cJSON *read_container(struct reader *r, bool object) {
  cJSON *v = object ? cJSON_CreateObject() : cJSON_CreateArray();
  if (!v || ++r->depth > DEPTH_MAX) goto fail;
  skip_space(r);
  if (!take(r, object ? '}' : ']')) {
    do {
      skip_space(r);
      if (!cJSON_AddItemToArray(v, object ? read_member(r) : read_value(r))) goto fail;
      skip_space(r);
    } while (take(r, ','));
    if (!take(r, object ? '}' : ']')) goto fail;
  }
  r->depth--;
  return v;
fail:
  cJSON_Delete(v);
  return NULL;
}

static cJSON *read_value(struct reader *r) {
  if (take(r, '"')) return read_string(r);
  if (take(r, '{')) return read_container(r, true);
  if (take(r, '[')) return read_container(r, false);
  if (take_word(r, "null")) return cJSON_CreateNull();
  if (take_word(r, "true")) return cJSON_CreateBool(true);
  if (take_word(r, "false")) return cJSON_CreateBool(false);
  return read_number(r);
}

cJSON *json_read(const char *text, size_t n, const char **end) {
  struct reader r = {.p = text, .end = text + n};
  take_word(&r, "\xef\xbb\xbf"); /* a byte order mark */
  skip_space(&r);
  cJSON *v = read_value(&r);
  if (!v && r.p == r.end && n > 0) r.p--;
  if (end) *end = r.p;
  return v;
}

cJSON *cJSON_ParseWithLength(const char *text, size_t n) { return text ? json_read(text, n, NULL) : NULL; }

cJSON *cJSON_Parse(const char *text) { return text ? json_read(text, strlen(text), NULL) : NULL; }
