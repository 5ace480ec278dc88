/* Kind tcp: does something listen there? The addresses of the name are tried in their order, the next one as soon as
 * the one before has failed or has been silent for a moment; the first that connects decides. Nothing is sent, and
 * the connection is reset at once, so that it leaves no socket behind in TIME_WAIT.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "probes/kinds.h"
#include "probes/params.h"
#include "probes/resolve.h"

enum { NEXT_AFTER_MS = 250 }; /* RFC 8305 ("Happy Eyeballs"), Connection Attempt Delay */

static const struct tend_param params[] = {
    {"host", TEND_TEXT, true, 0, 0, "host name or address"},
    {"port", TEND_INTEGER, true, 1, 65535, "port number"},
    {0},
};

struct run;

struct attempt {
  struct run *run;
  struct tend_address to;
  int fd; /* -1: not tried or over */
  int error;
  struct watch *watch;
};

struct run {
  struct tend_probe *probe;
  struct loop *loop;
  struct resolve *resolve;
  struct timer *next_timer;
  const char *host; /* the probe's */
  uint16_t port;
  int64_t started_ns;
  size_t n, next, open; /* addresses, the next to try, connecting now */
  struct attempt *attempts;
};

static void attempt_close(struct attempt *a) {
  watch_free(a->watch);
  a->watch = NULL;
  if (a->fd < 0) return;
  struct linger now = {.l_onoff = 1, .l_linger = 0};
  setsockopt(a->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(a->fd);
  a->fd = -1;
}

static void cancel(void *run) {
  struct run *r = run;
  for (size_t i = 0; i < r->n; i++) attempt_close(&r->attempts[i]);
  resolve_cancel(r->resolve);
  timer_free(r->next_timer);
  free(r->attempts);
  free(r);
}

static void succeed(struct run *r, const struct tend_address *address) {
  char text[64];
  struct tend_probe *p = r->probe;
  struct tend_fact facts[] = {
      {.name = "address", .text = resolve_format(address, text, sizeof text)},
      {.name = "response_ms", .number = (double)((clock_mono_ns() - r->started_ns) / NS_PER_US) / 1000},
  };
  cancel(r);
  probe_env_of(p)->host.probe_done(p, &(struct tend_result){.status = TEND_OK, .facts = facts, .nfacts = 2});
}

static void fail_all(struct run *r) {
  auto_buf struct buf why = {0};
  int error = r->attempts[0].error;
  for (size_t i = 0; i < r->n; i++) {
    char text[64];
    /* one that refuses tells more than one that cannot be reached */
    if (r->attempts[i].error == ECONNREFUSED) error = ECONNREFUSED;
    buf_fmt(&why, "%s%s: %s", i ? ", " : "", resolve_format(&r->attempts[i].to, text, sizeof text),
            strerror(r->attempts[i].error));
  }
  struct tend_probe *p = r->probe;
  auto_buf struct buf peer = {0};
  buf_fmt(&peer, "%s port %u", r->host, r->port);
  cancel(r);
  probe_end(p, TEND_FAIL, probe_connect_reason(error), "cannot connect to %s (%s)", buf_cstr(&peer), buf_cstr(&why));
}

static void try_next(void *arg);

static void attempt_failed(struct attempt *a, int error) {
  struct run *r = a->run;
  if (a->fd >= 0 && a->watch) r->open--;
  attempt_close(a);
  a->error = error;
  if (r->next < r->n)
    timer_after(r->next_timer, 0);
  else if (!r->open)
    fail_all(r);
}

static void on_writable(void *arg, int fd, int events) {
  (void)events;
  struct attempt *a = arg;
  int error = 0;
  socklen_t len = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0) error = errno;
  if (error)
    attempt_failed(a, error);
  else
    succeed(a->run, &a->to);
}

static void try_next(void *arg) {
  struct run *r = arg;
  struct attempt *a = &r->attempts[r->next++];
  const struct tend_address *to = &a->to;
  timer_stop(r->next_timer);
  a->fd = socket(to->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (a->fd < 0) {
    attempt_failed(a, errno);
    return;
  }
  if (connect(a->fd, (const struct sockaddr *)&to->addr, to->len) < 0 && errno != EINPROGRESS) {
    attempt_failed(a, errno);
    return;
  }
  a->watch = watch_new(r->loop, a->fd, WATCH_WRITE, on_writable, a);
  if (!a->watch) {
    attempt_failed(a, ENOMEM);
    return;
  }
  r->open++;
  /* one on this machine has answered by now: the kernel's queue of events need not know of it */
  if (poll(&(struct pollfd){.fd = a->fd, .events = POLLOUT}, 1, 0) == 1) {
    on_writable(a, a->fd, WATCH_WRITE);
    return;
  }
  if (r->next < r->n) timer_after(r->next_timer, NEXT_AFTER_MS * NS_PER_MS);
}

static void on_resolved(void *arg, const struct tend_addresses *found) {
  struct run *r = arg;
  r->resolve = NULL;
  if (found->n) r->attempts = calloc(found->n, sizeof *r->attempts);
  if (!r->attempts) {
    struct tend_probe *p = r->probe;
    bool none = !found->n;
    cancel(r);
    if (none)
      probe_end(p, TEND_FAIL, found->reason, "%s", found->detail);
    else
      probe_end(p, TEND_UNKNOWN, "memory", "no memory");
    return;
  }
  char doing[160];
  snprintf(doing, sizeof doing, "connecting to %s port %u", r->host, r->port);
  probe_env_of(r->probe)->host.probe_progress(r->probe, doing);
  r->n = found->n;
  for (size_t i = 0; i < r->n; i++) r->attempts[i] = (struct attempt){.run = r, .to = found->list[i], .fd = -1};
  try_next(r);
}

static void *start(const struct tend_host *host, struct tend_probe *p, const struct tend_params *ps,
                   int64_t deadline_ns, char *msg, size_t size) {
  struct run *r = calloc(1, sizeof *r);
  if (r) {
    *r = (struct run){.probe = p, .loop = probe_env_of(p)->loop, .started_ns = clock_mono_ns()};
    r->host = probe_param_text(ps, "host");
    r->port = (uint16_t)probe_param_number(ps, "port", 0);
    r->next_timer = timer_new(r->loop, try_next, r);
    r->resolve = resolve_start(r->loop, r->host, r->port, deadline_ns, on_resolved, r);
  }
  if (!r || !r->next_timer || !r->resolve) {
    if (r) cancel(r);
    snprintf(msg, size, "no memory");
    return NULL;
  }
  char doing[160];
  snprintf(doing, sizeof doing, "resolving \"%s\"", r->host);
  host->probe_progress(p, doing);
  return r;
}

const struct tend_probe_kind probe_kind_tcp = {
    .name = "tcp", .doc = "Something listens on a TCP port.", .params = params, .start = start, .cancel = cancel};
