/* A request made into a handle that libcurl can carry out. A check asks the same each time, and the way from the
 * request to the handle costs as much as a third of it: the handles of the last few such requests are kept for the next
 * time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts/http.h"

enum { KEPT_MAX = 16, TEXTS = 6 };

static struct http_ready *kept; /* the latest first; each is used by no call */

/* The i-th text that a handle is made of; there are TEXTS and the headers. */
static const char *text_of(const struct tend_http_request *q, size_t i) {
  const char *const texts[TEXTS] = {q->url, q->method, q->ca_file, q->cert_file, q->key_file, q->proxy};
  return i < TEXTS ? texts[i] : q->headers[i - TEXTS];
}

/* What is worth keeping: a connection of its own tells a check from a script's request, which may never come again. */
static bool lasts(const struct tend_http_request *q) { return q->fresh && !q->body; }

/* All texts, each ended by a zero, one that is not given as a zero alone: none of them is empty. */
static char *copy_texts(const struct tend_http_request *q) {
  size_t n = 0;
  for (size_t i = 0; i < TEXTS + q->nheaders; i++) n += text_of(q, i) ? strlen(text_of(q, i)) + 1 : 1;
  char *copy = malloc(n), *to = copy;
  for (size_t i = 0; copy && i < TEXTS + q->nheaders; i++) to = stpcpy(to, text_of(q, i) ? text_of(q, i) : "") + 1;
  return copy;
}

static bool same(const struct http_ready *r, const struct tend_http_request *q) {
  if (r->nheaders != q->nheaders || r->insecure != q->insecure) return false;
  const char *is = r->texts;
  for (size_t i = 0; i < TEXTS + q->nheaders; i++) {
    const char *text = text_of(q, i) ? text_of(q, i) : "";
    if (strcmp(is, text) != 0) return false;
    is += strlen(text) + 1;
  }
  return true;
}

static struct http_ready **find(const struct tend_http_request *q) {
  struct http_ready **at = &kept;
  while (*at && !same(*at, q)) at = &(*at)->next;
  return at;
}

void http_ready_free(struct http_ready *r) {
  if (!r) return;
  curl_easy_cleanup(r->easy);
  curl_slist_free_all(r->headers);
  http_url_free(&r->url);
  http_url_free(&r->proxy);
  free(r->texts);
  free(r);
}

/* Without a handle as yet. */
static struct http_ready *make(const struct tend_http_request *q, char *msg, size_t size) {
  struct http_url url, proxy;
  if (http_urls_parse(q, &url, &proxy, msg, size)) return NULL;
  struct http_ready *r = calloc(1, sizeof *r);
  if (r) {
    *r = (struct http_ready){.url = url,
                             .proxy = proxy,
                             .texts = lasts(q) ? copy_texts(q) : NULL,
                             .nheaders = q->nheaders,
                             .insecure = q->insecure};
    return r;
  }
  http_url_free(&url);
  http_url_free(&proxy);
  snprintf(msg, size, "no memory for a request");
  return NULL;
}

int http_check(const struct tend_http_request *q, char *msg, size_t size) {
  if (lasts(q) && *find(q)) return 0;
  struct http_ready *r = make(q, msg, size);
  if (!r) return -1;
  http_ready_keep(r); /* who is checked is asked next */
  return 0;
}

struct http_ready *http_ready_take(const struct tend_http_request *q, char *msg, size_t size) {
  struct http_ready **at = lasts(q) ? find(q) : NULL, *r = at ? *at : NULL;
  if (r)
    *at = r->next;
  else if (!(r = make(q, msg, size)))
    return NULL;
  if (r->easy) return r;
  r->easy = curl_easy_init();
  if (r->easy && http_options_set(r->easy, &r->url, q, &r->headers)) return r;
  http_ready_free(r);
  snprintf(msg, size, "no memory for a request");
  return NULL;
}

void http_ready_keep(struct http_ready *r) {
  if (!r->texts) {
    http_ready_free(r);
    return;
  }
  r->next = kept;
  kept = r;
  struct http_ready **at = &kept;
  for (size_t i = 0; *at && i < KEPT_MAX; i++) at = &(*at)->next;
  http_ready_free(*at); /* the one that was not used for longest */
  *at = NULL;
}
