#include "health/health.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "probes/judge.h"
#include "health/health_impl.h"

#define SLOT_NS (16 * NS_PER_MS)
#define FAR_NS (500 * NS_PER_MS)
#define GUARD_NS NS_PER_S /* after its deadline a function that said nothing is given up */

struct health *health_new(struct loop *loop, struct probe_env *probes, const struct policy *policy, struct err *err) {
  struct health *h = calloc(1, sizeof *h);
  if (!h) {
    err_set(err, -ENOMEM, "no memory for the checks");
    return NULL;
  }
  *h = (struct health){.loop = loop, .probes = probes, .policy = policy};
  return h;
}

static void item_free(struct item *it) {
  ask_cancel(&it->ask);
  timer_free(it->timer);
  free(it->reason);
  health_runs_free(it);
  free(it);
}

static void extra_free(struct extra *x) {
  struct extra **p = &x->item->health->extras;
  while (*p != x) p = &(*p)->next;
  *p = x->next;
  ask_cancel(&x->ask);
  timer_free(x->timer);
  free(x);
}

void health_free(struct health *h) {
  if (!h) return;
  while (h->extras) {
    struct extra *x = h->extras;
    struct probe_result r;
    probe_done_fn *done = x->done;
    void *arg = x->arg;
    extra_free(x);
    probe_say(&r, PROBE_UNKNOWN, "cancelled", "the check is there no more");
    done(arg, &r);
  }
  for (size_t i = 0; i < h->n; i++) item_free(h->items[i]);
  for (struct shared_spec *p = h->specs, *next; p; p = next) {
    next = p->next;
    free(p);
  }
  free(h->items);
  free(h->listeners);
  free(h);
}

int health_listen(struct health *h, health_news_fn *fn, void *arg) {
  struct listener *p = realloc(h->listeners, (h->n_listeners + 1) * sizeof *p);
  if (!p) return -ENOMEM;
  h->listeners = p;
  p[h->n_listeners++] = (struct listener){fn, arg};
  return 0;
}

/* --- results ----------------------------------------------------------------------------------------------------- */

static void view(const struct item *it, struct health_view *out) {
  *out = (struct health_view){
      .index = it->index,
      .name = it->spec.name,
      .description = it->spec.description,
      .kind = it->spec.kind ? it->spec.kind : "function",
      .process = it->spec.process,
      .instance = it->spec.instance,
      .dependency = it->spec.dependency,
      .required = it->spec.required,
      .spec = it->spec.check,
      .check = &it->life.check,
      .reason = it->reason ? it->reason : "",
      .detail = it->reason ? it->detail : "",
      .duration_ns = it->life.duration_ns,
      .spent_ns = it->life.spent_ns,
  };
  for (unsigned i = 0; i < CHECK_RESULTS; i++) out->runs += out->results[i] = it->life.results[i];
}

static struct check_spec spec_of(const struct item *it) {
  struct check_spec spec = *it->spec.check;
  spec.spread = check_spread(it->spec.name);
  return spec;
}

/* Checks that are due far from now begin at the next multiple of SLOT_NS: many share a turn of the loop that way, which
 * halves what each costs, and none waits so long that it matters. */
void health_arm(struct item *it) {
  int64_t due = check_due_ns(&it->life.check);
  if (due != TIME_NEVER && due - clock_mono_ns() >= FAR_NS) due = (due + SLOT_NS - 1) / SLOT_NS * SLOT_NS;
  timer_at(it->timer, due);
}

/* Most results have no words, and a check that fails says the same again. */
bool health_note_words(struct item *it, const char *reason, const char *detail) {
  bool none = !*reason && !*detail;
  if (it->reason ? STR_EQ(it->reason, reason) && STR_EQ(it->detail, detail) : none) return false;
  free(it->reason);
  it->reason = NULL;
  size_t n = strlen(reason) + 1, m = strlen(detail) + 1;
  if (none || !(it->reason = malloc(n + m))) return true;
  memcpy(it->reason, reason, n);
  it->detail = memcpy(it->reason + n, detail, m);
  return true;
}

static void note(struct item *it, const struct probe_result *r, int64_t now) {
  struct item_life *l = &it->life;
  l->duration_ns = r->duration_ns;
  l->spent_ns += r->duration_ns;
  l->results[r->status]++;
  uint32_t *runs = health_runs(it);
  if (runs) history_add(&l->history, runs, now, r->duration_ns, r->status);
}

static void count(struct item *it, const struct probe_result *r) {
  struct health *h = it->health;
  int64_t now = clock_mono_ns();
  struct check_change change;
  struct health_view v;
  const struct check_spec spec = spec_of(it);
  bool words = health_note_words(it, r->reason, r->detail);
  note(it, r, now);
  check_end(&it->life.check, &spec, (enum check_result)r->status, now, &change);
  if (now < h->pace_until_ns) check_slow(&it->life.check, h->pace, now);
  health_arm(it);
  health_put(it, words);
  view(it, &v);
  for (size_t i = 0; i < h->n_listeners; i++)
    h->listeners[i].fn(h->listeners[i].arg, &(struct health_news){.check = &v, .change = &change, .result = r});
}

static void on_result(void *arg, const struct probe_result *r) { count(arg, r); }

/* --- runs -------------------------------------------------------------------------------------------------------- */

static struct ask_what what(const struct item *it) {
  return (struct ask_what){.probes = it->health->probes,
                           .policy = it->health->policy,
                           .name = it->spec.name,
                           .kind = it->spec.kind,
                           .params = it->spec.params,
                           .fn = it->spec.fn};
}

static void on_timer(void *arg) {
  struct item *it = arg;
  struct probe_result r;
  if (ask_runs(&it->ask)) {
    ask_cancel(&it->ask);
    probe_say(&r, PROBE_UNKNOWN, "timeout", "it did not end at its time limit");
    r.duration_ns = it->spec.check->timeout_ns;
    count(it, &r);
    return;
  }
  struct ask_what w = what(it);
  int64_t deadline = clock_mono_ns() + it->spec.check->timeout_ns;
  check_begin(&it->life.check);
  if (ask_start(&it->ask, &w, NULL, deadline, on_result, it, &r))
    count(it, &r);
  else
    timer_at(it->timer, deadline + GUARD_NS);
}

static bool same_spec(const struct check_spec *a, const struct check_spec *b) {
  return a->role == b->role && a->interval_ns == b->interval_ns && a->timeout_ns == b->timeout_ns &&
         a->initial_delay_ns == b->initial_delay_ns && a->fast_interval_ns == b->fast_interval_ns &&
         a->down_interval_ns == b->down_interval_ns && a->failures == b->failures && a->successes == b->successes &&
         a->window == b->window && a->unknowns == b->unknowns;
}

/* A thousand checks are mostly to be run as one of those before them. NULL: no memory. */
static const struct check_spec *share_spec(struct health *h, const struct check_spec *spec) {
  enum { LOOKED_AT = 8 };
  struct shared_spec *s = h->specs;
  for (int i = 0; s && i < LOOKED_AT; s = s->next, i++)
    if (same_spec(&s->spec, spec)) return &s->spec;
  if (!(s = malloc(sizeof *s))) return NULL;
  *s = (struct shared_spec){h->specs, *spec};
  h->specs = s;
  return &s->spec;
}

int health_add(struct health *h, const struct health_spec *spec, struct err *err) {
  if (h->n == h->cap) {
    size_t cap = h->cap ? h->cap * 2 : 16;
    struct item **p = realloc(h->items, cap * sizeof(struct item *));
    if (!p) return err_set(err, -ENOMEM, "no memory for check %s", spec->name);
    h->items = p;
    h->cap = cap;
  }
  struct item *it = calloc(1, sizeof *it);
  const struct check_spec *check = share_spec(h, &spec->check);
  if (it) it->timer = timer_new(h->loop, on_timer, it);
  if (!it || !it->timer || !check) {
    if (it) timer_free(it->timer);
    free(it);
    return err_set(err, -ENOMEM, "no memory for check %s", spec->name);
  }
  it->health = h;
  it->index = h->n;
  it->spec = (struct item_spec){.name = spec->name,
                                .description = spec->description,
                                .kind = spec->kind,
                                .process = spec->process,
                                .params = spec->params,
                                .fn = spec->fn,
                                .instance = spec->instance,
                                .dependency = spec->dependency,
                                .required = spec->required,
                                .check = check};
  it->life.duration_ns = -1;
  check_init(&it->life.check, clock_mono_ns());
  h->items[h->n] = it;
  return (int)h->n++;
}

void health_start(struct health *h, size_t i) {
  struct item *it = h->items[i];
  if (it->life.check.active) return;
  const struct check_spec spec = spec_of(it);
  check_start(&it->life.check, &spec, clock_mono_ns());
  health_arm(it);
  health_put(it, false);
}

void health_stop(struct health *h, size_t i) {
  struct item *it = h->items[i];
  ask_cancel(&it->ask);
  check_stop(&it->life.check);
  timer_stop(it->timer);
  health_put(it, false);
}

void health_reset(struct health *h, size_t i) {
  struct item *it = h->items[i];
  ask_cancel(&it->ask);
  const struct check_spec spec = spec_of(it);
  check_reset(&it->life.check, &spec, clock_mono_ns());
  health_arm(it);
  health_put(it, false);
}

void health_hurry(struct health *h, size_t i) {
  struct item *it = h->items[i];
  if (ask_runs(&it->ask)) return;
  int64_t now = clock_mono_ns(), soon = it->life.check.last_ns ? it->life.check.last_ns + NS_PER_S : now;
  check_hurry(&it->life.check, soon > now ? soon : now);
  health_arm(it);
}

int health_hold(struct health *h, const char *name, int64_t until_ns) {
  int rc = -ENOENT;
  int64_t now = clock_mono_ns();
  for (size_t i = 0; i < h->n; i++) {
    struct item *it = h->items[i];
    if (!STR_EQ(it->spec.name, name)) continue;
    rc = 0;
    check_hold(&it->life.check, until_ns, now);
    health_put(it, false);
    if (!ask_runs(&it->ask)) health_arm(it);
  }
  return rc;
}

void health_pace(struct health *h, double factor, int64_t until_ns) {
  h->pace = factor;
  h->pace_until_ns = until_ns;
}

void health_note(struct health *h, size_t i, const struct probe_result *result) { count(h->items[i], result); }

/* --- by hand ----------------------------------------------------------------------------------------------------- */

static void extra_done(void *arg, const struct probe_result *r) {
  struct extra *x = arg;
  probe_done_fn *done = x->done;
  void *done_arg = x->arg;
  if (x->counts) count(x->item, r);
  extra_free(x);
  done(done_arg, r);
}

static void on_extra_timer(void *arg) {
  struct extra *x = arg;
  if (ask_runs(&x->ask)) probe_say(&x->failed, PROBE_UNKNOWN, "timeout", "it did not end at its time limit");
  ask_cancel(&x->ask);
  struct probe_result r = x->failed;
  extra_done(x, &r);
}

int health_probe_now(struct health *h, const char *name, bool counts, probe_done_fn *done, void *arg, struct err *err) {
  int i = health_find(h, name);
  if (i < 0) return err_set(err, i, "there is no check \"%s\"", name);
  struct extra *x = calloc(1, sizeof *x);
  if (x) x->timer = timer_new(h->loop, on_extra_timer, x);
  if (!x || !x->timer) {
    free(x);
    return err_set(err, -ENOMEM, "no memory for a run of check %s", name);
  }
  x->item = h->items[i];
  x->counts = counts;
  x->done = done;
  x->arg = arg;
  x->next = h->extras;
  h->extras = x;
  struct ask_what w = what(x->item);
  int64_t deadline = clock_mono_ns() + x->item->spec.check->timeout_ns;
  bool failed = ask_start(&x->ask, &w, NULL, deadline, extra_done, x, &x->failed) != 0;
  timer_at(x->timer, failed ? 0 : deadline + GUARD_NS);
  return 0;
}

/* --- what is known ----------------------------------------------------------------------------------------------- */

size_t health_count(const struct health *h) { return h->n; }

int health_find(const struct health *h, const char *name) {
  for (size_t i = 0; i < h->n; i++)
    if (STR_EQ(h->items[i]->spec.name, name)) return (int)i;
  return -ENOENT;
}

bool health_at(const struct health *h, size_t i, struct health_view *out) {
  if (i >= h->n) return false;
  view(h->items[i], out);
  return true;
}

unsigned health_history(const struct health *h, size_t i, struct history_run *out, unsigned max) {
  const struct item *it = h->items[i];
  return it->runs ? history_list(&it->life.history, it->runs, out, max) : 0;
}

struct check_standing health_standing(const struct health_view *v) {
  return (struct check_standing){.name = v->name,
                                 .dependency = v->dependency,
                                 .required = v->required,
                                 .role = v->spec->role,
                                 .state = v->check->state,
                                 .alarm = v->check->alarm,
                                 .reason = v->reason,
                                 .detail = v->detail};
}
