/* What is known of checks, for a next engine: of each a record with its life, whose runs are noted beside it in memory
 * that outlives this one (so that there is one ring of them, not three), and one with words where there are any. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/keep.h"
#include "health/health_impl.h"

enum { RUNS_BYTES = HISTORY_RUNS * sizeof(uint32_t), NAME_BYTES = 160 };

static void name_record(const struct item *it, const char *what, char to[NAME_BYTES]) {
  snprintf(to, NAME_BYTES, "%s %s %s %u %d", what, it->spec.name, it->spec.process ? it->spec.process : "",
           it->spec.instance, it->spec.dependency);
}

uint32_t *health_runs(struct item *it) {
  if (!it->runs) it->runs = calloc(1, RUNS_BYTES);
  return it->runs;
}

void health_runs_free(struct item *it) {
  if (!it->record) free(it->runs);
}

/* Most have none, and they change less often than the rest. With one copy: who is killed in the middle leaves a check
 * without words until it has run again. */
static void put_words(const struct item *it) {
  char name[NAME_BYTES];
  name_record(it, "words", name);
  size_t n = it->reason ? (size_t)(it->detail - it->reason) + strlen(it->detail) + 1 : 0; /* one block */
  keep_put_once(it->health->keep, name, it->reason, n);
}

void health_put(const struct item *it, bool words) {
  if (!it->record) return;
  if (words) put_words(it);
  keep_fill(it->record, &it->life, sizeof it->life);
}

static void take_over(struct item *it) {
  char name[NAME_BYTES];
  size_t n;
  name_record(it, "check", name);
  const struct item_life *life = keep_get_sized(it->health->keep, name, sizeof *life);
  if (!life) return;
  it->life = *life;
  const void *runs = keep_get_plain(it->health->keep, name, RUNS_BYTES);
  if (runs && health_runs(it)) {
    memcpy(it->runs, runs, RUNS_BYTES);
    history_resume(&it->life.history);
  } else {
    it->life.history = (struct history){0};
  }
  name_record(it, "words", name);
  const char *words = keep_get(it->health->keep, name, &n);
  if (words) health_note_words(it, words, words + strlen(words) + 1);
  check_resume(&it->life.check, clock_mono_ns());
  if (it->life.check.active) health_arm(it);
}

/* Its record, which is another one where a reload has given it another name. */
static void open_record(struct item *it) {
  char name[NAME_BYTES];
  name_record(it, "check", name);
  struct keep_record *r = keep_open(it->health->keep, name, sizeof it->life, RUNS_BYTES);
  if (r == it->record) return;
  uint32_t *runs = r ? keep_plain(r) : calloc(1, RUNS_BYTES);
  if (runs && it->runs) memcpy(runs, it->runs, RUNS_BYTES);
  health_runs_free(it);
  it->runs = runs;
  it->record = r;
  if (!runs) it->life.history = (struct history){0};
  health_put(it, true);
}

void health_keep(struct health *h, struct keep *keep) {
  h->keep = keep;
  for (size_t i = 0; keep && i < h->n; i++) {
    if (!h->items[i]->record) take_over(h->items[i]);
    open_record(h->items[i]);
  }
}
