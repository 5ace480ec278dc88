#include "web/web.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/revival.h"
#include "base/str.h"
#include "loop/part.h"
#include "web/inner.h"

/* The part shall not compete with the workload's own first moments; a start that waits for something has the time. */
#define AFTER_WORKLOAD_NS (40 * NS_PER_MS)
#define AFTER_BEGIN_NS (250 * NS_PER_MS)
#define WAIT_MIN_NS NS_PER_S
#define WAIT_MAX_NS (30 * NS_PER_S)
#define RESOLVE_NS (5 * NS_PER_S)

static void tell(struct web *w, enum event_kind kind, enum level level, const char *message, const char *listening,
                 int port) {
  auto_buf struct buf details = {0};
  struct json j = JSON_INIT(&details);
  json_object(&j, NULL);
  json_str(&j, "address", listening ? listening : w->address);
  if (listening) json_int(&j, "port", port);
  json_object_end(&j);
  sink_emit(w->o.sink, kind, &(struct sink_event){.level = level, .message = message, .details = buf_cstr(&details)});
}

static void unavailable(struct web *w, const char *why, bool again) {
  if (STR_EQ(w->told, why)) return;
  str_copy(w->told, sizeof w->told, why);
  auto_buf struct buf message = {0};
  buf_fmt(&message, "nothing is served over HTTP on %s: %s; tend goes on without%s", w->address, why,
          again ? ", and tries again; CONTAINER_HTTP_ADDRESS names another address, or off"
                : "; CONTAINER_HTTP_ADDRESS=off says so");
  tell(w, EVENT_HTTP_UNAVAILABLE, LEVEL_WARNING, buf_cstr(&message), NULL, 0);
}

static void try_later(struct web *w, const char *why) {
  unavailable(w, why, true);
  timer_after(w->timer, w->wait_ns);
  w->wait_ns = w->wait_ns * 2 < WAIT_MAX_NS ? w->wait_ns * 2 : WAIT_MAX_NS;
}

static struct tend_server_limits limits(void) {
  struct rlimit files = {.rlim_cur = 1024};
  getrlimit(RLIMIT_NOFILE, &files);
  unsigned most = LIMIT_HTTP_CONNECTIONS;
  if (files.rlim_cur / 4 < most) most = files.rlim_cur > 16 ? (unsigned)files.rlim_cur / 4 : 4;
  return (struct tend_server_limits){
      .connections = most,
      .per_address = most * LIMIT_HTTP_PER_ADDRESS / LIMIT_HTTP_CONNECTIONS,
      .streams = most * LIMIT_HTTP_STREAMS / LIMIT_HTTP_CONNECTIONS,
      .head = LIMIT_HTTP_HEAD,
      .head_ns = 5 * NS_PER_S,
      .idle_ns = 75 * NS_PER_S,
      .answer_ns = 30 * NS_PER_S,
      .stall_ns = 10 * NS_PER_S,
  };
}

/* The socket is init's too, so that nobody is turned away while there is no engine. */
static void kept_name(const struct web *w, char *to, size_t size) { snprintf(to, size, "http %.50s", w->address); }

static int kept(struct web *w) {
  char name[LIMIT_NAME];
  kept_name(w, name, sizeof name);
  int fd = revival_fd(w->o.revival, name);
  w->o.revival = NULL;
  return fd;
}

static void serve(struct web *w, const struct tend_address *list, size_t n) {
  struct err err = ERR_INIT;
  int fd = kept(w);
  if (fd < 0) fd = web_listen(list, n, w->port, &err);
  if (fd < 0) {
    try_later(w, err.msg);
    return;
  }
  char msg[ERR_MSG_MAX] = "";
  struct tend_server_limits l = limits();
  w->server = w->ops->start(&w->o.probes->host, fd, &l, web_answer, w, msg, sizeof msg);
  if (!w->server) {
    close(fd);
    try_later(w, msg);
    return;
  }
  w->fd = fd;
  char name[LIMIT_NAME];
  kept_name(w, name, sizeof name);
  children_keep(w->o.probes->children, name, fd);
  web_events_open(w);
  char where[96];
  int port;
  web_listening(fd, where, sizeof where, &port);
  tell(w, EVENT_HTTP_LISTENING, LEVEL_INFO, NULL, where, port);
}

static void on_resolved(void *arg, const struct tend_addresses *found) {
  struct web *w = arg;
  w->resolve = NULL;
  if (found->n)
    serve(w, found->list, found->n);
  else
    try_later(w, found->detail);
}

static void attempt(void *arg) {
  struct web *w = arg;
  struct err err = ERR_INIT;
  w->begun = true;
  if (!w->ops) {
    w->o.source.loading(w->o.source.arg);
    const struct tend_part *part = part_load("server", &err);
    if (!part) {
      unavailable(w, err.msg, false);
      return;
    }
    w->ops = part->ops;
  }
  if (!*w->host || STR_EQ(w->host, "::")) {
    serve(w, NULL, 0);
    return;
  }
  w->resolve =
      resolve_start(w->o.loop, w->host, (uint16_t)w->port, loop_now_ns(w->o.loop) + RESOLVE_NS, on_resolved, w);
  if (!w->resolve) try_later(w, "out of memory");
}

struct web *web_new(const struct web_options *options) {
  const char *address = settings_str(options->settings, SET_HTTP_ADDRESS);
  struct web *w = address ? calloc(1, sizeof *w) : NULL;
  if (!w) return NULL;
  *w = (struct web){.o = *options, .fd = -1, .wait_ns = WAIT_MIN_NS};
  str_copy(w->address, sizeof w->address, address);
  w->timer = timer_new(options->loop, attempt, w);
  if (setting_address(address, w->host, sizeof w->host, &w->port) || !w->timer) { /* off, too */
    web_free(w);
    return NULL;
  }
  timer_after(w->timer, AFTER_BEGIN_NS);
  return w;
}

void web_workload_started(struct web *w) {
  if (w && !w->begun) timer_after(w->timer, AFTER_WORKLOAD_NS);
}

const char *web_trouble(const struct web *w) { return w && !w->server ? w->told : ""; }

void web_free(struct web *w) {
  if (!w) return;
  timer_free(w->timer);
  resolve_cancel(w->resolve);
  if (w->server) {
    w->ops->stop(w->server);
    web_events_close(w);
  }
  if (w->fd >= 0) close(w->fd);
  for (int i = 0; i < WEB_KEPT; i++) web_text_free(w->kept[i]);
  free(w);
}
