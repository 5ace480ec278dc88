/* One value: what its type takes, in words and in code. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "core/settings_store.h"

static int64_t unit_ns(const char *unit) {
  if (unit && STR_EQ(unit, "ms")) return NS_PER_MS;
  if (unit && STR_EQ(unit, "m")) return 60 * NS_PER_S;
  if (unit && STR_EQ(unit, "h")) return 3600 * NS_PER_S;
  return NS_PER_S;
}

static const char *unit_word(const char *unit) {
  if (unit && STR_EQ(unit, "ms")) return "milliseconds";
  if (unit && STR_EQ(unit, "m")) return "minutes";
  if (unit && STR_EQ(unit, "h")) return "hours";
  return "seconds";
}

static bool bounded(const struct setting_def *def) { return def->min != 0 || def->max != 0; }

/* In any case, and with '_' for '-': ON_FAILURE is on-failure. */
static bool same_word(const char *a, const char *b, size_t n) {
  for (size_t i = 0; i < n; i++) {
    int x = a[i] == '_' ? '-' : tolower((unsigned char)a[i]);
    int y = b[i] == '_' ? '-' : tolower((unsigned char)b[i]);
    if (x != y) return false;
  }
  return true;
}

static int parse_choice(const char *choices, const char *text, int64_t *number) {
  size_t n = strlen(text);
  const char *p = choices;
  for (int64_t i = 0; *p; i++) {
    size_t k = strcspn(p, " ");
    if (k == n && same_word(p, text, n)) {
      *number = i;
      return 0;
    }
    p += k;
    p += strspn(p, " ");
  }
  return -EINVAL;
}

/* Control characters never belong into a path, an address or a URL; a newline there is a file with two lines. */
static bool plain(const char *s) {
  for (; *s; s++)
    if ((unsigned char)*s < 0x20 || *s == 0x7f) return false;
  return true;
}

static int port_parse(const char *s, int64_t least, int *port) {
  int64_t n;
  if (!isdigit((unsigned char)*s) || str_int(s, least, 65535, &n) != 0) return -EINVAL;
  if (port) *port = (int)n;
  return 0;
}

/* host, host:port or [v6]:port up to the end of the text at `end` */
static bool authority_valid(const char *p, const char *end) {
  char text[512];
  size_t n = (size_t)(end - p);
  if (n == 0 || n >= sizeof text) return false;
  memcpy(text, p, n);
  text[n] = 0;
  char *host = strrchr(text, '@');
  host = host ? host + 1 : text;
  char *colon = NULL;
  if (*host == '[') {
    char *close = strchr(host, ']');
    if (!close || close == host + 1 || (close[1] && close[1] != ':')) return false;
    if (close[1]) colon = close + 1;
  } else {
    colon = strchr(host, ':');
    if (colon == host || !*host) return false;
    if (host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_~%:")]) return false;
  }
  return !colon || port_parse(colon + 1, 1, NULL) == 0;
}

static int parse_url(const char *text) {
  const char *p = NULL;
  if (strncasecmp(text, "http://", 7) == 0) p = text + 7;
  if (strncasecmp(text, "https://", 8) == 0) p = text + 8;
  if (!p || !plain(text) || strchr(text, ' ')) return -EINVAL;
  return authority_valid(p, p + strcspn(p, "/?#")) ? 0 : -EINVAL;
}

/* Of digits and dots alone: meant as an IPv4 address, never a name; four numbers up to 255. */
static bool bad_ipv4(const char *p, size_t n) {
  if (!n || strspn(p, "0123456789.") < n) return false;
  int parts = 0;
  for (const char *end = p + n; p < end; p++) {
    int value = 0, digits = 0;
    for (; p < end && *p != '.'; p++, digits++) value = value * 10 + (*p - '0');
    if (!digits || digits > 3 || value > 255) return true;
    parts++;
    if (p + 1 == end) return true; /* a dot at the end */
  }
  return parts != 4;
}

int setting_address(const char *text, char *host, size_t size, int *port) {
  if (strcasecmp(text, "off") == 0) return -ENOENT;
  const char *colon = strrchr(text, ':');
  if (!colon || !plain(text)) return -EINVAL;
  const char *begin = text;
  const char *end = colon;
  if (*begin == '[') {
    if (end - begin < 3 || end[-1] != ']') return -EINVAL;
    begin++;
    end--;
    for (const char *p = begin; p < end; p++)
      if (!isxdigit((unsigned char)*p) && !strchr(":.%", *p) && !memchr(begin, '%', (size_t)(p - begin)))
        return -EINVAL;
  } else {
    for (const char *p = begin; p < end; p++)
      if (!isalnum((unsigned char)*p) && !strchr(".-_*", *p)) return -EINVAL;
    if (bad_ipv4(begin, (size_t)(end - begin))) return -EINVAL;
  }
  size_t n = (size_t)(end - begin);
  if (n == 1 && *begin == '*') n = 0;
  int number;
  if (n >= size || port_parse(colon + 1, 0, &number) != 0) return -EINVAL;
  memcpy(host, begin, n);
  host[n] = 0;
  *port = number;
  return 0;
}

static int parse_address(const char *text) {
  char host[256];
  int port;
  int rc = setting_address(text, host, sizeof host, &port);
  return rc == -ENOENT ? 0 : rc;
}

int setting_parse(const struct setting_def *def, const char *text, int64_t *number) {
  int64_t v = 0;
  bool yes;
  int rc = 0;
  if (strlen(text) > LIMIT_SETTING_VALUE) return -ERANGE;
  switch (def->type) {
    case SETTING_STRING:
      break;
    case SETTING_PATH:
    case SETTING_PATHS:
      rc = plain(text) ? 0 : -EINVAL;
      break;
    case SETTING_INTEGER:
      rc = str_int(text, bounded(def) ? def->min : INT64_MIN, bounded(def) ? def->max : INT64_MAX, &v);
      break;
    case SETTING_BOOL:
      rc = str_bool(text, &yes);
      v = rc == 0 && yes;
      break;
    case SETTING_DURATION:
      rc = str_duration(text, unit_ns(def->unit), &v);
      if (rc == 0 && bounded(def) && (v < def->min || v > def->max)) rc = -ERANGE;
      break;
    case SETTING_CHOICE:
      rc = parse_choice(def->choices, text, &v);
      break;
    case SETTING_URL:
      rc = parse_url(text);
      break;
    case SETTING_ADDRESS:
      rc = parse_address(text);
      break;
  }
  if (rc == 0) *number = v;
  return rc;
}

const char *setting_default(const struct setting_def *def) {
  const char *text = def->fallback;
  if (!text || !(def->flags & SETTING_SECRET)) return text;
  return str_starts(text, "${") && text[strcspn(text, "}")] == '}' && !text[strcspn(text, "}") + 1] ? text : "***";
}

void setting_allowed(const struct setting_def *def, struct buf *out) {
  char min[32];
  char max[32];
  const char *unit = def->unit ? def->unit : "";
  switch (def->type) {
    case SETTING_STRING:
      buf_str(out, "text");
      break;
    case SETTING_PATH:
      buf_str(out, "a path");
      break;
    case SETTING_PATHS:
      buf_str(out, "paths with : between them");
      break;
    case SETTING_INTEGER:
      buf_str(out, "a whole number");
      if (bounded(def) && def->max == INT64_MAX)
        buf_fmt(out, " of at least %lld", (long long)def->min);
      else if (bounded(def) && def->min == INT64_MIN)
        buf_fmt(out, " of at most %lld", (long long)def->max);
      else if (bounded(def))
        buf_fmt(out, " from %lld to %lld", (long long)def->min, (long long)def->max);
      if (*unit) buf_fmt(out, " (%s)", unit);
      break;
    case SETTING_BOOL:
      buf_str(out, "true or false");
      break;
    case SETTING_DURATION:
      buf_str(out, "a duration");
      if (bounded(def) && def->max == INT64_MAX)
        buf_fmt(out, " of at least %s", str_format_duration(def->min, min, sizeof min));
      else if (bounded(def))
        buf_fmt(out, " from %s to %s", str_format_duration(def->min, min, sizeof min),
                str_format_duration(def->max, max, sizeof max));
      buf_fmt(out, ": a number of %s, or with ms, s, m or h", unit_word(def->unit));
      break;
    case SETTING_CHOICE: {
      const char *p = def->choices;
      buf_str(out, "one of ");
      while (*p) {
        size_t k = strcspn(p, " ");
        buf_add(out, p, k);
        p += k;
        p += strspn(p, " ");
        if (*p) buf_str(out, ", ");
      }
      break;
    }
    case SETTING_URL:
      buf_str(out, "http://HOST[:PORT][/PATH] or https://…");
      break;
    case SETTING_ADDRESS:
      buf_str(out, "ADDRESS:PORT, [ADDRESS]:PORT, :PORT or off");
      break;
  }
}
