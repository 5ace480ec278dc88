/* What a request asks for, as libcurl's options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "parts/http.h"
#include "tend/version.h"

/* Where little is read: a hundred requests at once take their memory from the kernel page by page. */
enum { SMALL_BUFFER = 2048 };

static bool has_header(const struct tend_http_request *q, const char *name) {
  size_t n = strlen(name);
  for (size_t i = 0; i < q->nheaders; i++)
    if (curl_strnequal(q->headers[i], name, n) && q->headers[i][n] == ':') return true;
  return false;
}

static bool add_header(struct curl_slist **headers, const char *line) {
  struct curl_slist *list = curl_slist_append(*headers, line);
  if (list) *headers = list;
  return list;
}

static bool set_headers(CURL *e, const struct tend_http_request *q, struct curl_slist **headers) {
  /* libcurl would add these to a body by itself */
  static const char *const none[] = {"Expect", "Content-Type"};
  char line[32];
  for (size_t i = 0; q->body && i < sizeof none / sizeof *none; i++) {
    snprintf(line, sizeof line, "%s:", none[i]);
    if (!has_header(q, none[i]) && !add_header(headers, line)) return false;
  }
  for (size_t i = 0; i < q->nheaders; i++) {
    const char *h = q->headers[i], *value = strchr(h, ':') + 1;
    if (value[strspn(value, " \t")]) {
      if (!add_header(headers, h)) return false;
      continue;
    }
    /* an empty one is written with a semicolon */
    char *empty = strndup(h, (size_t)(value - h));
    if (empty) empty[value - h - 1] = ';';
    bool ok = empty && add_header(headers, empty);
    free(empty);
    if (!ok) return false;
  }
  return !curl_easy_setopt(e, CURLOPT_HTTPHEADER, *headers);
}

static bool set_method(CURL *e, const struct tend_http_request *q) {
  const char *method = q->method ? q->method : q->body ? "POST" : "GET";
  CURLcode rc = 0;
  if (q->body) {
    rc |= curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_len);
    rc |= curl_easy_setopt(e, CURLOPT_COPYPOSTFIELDS, q->body);
  }
  if (strcmp(method, "GET") == 0 && !q->body) return true;
  if (strcmp(method, "HEAD") == 0 && !q->body) return !curl_easy_setopt(e, CURLOPT_NOBODY, 1L) && !rc;
  return !curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method) && !rc;
}

static bool set_tls(CURL *e, const struct tend_http_request *q) {
  CURLcode rc = curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
  /* a handle that is used again looks at the certificate again */
  rc |= curl_easy_setopt(e, CURLOPT_SSL_SESSIONID_CACHE, 0L);
  if (q->ca_file) {
    rc |= curl_easy_setopt(e, CURLOPT_CAINFO, q->ca_file);
    rc |= curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
    rc |= curl_easy_setopt(e, CURLOPT_CA_CACHE_TIMEOUT, 0L); /* the file may be another by now */
  }
  if (q->cert_file) rc |= curl_easy_setopt(e, CURLOPT_SSLCERT, q->cert_file);
  if (q->cert_file) rc |= curl_easy_setopt(e, CURLOPT_SSLKEY, q->key_file ? q->key_file : q->cert_file);
  /* without one OpenSSL would ask for it at the terminal, and wait */
  if (q->cert_file) rc |= curl_easy_setopt(e, CURLOPT_KEYPASSWD, "");
  if (q->insecure) {
    rc |= curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
    rc |= curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  return !rc;
}

/* OpenSSL opens these files here and now, and a pipe would keep it, and all of us, for good. */
bool http_files_fit(const struct tend_http_request *q, char *msg, size_t size) {
  const struct {
    const char *name, *path;
  } files[] = {{"ca_file", q->ca_file}, {"cert_file", q->cert_file}, {"key_file", q->key_file}};
  struct stat st;
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    if (!files[i].path || stat(files[i].path, &st) || S_ISREG(st.st_mode)) continue;
    snprintf(msg, size, "%s: %.200s is no file", files[i].name, files[i].path);
    return false;
  }
  return true;
}

bool http_options_set(CURL *e, const struct http_url *url, const struct tend_http_request *q,
                      struct curl_slist **headers) {
  CURLcode rc = curl_easy_setopt(e, CURLOPT_CURLU, url->parts);
  const struct {
    CURLoption option;
    long value;
  } numbers[] = {
      {CURLOPT_NOSIGNAL, 1},
      {CURLOPT_QUICK_EXIT, 1},
      {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
      {CURLOPT_FOLLOWLOCATION, 0},
      {CURLOPT_NETRC, CURL_NETRC_IGNORED},
      {CURLOPT_SUPPRESS_CONNECT_HEADERS, 1},
      {CURLOPT_FRESH_CONNECT, q->fresh},
      {CURLOPT_FORBID_REUSE, q->fresh},
      {CURLOPT_BUFFERSIZE, q->max_body <= HTTP_PROBE_READ ? SMALL_BUFFER : CURL_MAX_WRITE_SIZE},
      /* what is sent at once has nothing to wait for */
      {CURLOPT_TCP_NODELAY, q->body || strcmp(url->scheme, "https") == 0},
  };
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    rc |= curl_easy_setopt(e, numbers[i].option, numbers[i].value);
  rc |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
  rc |= curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  rc |= curl_easy_setopt(e, CURLOPT_PROXY, q->proxy ? q->proxy : ""); /* "": not the environment's either */
  rc |= curl_easy_setopt(e, CURLOPT_NOPROXY, q->proxy ? "" : "*");
  rc |= curl_easy_setopt(e, CURLOPT_USERAGENT, "tend/" TEND_VERSION);
  /* 7.88 forgets a zone when it copies a URL's parts */
  if (url->scope) rc |= curl_easy_setopt(e, CURLOPT_ADDRESS_SCOPE, (long)url->scope);
  if (url->user) rc |= curl_easy_setopt(e, CURLOPT_USERNAME, url->user);
  if (url->password) rc |= curl_easy_setopt(e, CURLOPT_PASSWORD, url->password);
  return !rc && set_method(e, q) && set_headers(e, q, headers) && set_tls(e, q);
}
