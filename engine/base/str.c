#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

bool str_copy(char *to, size_t size, const char *from) {
  size_t n = strlen(from);
  bool whole = n < size;
  if (!whole) n = size - 1;
  memcpy(to, from, n);
  to[n] = 0;
  return whole;
}

bool str_starts(const char *s, const char *prefix) { return strncmp(s, prefix, strlen(prefix)) == 0; }

bool str_ends(const char *s, const char *suffix) {
  size_t n = strlen(s);
  size_t k = strlen(suffix);
  return n >= k && strcmp(s + n - k, suffix) == 0;
}

int str_int(const char *s, int64_t min, int64_t max, int64_t *out) {
  if (!isdigit((unsigned char)s[0]) && !(s[0] == '-' && isdigit((unsigned char)s[1]))) return -EINVAL;
  errno = 0;
  char *end;
  long long v = strtoll(s, &end, 10);
  if (*end) return -EINVAL;
  if (errno == ERANGE || v < min || v > max) return -ERANGE;
  *out = v;
  return 0;
}

int str_bool(const char *s, bool *out) {
  static const char *const yes[] = {"true", "yes", "on", "1"};
  static const char *const no[] = {"false", "no", "off", "0"};
  for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
    if (strcasecmp(s, yes[i]) == 0) {
      *out = true;
      return 0;
    }
    if (strcasecmp(s, no[i]) == 0) {
      *out = false;
      return 0;
    }
  }
  return -EINVAL;
}

static const struct {
  const char *suffix;
  int64_t ns;
} units[] = {{"ms", NS_PER_MS}, {"s", NS_PER_S}, {"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S}};

int str_duration(const char *s, int64_t unit_ns, int64_t *out_ns) {
  const int64_t max_s = INT64_C(100) * 366 * 24 * 3600;
  if (!isdigit((unsigned char)*s)) return -EINVAL;
  int64_t whole = 0;
  const char *p = s;
  for (; isdigit((unsigned char)*p); p++) {
    if (whole > max_s * 1000) return -ERANGE;
    whole = whole * 10 + (*p - '0');
  }
  int64_t part = 0;
  int64_t scale = 1;
  if (*p == '.') {
    if (!isdigit((unsigned char)*++p)) return -EINVAL;
    for (; isdigit((unsigned char)*p); p++) {
      if (scale >= NS_PER_S) continue;
      part = part * 10 + (*p - '0');
      scale *= 10;
    }
  }
  int64_t unit = *p ? 0 : unit_ns;
  for (size_t i = 0; *p && i < ARRAY_LEN(units); i++)
    if (strcmp(p, units[i].suffix) == 0) unit = units[i].ns;
  if (!unit) return -EINVAL;
  if (whole > max_s * NS_PER_S / unit) return -ERANGE;
  *out_ns = whole * unit + (int64_t)((double)part / (double)scale * (double)unit + 0.5);
  return 0;
}

const char *str_format_duration(int64_t ns, char *buf, size_t size) {
  size_t i = ARRAY_LEN(units) - 1;
  while (i > 0 && (ns == 0 || ns % units[i].ns != 0)) i--;
  if (ns == 0) i = 1;
  if (ns % units[i].ns == 0)
    snprintf(buf, size, "%lld%s", (long long)(ns / units[i].ns), units[i].suffix);
  else
    snprintf(buf, size, "%.3fms", (double)ns / (double)NS_PER_MS);
  return buf;
}

int str_distance(const char *a, const char *b, int limit) {
  enum { MAX = 64 };
  size_t n = strlen(a);
  size_t m = strlen(b);
  if (n > MAX || m > MAX) return limit + 1;
  int rows[3][MAX + 1];
  int *before = rows[0];
  int *last = rows[1];
  int *row = rows[2];
  for (size_t j = 0; j <= m; j++) last[j] = (int)j;
  for (size_t i = 1; i <= n; i++) {
    row[0] = (int)i;
    for (size_t j = 1; j <= m; j++) {
      int ca = tolower((unsigned char)a[i - 1]);
      int cb = tolower((unsigned char)b[j - 1]);
      int d = last[j - 1] + (ca != cb);
      if (last[j] + 1 < d) d = last[j] + 1;
      if (row[j - 1] + 1 < d) d = row[j - 1] + 1;
      if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) && tolower((unsigned char)a[i - 2]) == cb &&
          before[j - 2] + 1 < d)
        d = before[j - 2] + 1;
      row[j] = d;
    }
    int *t = before;
    before = last;
    last = row;
    row = t;
  }
  return last[m] > limit ? limit + 1 : last[m];
}

const char *str_nearest(const char *s, const char *const *names, size_t n) {
  const char *best = NULL;
  int limit = (int)strlen(s) / 3;
  if (limit < 1) limit = 1;
  int least = limit + 1;
  for (size_t i = 0; i < n; i++) {
    if (STR_EQ(names[i], s)) return names[i]; /* another one may differ in case only */
    int d = str_distance(s, names[i], limit);
    if (d < least || (best && d == least && strcmp(names[i], best) < 0)) {
      least = d;
      best = names[i];
    }
  }
  return best;
}

size_t str_utf8_len(const char *p, size_t n) {
  const unsigned char *s = (const unsigned char *)p;
  if (n == 0) return 0;
  if (s[0] < 0x80) return 1;
  size_t k = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
  if (s[0] < 0xc2 || s[0] > 0xf4 || n < k) return 0;
  for (size_t i = 1; i < k; i++)
    if ((s[i] & 0xc0) != 0x80) return 0;
  /* RFC 3629: no over-long forms, no surrogates, nothing above U+10FFFF */
  if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)) return 0;
  if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) return 0;
  return k;
}

/* Sixteen bytes at once: output in JSON looks at every byte of the workload's. */
typedef unsigned char bytes16 __attribute__((vector_size(16)));
typedef unsigned long long halves16 __attribute__((vector_size(16)));

static bool any(bytes16 v) {
  halves16 h = (halves16)v;
  return (h[0] | h[1]) != 0;
}

size_t str_plain(const char *p, size_t n) {
  size_t i = 0;
  for (bytes16 v; n - i >= sizeof v; i += sizeof v) {
    memcpy(&v, p + i, sizeof v);
    if (any((bytes16)((v < 0x20) | (v > 0x7e) | (v == '"') | (v == '\\')))) break;
  }
  for (; i < n; i++) {
    unsigned char c = (unsigned char)p[i];
    if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') break;
  }
  return i;
}

bool str_utf8_valid(const char *p, size_t n) {
  while (n) {
    bytes16 v;
    while (n >= sizeof v) {
      memcpy(&v, p, sizeof v);
      if (any(v & 0x80)) break;
      p += sizeof v;
      n -= sizeof v;
    }
    size_t k = str_utf8_len(p, n);
    if (n && !k) return false;
    p += k;
    n -= k;
  }
  return true;
}

static int signal_offset(const char *s, int base, char sign, int *out) {
  if (!*s) {
    *out = base;
    return 0;
  }
  int64_t n;
  if (*s != sign || str_int(s + 1, 0, 64, &n) != 0) return -EINVAL;
  *out = sign == '+' ? base + (int)n : base - (int)n;
  return 0;
}

int str_signal(const char *s) {
  int64_t n;
  if (str_int(s, 1, SIGRTMAX, &n) == 0) return (int)n;
  if (strncasecmp(s, "SIG", 3) == 0) s += 3;
  int sig = 0;
  if (strncasecmp(s, "RTMIN", 5) == 0 && signal_offset(s + 5, SIGRTMIN, '+', &sig) == 0)
    return sig <= SIGRTMAX ? sig : 0;
  if (strncasecmp(s, "RTMAX", 5) == 0 && signal_offset(s + 5, SIGRTMAX, '-', &sig) == 0)
    return sig >= SIGRTMIN ? sig : 0;
  if (strcasecmp(s, "IOT") == 0) return SIGABRT;
  if (strcasecmp(s, "IO") == 0 || strcasecmp(s, "POLL") == 0) return SIGIO; /* the C library knows one of them */
  for (sig = 1; sig < SIGRTMIN; sig++) {
    const char *name = sigabbrev_np(sig);
    if (name && strcasecmp(name, s) == 0) return sig;
  }
  return 0;
}

const char *str_signal_name(int sig, char *buf, size_t size) {
  const char *name = sigabbrev_np(sig);
  if (name)
    str_copy(buf, size, name);
  else if (sig == SIGRTMIN)
    str_copy(buf, size, "RTMIN");
  else if (sig > SIGRTMIN && sig <= SIGRTMAX)
    snprintf(buf, size, "RTMIN+%d", sig - SIGRTMIN);
  else
    snprintf(buf, size, "%d", sig > 0 ? sig : 0);
  return buf;
}
