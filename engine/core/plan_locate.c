/* Finds the line of a key path in the text of a flow file. Not a parser of Lua: tokens and nesting are enough to
 * walk table constructors, also inside a call ("directory.readable { path = ... }"). What is written elsewhere (a
 * variable, the result of a function) is told with the line on which it is used.
 */
#include <string.h>

#include "core/plan.h"

enum token { TOKEN_END, TOKEN_NAME, TOKEN_STRING, TOKEN_OTHER };

/* One token ahead. */
struct lexer {
  const char *p, *end;
  int line;
  enum token token;
  const char *start; /* of the token; of a string: of its content */
  size_t len;
  int token_line;
};

static bool name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* [[...]] and [==[...]==]: p is at the first bracket. False when there is none. */
static bool long_bracket(struct lexer *x) {
  const char *p = x->p + 1;
  while (p < x->end && *p == '=') p++;
  if (p >= x->end || *p != '[') return false;
  size_t level = (size_t)(p - x->p) - 1;
  x->start = ++p;
  for (; p < x->end; p++) {
    if (*p == '\n') x->line++;
    if (*p != ']') continue;
    const char *q = p + 1;
    while (q < x->end && *q == '=') q++;
    if ((size_t)(q - p) - 1 == level && q < x->end && *q == ']') {
      x->len = (size_t)(p - x->start);
      x->p = q + 1;
      return true;
    }
  }
  x->len = (size_t)(x->end - x->start);
  x->p = x->end;
  return true;
}

static void skip_space(struct lexer *x) {
  while (x->p < x->end) {
    if (*x->p == '\n') {
      x->line++;
      x->p++;
    } else if (*x->p == ' ' || *x->p == '\t' || *x->p == '\r') {
      x->p++;
    } else if (x->end - x->p >= 2 && x->p[0] == '-' && x->p[1] == '-') {
      x->p += 2;
      if (x->p < x->end && *x->p == '[' && long_bracket(x)) continue;
      while (x->p < x->end && *x->p != '\n') x->p++;
    } else {
      return;
    }
  }
}

static void quoted(struct lexer *x) {
  char quote = *x->p++;
  x->start = x->p;
  while (x->p < x->end && *x->p != quote && *x->p != '\n') {
    if (*x->p == '\\' && x->end - x->p >= 2) {
      x->p++;
      if (*x->p == '\n') x->line++;
    }
    x->p++;
  }
  x->len = (size_t)(x->p - x->start);
  if (x->p < x->end) x->p++;
}

static void next(struct lexer *x) {
  skip_space(x);
  x->token_line = x->line;
  x->start = x->p;
  x->len = 1;
  if (x->p >= x->end) {
    x->token = TOKEN_END;
    x->len = 0;
  } else if (name_char(*x->p)) {
    while (x->p < x->end && name_char(*x->p)) x->p++;
    x->len = (size_t)(x->p - x->start);
    x->token = TOKEN_NAME;
  } else if (*x->p == '"' || *x->p == '\'') {
    quoted(x);
    x->token = TOKEN_STRING;
  } else if (*x->p == '[' && long_bracket(x)) {
    x->token = TOKEN_STRING;
  } else {
    x->p++;
    x->token = TOKEN_OTHER;
  }
}

static bool is(const struct lexer *x, const char *text) {
  return (x->token == TOKEN_NAME || x->token == TOKEN_OTHER) && x->len == strlen(text) &&
         memcmp(x->start, text, x->len) == 0;
}

/* What a token adds to the nesting. */
static int nesting(const struct lexer *x) {
  static const char *const open[] = {"(", "{", "[", "function", "if", "do", "repeat"};
  static const char *const close[] = {")", "}", "]", "end", "until"};
  for (size_t i = 0; i < sizeof(open) / sizeof(*open); i++)
    if (is(x, open[i])) return 1;
  for (size_t i = 0; i < sizeof(close) / sizeof(*close); i++)
    if (is(x, close[i])) return -1;
  return 0;
}

/* The first step of a path: a name, or an index (name NULL). Returns what follows; NULL at its end. */
static const char *first_step(const char *path, const char **name, size_t *len, size_t *index) {
  *name = NULL;
  *len = *index = 0;
  if (*path == '.') path++;
  if (!*path) return NULL;
  if (*path != '[') {
    *name = path;
    *len = strcspn(path, ".[");
    return path + *len;
  }
  if (path[1] == '"') {
    *name = path + 2;
    *len = strcspn(*name, "\"");
    path = *name + *len;
  } else {
    for (path++; *path >= '0' && *path <= '9'; path++) *index = *index * 10 + (size_t)(*path - '0');
  }
  path += strcspn(path, "]");
  return *path ? path + 1 : path;
}

/* Skips the rest of a value: to the "," ";" or "}" that ends its field. */
static void skip_value(struct lexer *x) {
  for (int depth = 0; x->token != TOKEN_END; next(x)) {
    int n = nesting(x);
    if (depth == 0 && (n < 0 || is(x, ",") || is(x, ";"))) return;
    depth += n;
  }
}

/* x is at the first token of a value: goes on into the first table constructor in it. False when there is none. */
static bool enter_table(struct lexer *x) {
  for (int depth = 0; x->token != TOKEN_END; next(x)) {
    if (is(x, "{")) {
      next(x);
      return true;
    }
    int n = nesting(x);
    if (is(x, "function") || (depth == 0 && (n < 0 || is(x, ",") || is(x, ";")))) return false;
    depth += n;
  }
  return false;
}

/* Reads the key of a field where it has one, and goes to its value. */
static bool field_key(struct lexer *x, const char **name, size_t *len) {
  struct lexer ahead = *x;
  bool bracket = is(&ahead, "[");
  if (bracket) next(&ahead);
  if (ahead.token != (bracket ? TOKEN_STRING : TOKEN_NAME)) return false;
  *name = ahead.start;
  *len = ahead.len;
  next(&ahead);
  if (bracket && is(&ahead, "]")) next(&ahead);
  if (!is(&ahead, "=")) return false;
  next(&ahead);
  if (is(&ahead, "=")) return false; /* a comparison */
  *x = ahead;
  return true;
}

int plan_locate(void *plan_text, const char *path) {
  const struct plan_text *text = plan_text;
  struct lexer x = {.p = text->text, .end = text->text + text->n, .line = 1};
  struct lexer found = x;
  int depth = 0, line = 0;
  for (next(&x); x.token != TOKEN_END; next(&x)) {
    if (depth == 0 && is(&x, "return")) {
      found = x;
      line = x.token_line;
    }
    depth += nesting(&x);
  }
  if (!line) return 0;
  x = found;
  next(&x);
  const char *name;
  size_t len, index;
  while ((path = first_step(path, &name, &len, &index)) && enter_table(&x)) {
    bool hit = false;
    for (size_t at = 0; !hit && x.token != TOKEN_END && !is(&x, "}");) {
      const char *key = NULL;
      size_t key_len = 0;
      int key_line = x.token_line;
      bool named = field_key(&x, &key, &key_len);
      hit = named ? name && key_len == len && memcmp(key, name, len) == 0 : ++at == index && !name;
      if (hit) {
        line = named ? key_line : x.token_line;
        break;
      }
      skip_value(&x);
      if (is(&x, ",") || is(&x, ";")) next(&x);
    }
    if (!hit) break;
  }
  return line;
}
