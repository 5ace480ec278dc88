#include "lua/effect.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "lua/l.h"
#include "lua/task_inner.h"

enum { LIST_MAX = 64 * 1024, LINE_MAX_BYTES = 400 };

static struct effects *effects_of(lua_State *L) {
  const struct task *t = lua_owner(L)->sched->current;
  return t ? t->effects : NULL;
}

bool effects_act(lua_State *L) {
  const struct effects *e = effects_of(L);
  return !e || e->mode == EFFECTS_ACT;
}

/* One line of it: what a terminal would obey or a line would end becomes a blank. */
static void add_line(struct effects *e, const char *what, const char *text) {
  if (e->list.len > LIST_MAX) {
    e->left_out++;
    return;
  }
  buf_fmt(&e->list, "%s\t", what);
  for (const char *p = text; *p; p++) buf_char(&e->list, (unsigned char)*p < 0x20 || *p == 0x7f ? ' ' : *p);
  buf_char(&e->list, '\n');
}

bool l_effect(lua_State *L, const char *what, const char *fmt, ...) {
  struct effects *e = effects_of(L);
  if (!e || e->mode == EFFECTS_ACT) return false;
  char text[LINE_MAX_BYTES];
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  if (n >= (int)sizeof text) snprintf(text + sizeof text - 4, 4, "...");
  if (e->mode == EFFECTS_REFUSE) {
    l_push_error(L, "read_only", "%s %s: this session is read-only", what, text);
    return lua_error(L);
  }
  add_line(e, what, text);
  return true;
}

bool effect_sql_reads(const char *sql) {
  static const char *const words[] = {"SELECT", "SHOW",     "VALUES", "TABLE", "EXPLAIN", "BEGIN",
                                      "COMMIT", "ROLLBACK", "START",  "FETCH", "LISTEN",  "UNLISTEN"};
  sql += strspn(sql, " \t\r\n(");
  size_t n = strcspn(sql, " \t\r\n;(*");
  for (size_t i = 0; i < ARRAY_LEN(words); i++)
    if (strlen(words[i]) == n && strncasecmp(sql, words[i], n) == 0)
      return !strcasestr(sql, "analyze") && !strcasestr(sql, " into ") && !strcasestr(sql, " for update");
  return false;
}
