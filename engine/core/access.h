/* Who may see details over HTTP: status, report, events, the page. Pure.
 *
 * local: the connection comes from this host, names it as this host (else a name that points here could make a
 * browser ask: DNS rebinding), and nobody says that it was forwarded. A token opens details to whoever sends it. A
 * page of another site gets nothing in any case, so a browser cannot be made to read for it.
 */
#ifndef TEND_CORE_ACCESS_H
#define TEND_CORE_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

enum access_detail { ACCESS_OFF, ACCESS_LOCAL, ACCESS_ALL }; /* as CONTAINER_HTTP_DETAIL's choices */

/* What a request says. Zero-initialise; access_header takes in one header after the other. */
struct access_request {
  bool loopback; /* its client is on this host */
  char host[256];
  unsigned hosts;   /* Host headers */
  bool forwarded;   /* a header of a proxy is there */
  bool foreign;     /* sent by a browser for a page of another site */
  char origin[256]; /* of the page that a browser asks for; "": not said */
  char authorization[1024];
  unsigned authorizations;
};

void access_header(struct access_request *r, const char *name, const char *value);

enum access_verdict { ACCESS_GRANTED, ACCESS_UNAUTHORIZED, ACCESS_FORBIDDEN };

/* token: NULL: none is set. *why: one sentence that says what was missing. */
enum access_verdict access_check(enum access_detail detail, const char *token, const struct access_request *r,
                                 const char **why);

/* A Host header that names this host: localhost, 127.0.0.0/8, [::1], with or without a port. */
bool access_loopback_name(const char *host);

/* The Accept header asks for OpenMetrics rather than for plain text. NULL: no header. */
bool access_wants_openmetrics(const char *accept);

#endif
