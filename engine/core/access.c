#include "core/access.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

static bool is(const char *a, const char *b) { return strcasecmp(a, b) == 0; }

static bool forwarding(const char *name) {
  static const char *const names[] = {"Forwarded",           "Via",         "X-Real-IP",      "X-Client-IP",
                                      "X-Cluster-Client-IP", "X-Forwarded", "X-ProxyUser-Ip", "CF-Connecting-IP",
                                      "True-Client-IP"};
  for (size_t i = 0; i < ARRAY_LEN(names); i++)
    if (is(name, names[i])) return true;
  return strncasecmp(name, "X-Forwarded-", 12) == 0 || strncasecmp(name, "X-Original-", 11) == 0;
}

void access_header(struct access_request *r, const char *name, const char *value) {
  if (is(name, "Host")) {
    r->hosts++;
    str_copy(r->host, sizeof r->host, value);
  } else if (is(name, "Authorization")) {
    r->authorizations++;
    /* one that does not fit is no token of ours */
    str_copy(r->authorization, sizeof r->authorization, strlen(value) < sizeof r->authorization ? value : "");
  } else if (is(name, "Origin")) {
    str_copy(r->origin, sizeof r->origin, *value && strlen(value) < sizeof r->origin ? value : "null");
  } else if (is(name, "Sec-Fetch-Site")) {
    r->foreign |= !is(value, "same-origin") && !is(value, "none");
  } else if (forwarding(name)) {
    r->forwarded = true;
  }
}

bool access_loopback_name(const char *host) {
  char name[64];
  const char *end = *host == '[' ? strchr(host, ']') : strchr(host, ':');
  if (*host == '[' && !end) return false;
  const char *port = *host == '[' ? end + 1 : end ? end : host + strlen(host);
  if (*port && (*port != ':' || strspn(port + 1, "0123456789") != strlen(port + 1) || strlen(port) > 6)) return false;
  size_t n = *host == '[' ? (size_t)(end - host) - 1 : (size_t)(port - host);
  if (n >= sizeof name) return false;
  memcpy(name, host + (*host == '['), n);
  name[n] = 0;
  if (*host == '[') return STR_EQ(name, "::1");
  if (is(name, "localhost")) return true;
  if (strncmp(name, "127.", 4) != 0) return false;
  const char *p = name + 3; /* the three numbers that follow, and nothing else */
  for (int i = 0; i < 3; i++) {
    if (*p++ != '.') return false;
    size_t digits = strspn(p, "0123456789");
    if (digits < 1 || digits > 3 || strtol(p, NULL, 10) > 255) return false;
    p += digits;
  }
  return !*p;
}

/* Takes as long whatever the texts are; their lengths are no secret. */
static bool same_token(const char *a, const char *b) {
  size_t n = strlen(a);
  size_t m = strlen(b);
  volatile unsigned char differs = n != m;
  for (size_t i = 0; i < m; i++) differs |= (unsigned char)(a[n ? i % n : 0] ^ b[i]);
  return !differs;
}

static bool has_token(const struct access_request *r, const char *token) {
  if (!token || r->authorizations != 1 || strncasecmp(r->authorization, "Bearer ", 7) != 0) return false;
  const char *given = r->authorization + 7;
  given += strspn(given, " ");
  return *given && same_token(token, given);
}

/* Older browsers say only the Origin: "https://HOST:PORT" of the page, or "null" (RFC 6454). */
static bool of_another_site(const struct access_request *r) {
  const char *host = strstr(r->origin, "://");
  return r->foreign || (*r->origin && (!host || !is(host + 3, r->host)));
}

enum access_verdict access_check(enum access_detail detail, const char *token, const struct access_request *r,
                                 const char **why) {
  *why = "";
  if (token && !*token) token = NULL;
  bool foreign = of_another_site(r);
  if (foreign)
    *why = "a page of another site asks for it";
  else if (has_token(r, token) || detail == ACCESS_ALL)
    return ACCESS_GRANTED;
  else if (r->authorizations && token)
    *why = "the token is not the one of CONTAINER_HTTP_TOKEN";
  else if (detail == ACCESS_OFF)
    *why = "CONTAINER_HTTP_DETAIL is off";
  else if (!r->loopback)
    *why = "CONTAINER_HTTP_DETAIL is local, and the request does not come from this host";
  else if (r->forwarded)
    *why = "CONTAINER_HTTP_DETAIL is local, and the request was forwarded by a proxy";
  else if (r->hosts != 1 || !access_loopback_name(r->host))
    *why = "CONTAINER_HTTP_DETAIL is local, and the request names another host; ask for localhost";
  else
    return ACCESS_GRANTED;
  return token && !foreign ? ACCESS_UNAUTHORIZED : ACCESS_FORBIDDEN;
}

/* --- Accept ------------------------------------------------------------------------------------------------------ */

/* The parameter `name` of "type; a=b; c=d", up to n bytes; NULL: not there. */
static const char *parameter(const char *p, const char *end, const char *name, size_t *n) {
  size_t len = strlen(name);
  while ((p = memchr(p, ';', (size_t)(end - p)))) {
    p++;
    while (p < end && isspace((unsigned char)*p)) p++;
    if ((size_t)(end - p) <= len || strncasecmp(p, name, len) != 0 || p[len] != '=') continue;
    p += len + 1;
    const char *stop = p;
    while (stop < end && *stop != ';' && !isspace((unsigned char)*stop)) stop++;
    *n = (size_t)(stop - p);
    return p;
  }
  return NULL;
}

static double weight(const char *p, const char *end) {
  size_t n;
  const char *q = parameter(p, end, "q", &n);
  char text[8];
  if (!q) return 1;
  if (n == 0 || n >= sizeof text) return 0;
  memcpy(text, q, n);
  text[n] = 0;
  double v = strspn(text, "0123456789.") == n ? strtod(text, NULL) : 0;
  return v > 1 ? 1 : v;
}

static bool is_type(const char *p, const char *end, const char *type) {
  size_t n = strcspn(p, "; \t");
  if (n > (size_t)(end - p)) n = (size_t)(end - p);
  return n == strlen(type) && strncasecmp(p, type, n) == 0;
}

bool access_wants_openmetrics(const char *accept) {
  double open = 0;
  double text = 0;
  for (const char *p = accept ? accept : ""; *p;) {
    p += strspn(p, " \t,");
    const char *end = p + strcspn(p, ",");
    if (is_type(p, end, "application/openmetrics-text")) {
      size_t n;
      const char *version = parameter(p, end, "version", &n);
      bool known = !version || (n == 5 && (strncmp(version, "1.0.0", n) == 0 || strncmp(version, "0.0.1", n) == 0));
      double w = weight(p, end);
      if (known && w > open) open = w;
    } else if (is_type(p, end, "text/plain") || is_type(p, end, "text/*")) {
      double w = weight(p, end);
      if (w > text) text = w;
    }
    p = end;
  }
  return open > 0 && open >= text;
}
