/* Requests: what is refused here, what goes to the engine, and its answers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "parts/server.h"

/* On every answer: nothing of it is kept, framed, sniffed, or given to another site. */
static const char *const always[][2] = {
    {"Cache-Control", "no-store"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
};
#define CSP "Content-Security-Policy"

void server_add_headers(struct MHD_Response *r, const struct tend_answer *a) {
  for (size_t i = 0; i < sizeof always / sizeof *always; i++) MHD_add_response_header(r, always[i][0], always[i][1]);
  MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, a->type);
  for (const char *const *h = a->headers; h && h[0]; h += 2) MHD_add_response_header(r, h[0], h[1]);
  if (!MHD_get_response_header(r, CSP)) MHD_add_response_header(r, CSP, "default-src 'none'; frame-ancestors 'none'");
}

int server_answer(struct tend_request *q, const struct tend_answer *a) {
  struct MHD_Response *r;
  if (a->release) /* it promises not to write there */
    r = MHD_create_response_from_buffer_with_free_callback_cls(a->len, (void *)(uintptr_t)a->body, a->release, a->arg);
  else
    r = MHD_create_response_from_buffer(a->len, (void *)(uintptr_t)a->body, MHD_RESPMEM_MUST_COPY);
  if (!r) {
    if (a->release) a->release(a->arg);
    return -ENOMEM;
  }
  server_add_headers(r, a);
  server_conn_phase(q->conn, SERVER_ANSWER);
  enum MHD_Result rc = MHD_queue_response(q->conn->mhd, (unsigned)a->status, r);
  MHD_destroy_response(r);
  if (rc != MHD_YES) return -ENOMEM;
  q->answered = true;
  return 0;
}

static int refuse(struct tend_request *q, int status, const char *text) {
  static const char *const allow[] = {"Allow", "GET, HEAD", NULL};
  return server_answer(q, &(struct tend_answer){.status = status,
                                                .type = "application/json",
                                                .headers = status == MHD_HTTP_METHOD_NOT_ALLOWED ? allow : NULL,
                                                .body = text,
                                                .len = strlen(text)});
}

const char *server_argument(const struct tend_request *q, const char *name) {
  return MHD_lookup_connection_value(q->conn->mhd, MHD_GET_ARGUMENT_KIND, name);
}

bool server_loopback(const struct tend_request *q) {
  const struct in6_addr *a = &q->conn->from;
  return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
}

struct visit {
  tend_header_fn *each;
  void *arg;
};

static enum MHD_Result visit(void *arg, enum MHD_ValueKind kind, const char *name, const char *value) {
  (void)kind;
  const struct visit *v = arg;
  v->each(v->arg, name, value ? value : "");
  return MHD_YES;
}

void server_headers(const struct tend_request *q, tend_header_fn *each, void *arg) {
  MHD_get_connection_values(q->conn->mhd, MHD_HEADER_KIND, visit, &(struct visit){each, arg});
}

static bool has_body(struct MHD_Connection *mhd) {
  const char *length = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
  return (length && strcmp(length, "0") != 0) ||
         MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

/* The library counts the whole head; its own memory limit holds more than the head alone. */
static bool head_too_large(const struct tend_server *s, struct MHD_Connection *mhd) {
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
  return info && info->header_size > s->limits.head;
}

/* The library calls twice: when the head is there (an answer then ends the connection, with whatever follows the head
 * unread), and when the request is whole. */
enum MHD_Result server_on_request(void *arg, struct MHD_Connection *mhd, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_size, void **state) {
  (void)version;
  (void)upload;
  (void)upload_size;
  (void)state;
  struct tend_server *s = arg;
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  struct server_conn *c = info ? info->socket_context : NULL;
  if (!c || c->ending) return MHD_NO;
  struct tend_request q = {.conn = c, .method = method, .path = url};
  if (!c->begun) {
    if (head_too_large(s, mhd))
      return refuse(&q, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, "{\"error\": \"the request's head is too large\"}\n")
                 ? MHD_NO
                 : MHD_YES;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
      return refuse(&q, MHD_HTTP_METHOD_NOT_ALLOWED,
                    "{\"error\": \"only GET and HEAD\", \"help\": \"nothing is changed over HTTP; use tend's "
                    "commands\"}\n")
                 ? MHD_NO
                 : MHD_YES;
    if (has_body(mhd))
      return refuse(&q, MHD_HTTP_CONTENT_TOO_LARGE, "{\"error\": \"a request has no body here\"}\n") ? MHD_NO : MHD_YES;
    c->begun = true;
    return MHD_YES;
  }
  s->fn(s->arg, &q);
  if (q.answered) return MHD_YES;
  return refuse(&q, MHD_HTTP_INTERNAL_SERVER_ERROR, "{\"error\": \"out of memory\"}\n") ? MHD_NO : MHD_YES;
}
