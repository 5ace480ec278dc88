#include "health/dependency.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/keep.h"
#include "base/str.h"
#include "health/dependency_item.h"

enum mode { MODE_OFF, MODE_RUN, MODE_OVER /* the callback is due */ };

struct dependencies {
  struct sink *sink;
  struct keep *keep; /* NULL: nothing is kept */
  struct item *items;
  size_t n;
  enum mode mode;
  struct item *failed;
  int64_t started_ns;
  struct timer *deliver; /* the callback, from the loop */
  dependencies_done_fn *done;
  void *arg;
};

const char *dependency_state_name(enum dependency_state state) {
  static const char *const names[] = {"idle", "waiting", "ready", "failed"};
  return names[state];
}

static bool good(const struct item *it) { return it->status == PROBE_OK || it->status == PROBE_WARN; }

static int64_t item_duration(const struct item *it) {
  if (!it->started_ns) return 0;
  return (it->state == DEPENDENCY_WAITING ? clock_mono_ns() : it->settled_ns) - it->started_ns;
}

static const char *kind_name(const struct item *it) { return it->kind ? it->kind : "function"; }

static void tell(struct item *it, enum event_kind kind, enum level level, const char *what) {
  struct sink *sink = it->owner->sink;
  if (!sink) return;
  auto_buf struct buf details = {0}, message = {0};
  struct json j = JSON_INIT(&details);
  json_object(&j, NULL);
  json_str(&j, "name", it->name);
  json_str(&j, "kind", kind_name(it));
  json_bool(&j, "required", it->required);
  json_int(&j, "attempts", it->attempts);
  if (!good(it)) {
    json_str(&j, "reason", it->reason);
    json_str(&j, "detail", it->detail);
  }
  if (kind != EVENT_DEPENDENCY_READY) json_num(&j, "timeout_seconds", (double)it->timeout_ns / (double)NS_PER_S);
  if (good(it) && it->data) json_value(&j, "data", it->data);
  json_object_end(&j);
  buf_fmt(&message, "%s %s", it->name, what);
  if (!good(it)) buf_fmt(&message, ": %s", it->detail[0] ? it->detail : it->reason);
  sink_emit(sink, kind,
            &(struct sink_event){.level = level,
                                 .message = buf_cstr(&message),
                                 .details = buf_cstr(&details),
                                 .timed = kind != EVENT_DEPENDENCY_WAITING,
                                 .duration_ns = item_duration(it)});
}

static void deliver(void *arg) {
  struct dependencies *d = arg;
  struct dependency_outcome o = {.ok = !d->failed, .name = "", .reason = "", .detail = ""};
  d->mode = MODE_OFF;
  o.duration_ns = clock_mono_ns() - d->started_ns;
  if (d->failed) {
    o.name = d->failed->name;
    o.reason = d->failed->reason;
    o.detail = d->failed->detail;
  }
  for (size_t i = 0; i < d->n; i++) {
    o.ready += good(&d->items[i]);
    o.missing += !d->items[i].required && !good(&d->items[i]);
  }
  d->done(d->arg, &o);
}

static void over(struct dependencies *d) {
  d->mode = MODE_OVER;
  for (size_t i = 0; i < d->n; i++)
    if (d->items[i].state == DEPENDENCY_WAITING) item_stop(&d->items[i]);
  timer_after(d->deliver, 0);
}

/* True when nothing is left to wait for. */
static bool settled(const struct dependencies *d) {
  for (size_t i = 0; i < d->n; i++)
    if (d->items[i].state == DEPENDENCY_WAITING) return false;
  return true;
}

struct kept {
  enum dependency_state state;
  enum probe_status status;
  unsigned attempts;
  int64_t started_ns, settled_ns, checked_ns, attempt_ns;
  char reason[32], detail[256];
};

static void put(const struct item *it) {
  struct kept k = {.state = it->state == DEPENDENCY_WAITING ? DEPENDENCY_IDLE : it->state,
                   .status = it->status,
                   .attempts = it->attempts,
                   .started_ns = it->started_ns,
                   .settled_ns = it->settled_ns,
                   .checked_ns = it->checked_ns,
                   .attempt_ns = it->attempt_ns};
  char name[96];
  if (!it->owner->keep) return;
  str_copy(k.reason, sizeof k.reason, it->reason);
  str_copy(k.detail, sizeof k.detail, it->detail);
  snprintf(name, sizeof name, "dependency %s", it->name);
  keep_put(it->owner->keep, name, &k, sizeof k);
}

static void take_over(struct item *it) {
  char name[96];
  snprintf(name, sizeof name, "dependency %s", it->name);
  const struct kept *k = keep_get_sized(it->owner->keep, name, sizeof *k);
  if (!k) return;
  it->state = k->state;
  it->status = k->status;
  it->attempts = k->attempts;
  it->started_ns = k->started_ns;
  it->settled_ns = k->settled_ns;
  it->checked_ns = k->checked_ns;
  it->attempt_ns = k->attempt_ns;
  str_copy(it->reason, sizeof it->reason, k->reason);
  str_copy(it->detail, sizeof it->detail, k->detail);
}

void dependencies_keep(struct dependencies *d, struct keep *keep) {
  d->keep = keep;
  for (size_t i = 0; keep && i < d->n; i++) {
    take_over(&d->items[i]);
    put(&d->items[i]);
  }
}

static void on_settled(struct item *it) {
  struct dependencies *d = it->owner;
  put(it);
  if (it->state == DEPENDENCY_READY) {
    tell(it, EVENT_DEPENDENCY_READY, LEVEL_INFO, "is ready");
  } else {
    tell(it, EVENT_DEPENDENCY_FAILED, it->required ? LEVEL_ERROR : LEVEL_WARNING, "did not become ready");
    if (it->required) d->failed = it;
  }
  if (d->failed || settled(d)) over(d);
}

static void on_waiting(struct item *it) { tell(it, EVENT_DEPENDENCY_WAITING, LEVEL_INFO, "is not ready yet"); }

struct dependencies *dependencies_new(struct probe_env *probes, const struct policy *policy, struct sink *sink,
                                      const struct dependency_spec *specs, size_t n, struct err *err) {
  struct dependencies *d = calloc(1, sizeof *d);
  if (d) {
    d->sink = sink;
    d->items = calloc(n ? n : 1, sizeof *d->items);
    d->deliver = timer_new(probes->loop, deliver, d);
  }
  if (!d || !d->items || !d->deliver) {
    dependencies_free(d);
    err_set(err, -ENOMEM, "no memory for the dependencies");
    return NULL;
  }
  for (size_t i = 0; i < n; i++) {
    struct item *it = &d->items[d->n++];
    it->owner = d;
    it->probes = probes;
    it->policy = policy;
    it->settled = on_settled;
    it->waiting = on_waiting;
    if (item_init(it, &specs[i], err)) {
      dependencies_free(d);
      return NULL;
    }
  }
  return d;
}

void dependencies_free(struct dependencies *d) {
  if (!d) return;
  for (size_t i = 0; i < d->n; i++) item_free(&d->items[i]);
  free(d->items);
  timer_free(d->deliver);
  free(d);
}

void dependencies_stop(struct dependencies *d) {
  d->mode = MODE_OFF;
  timer_stop(d->deliver);
  for (size_t i = 0; i < d->n; i++) item_stop(&d->items[i]);
}

void dependencies_run(struct dependencies *d, bool only_bad, dependencies_done_fn *done, void *arg) {
  dependencies_stop(d);
  d->mode = MODE_RUN;
  d->failed = NULL;
  d->done = done;
  d->arg = arg;
  d->started_ns = clock_mono_ns();
  for (size_t i = 0; i < d->n; i++) {
    struct item *it = &d->items[i];
    if (only_bad && (good(it) || !it->required)) continue;
    item_begin(it, d->started_ns, d->started_ns + it->timeout_ns);
  }
  if (settled(d)) over(d);
}

bool dependencies_note(struct dependencies *d, const char *name, const struct probe_result *result) {
  for (size_t i = 0; i < d->n; i++) {
    struct item *it = &d->items[i];
    if (!STR_EQ(it->name, name)) continue;
    if (it->state == DEPENDENCY_WAITING) return true;
    item_note(it, result);
    it->state = good(it) ? DEPENDENCY_READY : DEPENDENCY_FAILED;
    put(it);
    return true;
  }
  return false;
}

void dependencies_adopt(struct dependencies *to, size_t i, struct dependencies *from, size_t j) {
  struct item *a = &to->items[i], *b = &from->items[j];
  a->state = b->state == DEPENDENCY_WAITING ? DEPENDENCY_IDLE : b->state;
  a->status = b->status;
  memcpy(a->reason, b->reason, sizeof a->reason);
  memcpy(a->detail, b->detail, sizeof a->detail);
  memcpy(a->told, b->told, sizeof a->told);
  a->data = b->data;
  b->data = NULL;
  a->attempts = b->attempts;
  a->started_ns = b->started_ns;
  a->settled_ns = b->settled_ns;
  a->checked_ns = b->checked_ns;
  a->attempt_ns = b->attempt_ns;
}

bool dependencies_run_on(const struct dependencies *d) { return d->mode != MODE_OFF; }

bool dependencies_bad(const struct dependencies *d) {
  for (size_t i = 0; i < d->n; i++)
    if (d->items[i].required && !good(&d->items[i])) return true;
  return false;
}

bool dependencies_at(const struct dependencies *d, size_t i, struct dependency_view *out) {
  if (i >= d->n) return false;
  const struct item *it = &d->items[i];
  *out = (struct dependency_view){.name = it->name,
                                  .description = it->description,
                                  .kind = kind_name(it),
                                  .required = it->required,
                                  .state = it->state,
                                  .status = it->status,
                                  .reason = it->reason,
                                  .detail = it->detail,
                                  .attempts = it->attempts,
                                  .duration_ns = item_duration(it),
                                  .attempt_ns = it->attempt_ns,
                                  .next_ns = it->state == DEPENDENCY_WAITING ? it->next_ns : 0,
                                  .deadline_ns = it->state == DEPENDENCY_WAITING ? it->deadline_ns : 0,
                                  .checked_ns = it->checked_ns,
                                  .data = it->data};
  return true;
}
