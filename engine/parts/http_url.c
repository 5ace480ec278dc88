/* URLs taken apart and requests checked, before anything is sent. */
#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts/http.h"

void http_url_free(struct http_url *u) {
  curl_free(u->host);
  curl_free(u->user);
  curl_free(u->password);
  curl_url_cleanup(u->parts);
  *u = (struct http_url){0};
}

static char *piece(CURLU *h, CURLUPart part, unsigned flags) {
  char *text = NULL;
  return curl_url_get(h, part, &text, flags) ? NULL : text;
}

/* Whether it was an address of IPv6. */
static bool strip_brackets(char *host) {
  size_t n = strlen(host);
  if (host[0] != '[' || n < 2) return false;
  memmove(host, host + 1, n - 2);
  host[n - 2] = 0;
  return true;
}

/* 0 for none, or one that is not there (now). */
static unsigned scope_of(CURLU *h) {
  char *zone = piece(h, CURLUPART_ZONEID, 0);
  unsigned scope = zone ? if_nametoindex(zone) : 0;
  if (zone && !scope) scope = (unsigned)strtoul(zone, NULL, 10);
  curl_free(zone);
  return scope;
}

int http_url_parse(struct http_url *u, const char *text, char *msg, size_t size) {
  struct http_url new = {0};
  static const char form[] = "expected http://HOST[:PORT]/PATH or https://HOST[:PORT]/PATH";
  if (strlen(text) > HTTP_URL_MAX) {
    snprintf(msg, size, "the URL is longer than %d bytes", HTTP_URL_MAX);
    return -1;
  }
  CURLU *h = curl_url();
  CURLUcode rc = h ? curl_url_set(h, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) : CURLUE_OUT_OF_MEMORY;
  char *scheme = rc ? NULL : piece(h, CURLUPART_SCHEME, 0);
  char *path = rc ? NULL : piece(h, CURLUPART_PATH, 0);
  char *port = rc ? NULL : piece(h, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  if (!rc) {
    new.host = piece(h, CURLUPART_HOST, CURLU_PUNYCODE);
    new.user = piece(h, CURLUPART_USER, CURLU_URLDECODE);
    new.password = piece(h, CURLUPART_PASSWORD, CURLU_URLDECODE);
  }
  bool known = scheme && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
  if (rc)
    snprintf(msg, size, "the URL cannot be read (%s); %s", curl_url_strerror(rc), form);
  else if (!known)
    snprintf(msg, size, "the URL's scheme is \"%.20s\"; %s", scheme ? scheme : "", form);
  else if (!new.host || !new.host[0])
    snprintf(msg, size, "the URL names no host, or one that cannot be written in DNS; %s", form);
  else if (!port || strtol(port, NULL, 10) < 1)
    snprintf(msg, size, "the URL's port is no port; %s", form);
  else {
    struct in_addr four;
    bool six = strip_brackets(new.host);
    new.literal = six || inet_pton(AF_INET, new.host, &four) == 1;
    snprintf(new.scheme, sizeof new.scheme, "%s", scheme);
    new.scope = six ? scope_of(h) : 0;
    new.port = (uint16_t)strtol(port, NULL, 10);
    snprintf(new.peer, sizeof new.peer, six ? "[%.120s]:%u" : "%.120s:%u", new.host, new.port);
    snprintf(new.shown, sizeof new.shown, "%.6s://%.130s%.60s", scheme, new.peer, path ? path : "/");
  }
  curl_free(scheme);
  curl_free(path);
  curl_free(port);
  new.parts = h;
  if (!new.port) {
    http_url_free(&new);
    return -1;
  }
  *u = new;
  return 0;
}

bool http_url_same_origin(const struct http_url *a, const struct http_url *b) {
  return strcmp(a->scheme, b->scheme) == 0 && a->port == b->port && a->scope == b->scope &&
         curl_strequal(a->host, b->host);
}

/* What may stand in a method or a header's name. */
static size_t token(const char *s) {
  size_t n = 0;
  while (isalnum((unsigned char)s[n]) || (s[n] && strchr("!#$%&'*+-.^_`|~", s[n]))) n++;
  return n;
}

static bool header_ok(const char *s) {
  size_t n = token(s);
  return n && s[n] == ':' && !s[n + strcspn(s + n, "\r\n")];
}

/* What is wrong with all but the URLs. */
static int check_rest(const struct tend_http_request *q, char *msg, size_t size) {
  if (q->method && (!token(q->method) || q->method[token(q->method)] || strlen(q->method) > 20)) {
    snprintf(msg, size, "method: expected a word such as GET or POST");
    return -1;
  }
  for (size_t i = 0; i < q->nheaders; i++)
    if (!header_ok(q->headers[i])) {
      /* the value may be secret */
      snprintf(msg, size, "headers: header %zu (\"%.*s\"): expected \"Name: value\" on one line", i + 1,
               (int)token(q->headers[i]), q->headers[i]);
      return -1;
    }
  if (q->redirects < 0 || q->redirects > TEND_HTTP_REDIRECTS_MAX) {
    snprintf(msg, size, "redirects: expected a whole number from 0 to %d", TEND_HTTP_REDIRECTS_MAX);
    return -1;
  }
  if (!q->cert_file && q->key_file) {
    snprintf(msg, size, "cert_file: required together with key_file");
    return -1;
  }
  return 0;
}

int http_urls_parse(const struct tend_http_request *q, struct http_url *url, struct http_url *proxy, char *msg,
                    size_t size) {
  struct http_url u = {0}, via = {0};
  char why[256];
  int rc = http_url_parse(&u, q->url, why, sizeof why);
  if (rc) {
    snprintf(msg, size, "url: %s", why);
  } else if (q->proxy && (http_url_parse(&via, q->proxy, why, sizeof why) || strcmp(via.scheme, "http") != 0)) {
    snprintf(msg, size, "proxy: expected http://HOST:PORT");
    rc = -1;
  } else {
    rc = check_rest(q, msg, size);
  }
  if (rc) {
    http_url_free(&u);
    http_url_free(&via);
    return rc;
  }
  *url = u;
  *proxy = via;
  return 0;
}
