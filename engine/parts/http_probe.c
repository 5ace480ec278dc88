/* Kind http: asks for a URL, and judges the status and, where told to, the answer. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "parts/http.h"

enum { HEADERS_MAX = 32 };

static const struct tend_param params[] = {
    {"url", TEND_TEXT, true, 0, 0, "http://HOST[:PORT]/PATH or https://..."},
    {"method", TEND_TEXT, false, 0, 0, "default GET, with a body POST"},
    {"headers", TEND_ANY, false, 0, 0, "{ Name = \"value\" }, or a list of \"Name: value\""},
    {"body", TEND_TEXT, false, 0, 0, "what is sent"},
    {"status", TEND_ANY, false, 0, 0, "good ones: 200, \"200-299\", \"2xx\", or a list of these (default 200-299)"},
    {"equals", TEND_TEXT, false, 0, 0, "the answer, without white space around it, is this"},
    {"contains", TEND_TEXT, false, 0, 0, "the answer holds this"},
    {"json", TEND_ANY, false, 0, 0, "{ [\"a.b\"] = value }: fields of the answer"},
    {"ca_file", TEND_TEXT, false, 0, 0, "the CA of the server's certificate, PEM (default: the system's)"},
    {"cert_file", TEND_TEXT, false, 0, 0, "our certificate, PEM"},
    {"key_file", TEND_TEXT, false, 0, 0, "its key, PEM (default: in cert_file)"},
    {"insecure", TEND_BOOL, false, 0, 0, "the server's certificate is not checked"},
    {"proxy", TEND_TEXT, false, 0, 0, "http://HOST:PORT (default: none, whatever the environment says)"},
    {"redirects", TEND_INTEGER, false, 0, TEND_HTTP_REDIRECTS_MAX,
     "how many are followed, to the same scheme, host and port (default 0)"},
    {0},
};

struct run {
  const struct tend_host *host;
  struct tend_probe *probe;
  const struct tend_params *params;
  struct tend_http_call *call;
  char shown[HTTP_NAME_MAX];
};

/* The request with its headers, which are to be freed. */
struct built {
  struct tend_http_request q;
  char *lines[HEADERS_MAX];
};

static void built_free(struct built *b) {
  for (size_t i = 0; i < b->q.nheaders; i++) free(b->lines[i]);
}

static int build(const struct tend_host *host, const struct tend_params *ps, struct built *b, char *msg, size_t size) {
  *b = (struct built){.q = {.url = host->param_text(ps, "url"),
                            .method = host->param_text(ps, "method"),
                            .body = host->param_text(ps, "body"),
                            .max_body = HTTP_PROBE_READ,
                            .cut = true,
                            .fresh = true,
                            .redirects = (int)host->param_number(ps, "redirects", 0),
                            .ca_file = host->param_text(ps, "ca_file"),
                            .cert_file = host->param_text(ps, "cert_file"),
                            .key_file = host->param_text(ps, "key_file"),
                            .insecure = host->param_bool(ps, "insecure", false),
                            .proxy = host->param_text(ps, "proxy")}};
  b->q.body_len = b->q.body ? strlen(b->q.body) : 0;
  b->q.headers = (const char *const *)b->lines;
  const char *key, *text;
  char number[32];
  for (size_t i = 0; (text = host->param_item(ps, "headers", i, &key, number, sizeof number)); i++) {
    char *line = NULL;
    if (i < HEADERS_MAX && asprintf(&line, "%s%s%s", key ? key : "", key ? ": " : "", text) < 0) line = NULL;
    if (!line) {
      snprintf(msg, size, "headers: at most %d", HEADERS_MAX);
      built_free(b);
      return -1;
    }
    b->lines[b->q.nheaders++] = line;
  }
  if (key) {
    snprintf(msg, size, "headers: %.80s: expected a text", key);
    built_free(b);
    return -1;
  }
  return 0;
}

/* Three digits; what follows them, NULL when there are none. */
static const char *status_of(const char *text, int *out) {
  *out = 0;
  for (int i = 0; i < 3; i++) {
    if (!isdigit((unsigned char)text[i])) return NULL;
    *out = *out * 10 + (text[i] - '0');
  }
  return text + 3;
}

/* "200", "200-299", "2xx" */
static bool range(const char *text, int *from, int *to) {
  if (isdigit((unsigned char)text[0]) && strcasecmp(text + 1, "xx") == 0) {
    *from = (text[0] - '0') * 100;
    *to = *from + 99;
  } else {
    const char *rest = status_of(text, from);
    *to = *from;
    if (rest && *rest == '-') rest = status_of(rest + 1, to);
    if (!rest || *rest) return false;
  }
  return *from >= 100 && *from <= *to && *to <= 599;
}

static int check(const struct tend_host *host, const struct tend_params *ps, char *msg, size_t size) {
  struct built b;
  const char *key, *text;
  char number[32];
  int from, to;
  if (build(host, ps, &b, msg, size)) return -1;
  int rc = http_check(&b.q, msg, size);
  built_free(&b);
  if (rc) return rc;
  for (size_t i = 0; (text = host->param_item(ps, "status", i, &key, number, sizeof number)); i++)
    if (key || !range(text, &from, &to)) {
      snprintf(msg, size,
               "status: \"%.20s\": expected a status such as 204, \"200-299\" or \"2xx\", or a list of these", text);
      return -1;
    }
  for (size_t i = 0; (text = host->param_item(ps, "json", i, &key, number, sizeof number)); i++)
    if (!key) {
      snprintf(msg, size, "json: expected a table of fields and their values, such as { status = \"ok\" }");
      return -1;
    }
  if (key) {
    snprintf(msg, size, "json: %.80s: expected a text, a number or a boolean; a field inside is written \"a.b\"", key);
    return -1;
  }
  return 0;
}

static void cancel(void *arg) {
  struct run *r = arg;
  http_call_cancel(r->call);
  free(r);
}

static bool status_good(const struct run *r, int status, char *wanted, size_t size) {
  const char *key, *text;
  char number[32];
  int from, to;
  size_t n = 0;
  *wanted = 0;
  for (size_t i = 0; (text = r->host->param_item(r->params, "status", i, &key, number, sizeof number)); i++) {
    if (range(text, &from, &to) && status >= from && status <= to) return true;
    if (n < size) n += (size_t)snprintf(wanted + n, size - n, "%s%s", i ? ", " : "", text);
  }
  if (!*wanted) snprintf(wanted, size, "200-299");
  return !n && status >= 200 && status <= 299;
}

static bool trimmed_equals(const char *body, size_t n, const char *wanted) {
  while (n && isspace((unsigned char)*body)) body++, n--;
  while (n && isspace((unsigned char)body[n - 1])) n--;
  return n == strlen(wanted) && memcmp(body, wanted, n) == 0;
}

/* NULL, or what is wrong with the answer. */
static const char *body_wrong(const struct run *r, const struct tend_http_response *a, char *out, size_t size) {
  const struct tend_host *host = r->host;
  const char *equals = host->param_text(r->params, "equals"), *contains = host->param_text(r->params, "contains");
  const char *key, *wanted, *cut = a->cut ? " in its first 10 KiB" : "";
  char number[32], found[HTTP_PROBE_READ + 1]; /* no field is longer than the answer */
  if (equals && (a->cut || !trimmed_equals(a->body, a->body_len, equals))) {
    snprintf(out, size, "%s: the answer (%zu bytes) is not \"%.60s\"", r->shown, a->body_len, equals);
    return out;
  }
  if (contains && !memmem(a->body, a->body_len, contains, strlen(contains))) {
    snprintf(out, size, "%s: the answer (%zu bytes) does not hold \"%.60s\"%s", r->shown, a->body_len, contains, cut);
    return out;
  }
  for (size_t i = 0; (wanted = host->param_item(r->params, "json", i, &key, number, sizeof number)); i++) {
    int rc = host->json_find(a->body, a->body_len, key, found, sizeof found);
    if (rc == 1 && strcmp(found, wanted) == 0) continue;
    if (rc < 0)
      snprintf(out, size, "%s: the answer (%zu bytes%s) is no JSON", r->shown, a->body_len, a->cut ? ", cut" : "");
    else if (rc == 0)
      snprintf(out, size, "%s: the answer has no value at \"%.40s\", expected %.60s", r->shown, key, wanted);
    else
      snprintf(out, size, "%s: the answer's \"%.40s\" is %.60s, expected %.60s", r->shown, key, found, wanted);
    return out;
  }
  return NULL;
}

static void on_done(void *arg, const struct tend_http_response *a, const struct tend_http_error *error) {
  struct run *r = arg;
  char detail[640], wanted[128];
  r->call = NULL;
  struct tend_result result = {.status = TEND_FAIL, .detail = detail};
  struct tend_fact facts[] = {{.name = "status"}, {.name = "response_ms"}, {.name = "connect_ms"}, {.name = "address"}};
  if (a) {
    facts[0].number = a->status;
    facts[1].number = a->total_ms;
    facts[2].number = a->connect_ms;
    facts[3].text = a->address;
    result.facts = facts;
    result.nfacts = sizeof facts / sizeof *facts;
  }
  if (error || !a) {
    result.reason = error ? error->reason : "closed";
    snprintf(detail, sizeof detail, "%s", error ? error->message : "no answer");
  } else if (!status_good(r, a->status, wanted, sizeof wanted)) {
    result.reason = "status";
    snprintf(detail, sizeof detail, "%s answered with status %d%s%.120s%s; expected %s", r->shown, a->status,
             a->redirect ? " (a redirect to " : "", a->redirect ? a->redirect : "",
             a->redirect ? ", which is not followed)" : "", wanted);
  } else if (body_wrong(r, a, detail, sizeof detail)) {
    result.reason = "body";
  } else {
    result.status = TEND_OK;
    result.detail = NULL;
  }
  const struct tend_host *host = r->host;
  struct tend_probe *p = r->probe;
  free(r);
  host->probe_done(p, &result);
}

static void on_progress(void *arg, const char *doing) {
  struct run *r = arg;
  r->host->probe_progress(r->probe, doing);
}

static void *start(const struct tend_host *host, struct tend_probe *p, const struct tend_params *ps,
                   int64_t deadline_ns, char *msg, size_t size) {
  struct built b;
  if (build(host, ps, &b, msg, size)) return NULL;
  struct run *r = calloc(1, sizeof *r);
  if (r) {
    *r = (struct run){.host = host, .probe = p, .params = ps};
    /* the attempt's deadline is kept by who started it; the resolver has it too */
    r->call = http_call_start(host, &b.q, deadline_ns, on_progress, on_done, r, msg, size);
    if (r->call) snprintf(r->shown, sizeof r->shown, "%s", http_call_shown(r->call));
  } else {
    snprintf(msg, size, "no memory");
  }
  built_free(&b);
  if (r && r->call) return r;
  free(r);
  return NULL;
}

const struct tend_probe_kind http_probe_kind = {.name = "http",
                                                .doc = "An HTTP or HTTPS server gives a good answer.",
                                                .params = params,
                                                .check = check,
                                                .start = start,
                                                .cancel = cancel};
