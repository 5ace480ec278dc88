#include "probes/postgres_plain.h"

#include <ctype.h>
#include <string.h>

#include "base/str.h"
#include "loop/part.h"

/* Past letters, digits and -._ and, where `quoted`, other characters as %XX but NUL; NULL when there is none of them.
 */
static const char *word(const char *p, bool quoted) {
  const char *start = p;
  for (;; p++) {
    if (isalnum((unsigned char)*p) || (*p && strchr("-._", *p))) continue;
    if (!quoted || *p != '%' || !isxdigit((unsigned char)p[1]) || !isxdigit((unsigned char)p[2])) break;
    if (p[1] == '0' && p[2] == '0') return NULL;
    p += 2;
  }
  return p > start ? p : NULL;
}

/* postgresql://USER[:PASSWORD]@HOST:PORT/DATABASE, all of it in plain characters. */
static bool usual(const char *p) {
  p = str_starts(p, "postgresql://") ? p + strlen("postgresql://")
      : str_starts(p, "postgres://") ? p + strlen("postgres://")
                                     : NULL;
  if (p) p = word(p, true);
  if (p && *p == ':') p = word(p + 1, true);
  if (!p || *p != '@') return false;
  p = word(p + 1, false);
  if (!p || *p != ':') return false;
  size_t digits = strspn(p + 1, "0123456789");
  if (digits < 1 || digits > 5 || p[1 + digits] != '/') return false;
  p = word(p + 2 + digits, true);
  return p && !*p;
}

bool postgres_plain(const struct tend_host *host, const cJSON *params) {
  const char *setting = NULL;
  const cJSON *v;
  if (!cJSON_IsObject(params)) return false;
  cJSON_ArrayForEach(v, params) {
    const char *text = cJSON_GetStringValue(v);
    if (STR_EQ(v->string, "setting") && text && *text)
      setting = text;
    else if (!(STR_EQ(v->string, "query") && text && *text) && !(STR_EQ(v->string, "writable") && cJSON_IsBool(v)))
      return false;
  }
  if (!setting || !part_there("postgres")) return false;
  const char *conninfo = host->setting(host->self, setting);
  return !conninfo || !*conninfo || usual(conninfo);
}
