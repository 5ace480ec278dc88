/* The inside of the checks, for health*.c alone. */
#ifndef TEND_HEALTH_HEALTH_IMPL_H
#define TEND_HEALTH_HEALTH_IMPL_H

#include "health/ask.h"
#include "health/health.h"

/* What is known of a check: this is what a next engine goes on with. */
struct item_life {
  struct check check;
  int64_t duration_ns, spent_ns;
  uint32_t results[CHECK_RESULTS]; /* at ten a second good for 13 years */
  struct history history;
};

/* As struct health_spec. Most checks of a flow are to be run alike. */
struct item_spec {
  const char *name, *description, *kind, *process;
  const cJSON *params;
  int fn;
  unsigned instance;
  bool dependency, required;
  const struct check_spec *check; /* one of the health's, without spread */
};

struct item {
  struct health *health;
  size_t index;
  struct item_spec spec;
  struct item_life life;
  uint32_t *runs;             /* of the history: beside the record, else on the heap; NULL: none yet */
  struct keep_record *record; /* of its life; NULL: it is not kept */
  struct timer *timer;        /* the next run; while it runs: the guard */
  struct ask ask;
  char *reason, *detail; /* of the last result, one block of memory; NULL: nothing to say */
};

/* A run by hand. */
struct extra {
  struct extra *next;
  struct item *item;
  struct ask ask;
  bool counts;
  struct timer *timer;        /* the guard; or gives `failed` from the loop */
  struct probe_result failed; /* it could not even be started */
  probe_done_fn *done;
  void *arg;
};

struct shared_spec {
  struct shared_spec *next;
  struct check_spec spec;
};

struct listener {
  health_news_fn *fn;
  void *arg;
};

struct health {
  struct loop *loop;
  struct probe_env *probes;
  const struct policy *policy;
  struct item **items; /* each where it is for good: timers and asks point to it */
  size_t n, cap;
  struct shared_spec *specs;
  struct listener *listeners;
  size_t n_listeners;
  struct extra *extras;
  double pace;
  int64_t pace_until_ns;
  struct keep *keep; /* NULL: nothing is kept */
};

/* Its timer, by when it is due. */
void health_arm(struct item *it);
/* The words of a result; true when they are others than before. */
bool health_note_words(struct item *it, const char *reason, const char *detail);

/* --- health_kept.c: over the life of an engine ---------------------------------------------------------------- */

/* What is known of it has changed; words: these as well. */
void health_put(const struct item *it, bool words);
/* Where its runs are noted, made at the first one; NULL: no memory. */
uint32_t *health_runs(struct item *it);
void health_runs_free(struct item *it);

#endif
