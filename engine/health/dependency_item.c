#include "health/dependency_item.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "probes/judge.h"

#define ATTEMPT_MAX_NS (10 * NS_PER_S)
#define INTERVAL_MAX_NS (30 * NS_PER_S)
#define INTERVAL_MIN_NS (10 * NS_PER_MS)
#define GUARD_NS NS_PER_S
#define LAST_ATTEMPT_NS NS_PER_S

static void attempt(struct item *it);

void item_note(struct item *it, const struct probe_result *r) {
  it->status = r->status;
  str_copy(it->reason, sizeof it->reason, r->reason);
  str_copy(it->detail, sizeof it->detail, r->detail);
  it->checked_ns = clock_mono_ns();
  it->attempt_ns = r->duration_ns;
  if (r->data == it->data) return;
  cJSON_Delete(it->data);
  it->data = r->data ? cJSON_Duplicate(r->data, true) : NULL;
}

static void settle(struct item *it, enum dependency_state state) {
  it->state = state;
  it->settled_ns = clock_mono_ns();
  timer_stop(it->timer);
  it->settled(it);
}

/* When to ask again; the last attempt may come before its turn, so that the whole time is used. */
static int64_t next_attempt(struct item *it, int64_t now) {
  int64_t due = now + it->wait_ns;
  double longer = (double)it->wait_ns * it->backoff;
  it->wait_ns = longer < (double)it->max_interval_ns ? (int64_t)longer : it->max_interval_ns;
  if (due < it->deadline_ns) return due;
  int64_t left = it->deadline_ns - now;
  it->last = true;
  return it->deadline_ns - (left / 2 < LAST_ATTEMPT_NS ? left / 2 : LAST_ATTEMPT_NS);
}

static void on_result(void *arg, const struct probe_result *r) {
  struct item *it = arg;
  item_note(it, r);
  int64_t now = it->checked_ns;
  if (r->status == PROBE_OK || r->status == PROBE_WARN) {
    settle(it, DEPENDENCY_READY);
    return;
  }
  if (it->last || it->deadline_ns - now < INTERVAL_MIN_NS) {
    it->spent = true; /* the verdict comes when its time is over, not before */
    it->next_ns = it->deadline_ns;
    timer_at(it->timer, it->deadline_ns);
    return;
  }
  it->next_ns = next_attempt(it, now);
  timer_at(it->timer, it->next_ns);
  if (STR_EQ(it->told, it->reason)) return;
  memcpy(it->told, it->reason, sizeof it->told);
  it->waiting(it);
}

static void on_timer(void *arg) {
  struct item *it = arg;
  if (it->spent) {
    settle(it, DEPENDENCY_FAILED);
    return;
  }
  if (!ask_runs(&it->ask)) {
    attempt(it);
    return;
  }
  struct probe_result r;
  ask_cancel(&it->ask);
  probe_say(&r, PROBE_UNKNOWN, "timeout", "it did not end at its time limit");
  on_result(it, &r);
}

static void attempt(struct item *it) {
  int64_t now = clock_mono_ns(), left = it->deadline_ns - now;
  int64_t deadline = now + (left < it->attempt_timeout_ns ? left : it->attempt_timeout_ns);
  if (left <= 0 && it->attempts) { /* the loop was late */
    settle(it, DEPENDENCY_FAILED);
    return;
  }
  it->attempts++;
  it->next_ns = 0;
  char about[64];
  snprintf(about, sizeof about, "{\"attempt\": %u}", it->attempts);
  const struct ask_what what = {it->probes, it->policy, it->name, it->kind, it->params, it->fn};
  struct probe_result failed;
  timer_at(it->timer, deadline + GUARD_NS);
  if (ask_start(&it->ask, &what, about, deadline, on_result, it, &failed)) on_result(it, &failed);
}

void item_begin(struct item *it, int64_t now_ns, int64_t deadline_ns) {
  item_stop(it);
  it->state = DEPENDENCY_WAITING;
  it->attempts = 0;
  it->last = it->spent = false;
  it->told[0] = 0;
  it->started_ns = now_ns;
  it->deadline_ns = deadline_ns;
  it->wait_ns = it->interval_ns;
  timer_after(it->timer, 0);
}

void item_stop(struct item *it) {
  timer_stop(it->timer);
  ask_cancel(&it->ask);
  if (it->state == DEPENDENCY_WAITING) {
    it->state = DEPENDENCY_IDLE;
    it->settled_ns = clock_mono_ns();
  }
}

static int64_t or_default(int64_t value, int64_t fallback) { return value > 0 ? value : fallback; }

int item_init(struct item *it, const struct dependency_spec *spec, struct err *err) {
  if (spec->kind && !spec->fn && probe_check(spec->kind, spec->params, err))
    return err_wrap(err, "dependency %s", spec->name);
  if ((spec->fn || !spec->kind) && !it->policy)
    return err_set(err, -EINVAL, "dependency %s: it is a function, and there are no scripts", spec->name);
  it->required = spec->required;
  it->fn = spec->fn;
  it->status = PROBE_UNKNOWN;
  it->timeout_ns = or_default(spec->timeout_ns, 120 * NS_PER_S);
  it->attempt_timeout_ns = or_default(spec->attempt_timeout_ns, ATTEMPT_MAX_NS);
  if (it->attempt_timeout_ns > ATTEMPT_MAX_NS) it->attempt_timeout_ns = ATTEMPT_MAX_NS;
  it->interval_ns = or_default(spec->interval_ns, 2 * NS_PER_S);
  if (it->interval_ns < INTERVAL_MIN_NS) it->interval_ns = INTERVAL_MIN_NS;
  it->max_interval_ns = or_default(spec->max_interval_ns, INTERVAL_MAX_NS);
  if (it->max_interval_ns < it->interval_ns) it->max_interval_ns = it->interval_ns;
  it->backoff = spec->backoff > 1 ? spec->backoff : 1;
  it->timer = timer_new(it->probes->loop, on_timer, it);
  it->name = strdup(spec->name);
  if (spec->description) it->description = strdup(spec->description);
  if (spec->kind) it->kind = strdup(spec->kind);
  if (spec->params) it->params = cJSON_Duplicate(spec->params, true);
  if (it->timer && it->name && !spec->description == !it->description && !spec->kind == !it->kind &&
      !spec->params == !it->params)
    return 0;
  return err_set(err, -ENOMEM, "no memory for dependency %s", spec->name);
}

void item_free(struct item *it) {
  if (it->timer) item_stop(it);
  timer_free(it->timer);
  free(it->name);
  free(it->description);
  free(it->kind);
  cJSON_Delete(it->params);
  cJSON_Delete(it->data);
}
