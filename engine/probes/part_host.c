#include "probes/part_host.h"

#include <stdio.h>

#include "base/limits.h"
#include "base/str.h"
#include "core/settings.h"
#include "probes/params.h"
#include "probes/resolve.h"
#include "loop/sink.h"

static int64_t host_now(void *self) { return loop_now_ns(((struct probe_env *)self)->loop); }

static int host_defer(void *self, tend_fn *fn, void *arg) {
  return loop_defer(((struct probe_env *)self)->loop, fn, arg);
}

static void host_log(void *self, enum tend_level level, const char *text) {
  static const enum level levels[] = {LEVEL_DEBUG, LEVEL_INFO, LEVEL_WARNING, LEVEL_ERROR};
  struct probe_env *env = self;
  if (env->sink) sink_say(env->sink, EVENT_NOTICE, levels[level], "%s", text);
}

static const char *host_setting(void *self, const char *name) {
  const struct settings *s = ((struct probe_env *)self)->settings;
  struct setting_view view;
  char full[2 * LIMIT_NAME];
  if (!s) return NULL;
  snprintf(full, sizeof full, "%s%s", str_starts(name, "CONTAINER_") ? "" : "CONTAINER_", name);
  return settings_view(s, full, &view) ? view.text : NULL;
}

static struct tend_watch *host_watch_new(void *self, int fd, int events, tend_watch_fn *fn, void *arg) {
  return (struct tend_watch *)watch_new(((struct probe_env *)self)->loop, fd, events, fn, arg);
}
static void host_watch_set(struct tend_watch *w, int fd, int events) { watch_set((struct watch *)w, fd, events); }
static void host_watch_free(struct tend_watch *w) { watch_free((struct watch *)w); }

static struct tend_timer *host_timer_new(void *self, tend_fn *fn, void *arg) {
  return (struct tend_timer *)timer_new(((struct probe_env *)self)->loop, fn, arg);
}
static void host_timer_at(struct tend_timer *t, int64_t due_ns) { timer_at((struct timer *)t, due_ns); }
static void host_timer_free(struct tend_timer *t) { timer_free((struct timer *)t); }

static struct tend_resolve *host_resolve(void *self, const char *host, uint16_t port, int64_t deadline_ns,
                                         tend_resolve_fn *done, void *arg) {
  return (struct tend_resolve *)resolve_start(((struct probe_env *)self)->loop, host, port, deadline_ns, done, arg);
}
static void host_resolve_cancel(struct tend_resolve *r) { resolve_cancel((struct resolve *)r); }

void part_host_fill(struct tend_host *host, struct probe_env *env) {
  *host = (struct tend_host){
      .abi = TEND_ABI,
      .self = env,
      .now_ns = host_now,
      .defer = host_defer,
      .log = host_log,
      .setting = host_setting,
      .watch_new = host_watch_new,
      .watch_set = host_watch_set,
      .watch_free = host_watch_free,
      .timer_new = host_timer_new,
      .timer_at = host_timer_at,
      .timer_free = host_timer_free,
      .resolve = host_resolve,
      .resolve_cancel = host_resolve_cancel,
      .param_text = probe_param_text,
      .param_number = probe_param_number,
      .param_bool = probe_param_bool,
      .param_ns = probe_param_ns,
      .param_item = probe_param_item,
      .json_find = probe_json_find,
  };
}
