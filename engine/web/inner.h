/* Between web.c (loading, listening), web_answer.c (paths), web_events.c (streams) and web_listen.c. */
#ifndef TEND_WEB_INNER_H
#define TEND_WEB_INNER_H

#include "core/access.h"
#include "probes/resolve.h"
#include "web/web.h"
#include "tend/server.h"

/* A text that several answers share. */
struct web_text {
  unsigned refs;
  struct buf text;
  int64_t made_ns;
  uint64_t seq; /* the last event that it knows of */
};

enum web_kept { WEB_STATUS, WEB_REPORT, WEB_METRICS, WEB_PROMETHEUS, WEB_OPENMETRICS, WEB_HISTORY, WEB_KEPT };

struct watcher; /* a client of /events */

struct web {
  struct web_options o;
  char address[280]; /* as the setting says it */
  char host[256];
  int port;
  struct timer *timer; /* the next attempt to listen */
  bool begun;          /* the first one was made */
  struct resolve *resolve;
  int64_t wait_ns;
  char told[256]; /* why it does not listen, as last told */
  int fd;
  const struct tend_server_ops *ops;
  struct tend_server *server;

  struct web_text *kept[WEB_KEPT];

  struct watcher *watchers;
  struct timer *beat;  /* comments that keep silent streams alive */
  struct timer *state; /* the next state for those who asked for it */
  int64_t state_due_ns;
  struct web_text *now; /* the state that was sent last */
  uint64_t version;     /* its number */
  uint64_t overtaken;   /* watchers that were too slow for the ring */
  int64_t overtaken_told_ns;
};

/* web_listen.c: a listening socket on the first address of the list that can be had, or (n == 0) on all addresses of
 * the host. -errno with err. */
int web_listen(const struct tend_address *list, size_t n, int port, struct err *err);
/* Where it listens. */
void web_listening(int fd, char *text, size_t size, int *port);

/* web_answer.c */
void web_answer(void *web, struct tend_request *q);
struct web_text *web_keep(struct web *w, enum web_kept which); /* as fresh as need be; NULL: no memory */
struct web_text *web_text_new(void);
void web_text_free(void *text);
int web_send_json(struct web *w, struct tend_request *q, int status, struct buf *body);

/* web_events.c */
void web_events_open(struct web *w);
void web_events_close(struct web *w);
void web_events_stream(struct web *w, struct tend_request *q, const char *last_event_id);

#endif
