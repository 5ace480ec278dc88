#include "supervisor/pools.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "loop/part.h"
#include "tend/postgres.h"

static const struct tend_postgres *postgres(void) {
  const struct tend_part *part = part_find("postgres");
  return part ? part->ops : NULL;
}

int pools_reset(const struct settings *settings, const char *database) {
  struct setting_database db;
  const struct tend_postgres *pg = postgres();
  for (size_t i = 0; settings_database(settings, i, &db); i++) {
    if (!STR_EQ(db.name, database)) continue;
    if (!pg) return -ENOTSUP;
    return db.connection ? pg->pool_reset(db.connection) : 0;
  }
  return -ENOENT;
}

enum { FAMILY_STATES, FAMILY_WAITING, FAMILY_SIZE, FAMILY_OLDEST, FAMILY_OPENED, FAMILY_DROPPED, FAMILIES };

static bool families(struct metrics *ms, struct metric *out[FAMILIES]) {
  static const char *const labels[] = {"database", "state"};
  static const struct metric_spec specs[FAMILIES] = {
      [FAMILY_STATES] = {METRIC_GAUGE, "tend_database_pool_connections", "Connections of the pool by state.", labels, 2,
                         .builtin = true},
      [FAMILY_WAITING] = {METRIC_GAUGE, "tend_database_pool_waiting", "Who waits for a connection of the pool.", labels,
                          1, .builtin = true},
      [FAMILY_SIZE] = {METRIC_GAUGE, "tend_database_pool_size", "Connections of the pool, at most.", labels, 1,
                       .builtin = true},
      [FAMILY_OLDEST] = {METRIC_GAUGE, "tend_database_pool_oldest_seconds", "Age of the pool's oldest connection.",
                         labels, 1, .builtin = true},
      [FAMILY_OPENED] = {METRIC_COUNTER, "tend_database_pool_opened_total", "Connections that the pool has made.",
                         labels, 1, .builtin = true},
      [FAMILY_DROPPED] = {METRIC_COUNTER, "tend_database_pool_dropped_total",
                          "Connections of the pool that were lost or could not be made.", labels, 1, .builtin = true},
  };
  for (int i = 0; i < FAMILIES; i++)
    if (!(out[i] = metrics_declare(ms, &specs[i], NULL))) return false;
  return true;
}

void pools_publish(const struct settings *settings, struct metrics *metrics) {
  const struct tend_postgres *pg = postgres();
  struct metric *m[FAMILIES];
  struct tend_pg_pool_stats st;
  struct setting_database db;
  if (!pg) return;
  for (size_t i = 0; settings_database(settings, i, &db); i++) {
    if (!db.connection || !pg->pool_stats(db.connection, &st) || !families(metrics, m)) continue;
    const char *name[] = {db.name, "idle"};
    metric_set(m[FAMILY_STATES], name, st.idle);
    name[1] = "used";
    metric_set(m[FAMILY_STATES], name, st.used);
    metric_set(m[FAMILY_WAITING], name, st.waiting);
    metric_set(m[FAMILY_SIZE], name, st.size);
    metric_set(m[FAMILY_OLDEST], name, (double)st.oldest_ns / (double)NS_PER_S);
    metric_raise(m[FAMILY_OPENED], name, (double)st.opened);
    metric_raise(m[FAMILY_DROPPED], name, (double)st.dropped);
  }
}
