/* The engine's own numbers: what /metrics.json, `tend metrics` and the report show, and the tend_ families of the
 * registry. Pure: the supervisor fills a struct vitals whenever somebody asks.
 */
#ifndef TEND_CORE_VITALS_H
#define TEND_CORE_VITALS_H

#include "base/buf.h"
#include "base/json.h"
#include "core/metric.h"

/* Counted over the life of the engine (and its successors). */
struct lifecycle_counts {
  uint64_t startups, startups_ok, startups_failed;
  uint64_t shutdowns_graceful, shutdowns_forced;
  uint64_t restarts;
  uint64_t health_failures; /* failed health checks */
};

struct vitals_database {
  const char *name;
  double response_s; /* NAN: none yet */
  bool up;
};

struct vitals_directory {
  const char *name; /* what it is for: data, output, logs … */
  double used;      /* share of its file system, 0 to 1; NAN unknown */
  double inodes;    /* of its inodes */
};

/* NAN where there is no value. Shares are 0 to 1 of the container's limit, of the machine's where it has none. */
struct vitals {
  const char *health; /* healthy, degraded, unhealthy, unknown: the first two count as 1 */
  double memory_used, memory_bytes, memory_max_bytes, cpu_used;
  double cpu_throttled_s, tasks, oom_kills;
  double pressure[3]; /* cpu, memory, io: share of the last 10 s */
  const struct vitals_directory *directories;
  size_t n_directories;
  const struct vitals_database *databases; /* the first is the one of database_response_time_ms */
  size_t n_databases;
  double uptime_s;       /* since the present RUNNING began, 0 before */
  double total_uptime_s; /* RUNNING time of all passes together */
  const char *state;
  bool ready;
  const char *const *states; /* all state names, for tend_state{state}; NULL: left out */
  size_t n_states;
  struct lifecycle_counts counts;
  uint64_t log_dropped, journal_dropped;
  double script_s, script_bytes; /* CPU time and memory of the scripts; NAN: there are none */
  bool alerts;                   /* there is a webhook */
  uint64_t alerts_sent, alerts_dropped;
};

/* One object: the specification's eight keys, then the lifecycle counters; null where there is no value. */
void vitals_json(const struct vitals *v, struct json *j, const char *key);

/* Puts them into the registry (families are declared at the first call). -ENOMEM, -ENOSPC. */
int vitals_publish(const struct vitals *v, struct metrics *ms);

#endif
