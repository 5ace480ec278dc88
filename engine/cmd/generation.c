#include "cmd/generation.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop/settings_source.h"

#include "cmd/by_hand.h"

struct made {
  struct generation g; /* first: what the supervisor has */
  struct load *load;
  struct load own; /* of all but the first */
  struct maker *maker;
};

struct maker {
  struct maker_options o;
  struct generations generations;
  struct made first;
  struct made *making;
  generation_made_fn *done;
  void *arg;
};

static void fill(struct made *m) {
  struct load *l = m->load;
  m->g.settings = l->settings;
  m->g.plan = l->plan;
  m->g.policy = l->vm ? &l->policy : NULL;
  m->g.problems = &l->problems;
  m->g.sources = l->vm ? vm_sources(l->vm) : NULL;
  m->g.missing = l->vm ? vm_missing(l->vm) : NULL;
  m->g.returned = &l->returned;
  m->g.kept_fd = -1;
  m->g.file = l->file;
  m->g.flows = buf_cstr(&l->flows);
  m->g.scripts = buf_cstr(&l->scripts);
}

static void made_free(struct generation *g) {
  struct made *m = (struct made *)g;
  if (m->g.returned && m->g.kept_fd >= 0) close(m->g.kept_fd);
  m->g.kept_fd = -1;
  if (m == &m->maker->first) {
    load_drop(m->load);
    return;
  }
  load_free(m->load);
  free(m);
}

/* --- making ------------------------------------------------------------------------------------------------------ */

/* In a turn of its own: whoever began it is not called from inside, and the loop sees to others in between. */
static void deliver(void *arg) {
  struct maker *k = arg;
  struct made *m = k->making;
  k->making = NULL;
  settings_keep_to(m->load->settings, NULL);
  fill(m);
  k->done(k->arg, &m->g, NULL);
}

static void fail(struct maker *k) {
  struct err err = ERR_INIT;
  err_set(&err, -ENOMEM, "out of memory");
  if (k->making) made_free(&k->making->g);
  k->making = NULL;
  k->done(k->arg, NULL, &err);
}

static void on_loaded(void *arg, const struct err *err) {
  struct maker *k = arg;
  if (err->code || loop_defer(k->o.host->loop, deliver, k)) fail(k);
}

static void load_flow_part(void *arg) {
  struct maker *k = arg;
  load_flow_aside(k->making->load, k->o.host, on_loaded, k);
}

static void begin(void *arg) {
  struct maker *k = arg;
  struct load *first = k->o.first, *l = k->making->load;
  const struct settings *in_force = l->settings;
  struct err err = ERR_INIT;
  bool must = l->must_have_file;
  int rc = 0;
  k->o.host->sched = first->sched;
  if (!first->sched) rc = load_sched(first, k->o.host, &err);
  if (!rc) rc = load_settings_again(l, k->o.options, in_force, &err);
  l->must_have_file = must;
  l->starts = true;
  l->by_hand = k->o.by_hand;
  if (!rc) by_hand_settings(l->by_hand, l->settings);
  if (rc || loop_defer(k->o.host->loop, load_flow_part, k)) fail(k);
}

static void make(void *self, const struct generation *in_force, generation_made_fn *done, void *arg) {
  struct maker *k = self;
  struct made *m = calloc(1, sizeof *m);
  k->done = done;
  k->arg = arg;
  k->making = m;
  if (m) {
    m->maker = k;
    m->load = &m->own;
    m->own.must_have_file = in_force->file[0] != 0;
    m->own.settings = in_force->settings; /* until it has its own */
  }
  if (!m || loop_defer(k->o.host->loop, begin, k)) {
    if (m) m->own.settings = NULL;
    fail(k);
  }
}

static struct generation *restore(void *self, const struct generation *in_force, const char *bytes, size_t n) {
  struct maker *k = self;
  struct made *m = calloc(1, sizeof *m);
  struct kept_policy kept = {.file = ""};
  struct err err = ERR_INIT;
  if (!m || kept_unpack(bytes, n, &kept)) {
    free(m);
    return NULL;
  }
  m->maker = k;
  m->load = &m->own;
  settings_source_given(&kept.settings);
  int rc = load_settings_again(&m->own, k->o.options, in_force->settings, &err);
  m->own.starts = true;
  m->own.kept = &kept;
  m->own.by_hand = k->o.by_hand;
  if (!rc) by_hand_settings(m->own.by_hand, m->own.settings);
  k->o.host->sched = k->o.first->sched;
  if (!rc) rc = load_flow(&m->own, k->o.host, &err);
  settings_source_given(NULL);
  m->own.kept = NULL;
  kept_policy_free(&kept);
  if (rc || problems_errors(&m->own.problems)) {
    made_free(&m->g);
    return NULL;
  }
  if (m->own.vm) vm_pause(m->own.vm, true);
  settings_keep_to(m->own.settings, NULL);
  fill(m);
  return &m->g;
}

static void abandon(void *self) {
  struct maker *k = self;
  loop_cancel(k->o.host->loop, begin, k);
  loop_cancel(k->o.host->loop, load_flow_part, k);
  loop_cancel(k->o.host->loop, deliver, k);
  if (!k->making) return;
  if (!k->making->load->options) k->making->load->settings = NULL; /* not begun: they are those in force */
  made_free(&k->making->g);
  k->making = NULL;
}

/* --- the swap ---------------------------------------------------------------------------------------------------- */

static void activate(void *self, struct generation *from, struct generation *to) {
  struct maker *k = self;
  struct load *a = ((struct made *)from)->load, *b = ((struct made *)to)->load;
  struct settings *in_force = a->settings, *other = b->settings;
  settings_exchange(in_force, other);
  a->settings = from->settings = other;
  b->settings = to->settings = in_force;
  if (a->vm) vm_use(a->vm, a->settings, NULL);
  if (b->vm) vm_use(b->vm, b->settings, NULL);
  if (b->vm) vm_state_move(a->vm, b->vm);
  if (a->vm) vm_pause(a->vm, true);
  if (b->vm) vm_pause(b->vm, false);
  k->o.activated(k->o.arg, b);
}

static bool busy(const struct generation *g) {
  const struct made *m = (const struct made *)g;
  return m->load->vm && vm_tasks(m->load->vm) > 0;
}

/* ----------------------------------------------------------------------------------------------------------------- */

struct maker *maker_new(const struct maker_options *options) {
  struct maker *k = calloc(1, sizeof *k);
  if (!k) return NULL;
  k->o = *options;
  k->generations = (struct generations){k, make, restore, abandon, activate, busy, made_free};
  k->first.maker = k;
  k->first.load = options->first;
  fill(&k->first);
  return k;
}

void maker_free(struct maker *k) {
  if (!k) return;
  abandon(k);
  free(k);
}

struct generation *maker_first(struct maker *k) {
  return &k->first.g;
}
const struct generations *maker_generations(const struct maker *k) { return &k->generations; }
