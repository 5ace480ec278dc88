#include "core/vitals.h"

#include <errno.h>
#include <math.h>

#include "base/str.h"
#include "tend/version.h"

static bool good(const struct vitals *v) {
  return v->health && (STR_EQ(v->health, "healthy") || STR_EQ(v->health, "degraded"));
}

static double fullest(const struct vitals *v) {
  double most = NAN;
  for (size_t i = 0; i < v->n_directories; i++)
    if (isnan(most) || v->directories[i].used > most) most = v->directories[i].used;
  return most;
}

static double rounded(double v, double steps) { return round(v * steps) / steps; }

/* The pairs of /metrics.json in their order. */
enum { VITALS_PAIRS = 14 };
struct pair {
  const char *name;
  double value; /* NAN: null */
};

static void fill_pairs(const struct vitals *v, struct pair pairs[VITALS_PAIRS]) {
  const struct lifecycle_counts *c = &v->counts;
  bool known = v->health && !STR_EQ(v->health, "unknown");
  const struct pair all[VITALS_PAIRS] = {
      {"container_health_status", known ? (good(v) ? 1 : 0) : NAN},
      {"database_response_time_ms", v->n_databases ? rounded(v->databases[0].response_s * 1000, 1000) : NAN},
      {"memory_usage_percent", rounded(v->memory_used * 100, 100)},
      {"cpu_usage_percent", rounded(v->cpu_used * 100, 100)},
      {"disk_usage_percent", rounded(fullest(v) * 100, 100)},
      {"health_check_failures", (double)c->health_failures},
      {"restart_count", (double)c->restarts},
      {"uptime_seconds", rounded(v->uptime_s, 1000)},
      {"startup_count", (double)c->startups},
      {"successful_startups", (double)c->startups_ok},
      {"failed_startups", (double)c->startups_failed},
      {"graceful_shutdowns", (double)c->shutdowns_graceful},
      {"forced_shutdowns", (double)c->shutdowns_forced},
      {"total_uptime_seconds", rounded(v->total_uptime_s, 1000)},
  };
  for (size_t i = 0; i < VITALS_PAIRS; i++) pairs[i] = all[i];
}

void vitals_json(const struct vitals *v, struct json *j, const char *key) {
  struct pair pairs[VITALS_PAIRS];
  fill_pairs(v, pairs);
  json_object(j, key);
  for (size_t i = 0; i < VITALS_PAIRS; i++) json_num(j, pairs[i].name, pairs[i].value);
  json_object_end(j);
}

/* --- the registry ----------------------------------------------------------------------------------------------- */

struct publish {
  struct metrics *ms;
  int rc;
};

static struct metric *family(struct publish *p, enum metric_type type, const char *name, const char *label,
                             const char *help) {
  const struct metric_spec spec = {
      .type = type, .name = name, .help = help, .labels = &label, .n_labels = label ? 1 : 0, .builtin = true};
  struct err err = ERR_INIT;
  struct metric *m = metrics_declare(p->ms, &spec, &err);
  if (!m && !p->rc) p->rc = err.code;
  return m;
}

static void gauge(struct publish *p, struct metric *m, const char *label, double v) {
  int rc = m ? metric_set(m, &label, v) : 0;
  if (rc && !p->rc) p->rc = rc;
}

static void counter(struct publish *p, struct metric *m, const char *label, double v) {
  int rc = m ? metric_raise(m, &label, v) : 0;
  if (rc && !p->rc) p->rc = rc;
}

static void one_gauge(struct publish *p, const char *name, const char *help, double v) {
  gauge(p, family(p, METRIC_GAUGE, name, NULL, help), NULL, v);
}

static void one_counter(struct publish *p, const char *name, const char *help, double v) {
  counter(p, family(p, METRIC_COUNTER, name, NULL, help), NULL, v);
}

static void publish_counts(struct publish *p, const struct vitals *v) {
  const struct lifecycle_counts *c = &v->counts;
  one_counter(p, "tend_health_check_failures_total", "Failed health checks.", (double)c->health_failures);
  one_counter(p, "tend_restarts_total", "Restarts by the restart policy.", (double)c->restarts);
  struct metric *m = family(p, METRIC_COUNTER, "tend_startups_total", "result", "Passes through STARTING by result.");
  counter(p, m, "completed", (double)c->startups_ok);
  counter(p, m, "failed", (double)c->startups_failed);
  m = family(p, METRIC_COUNTER, "tend_shutdowns_total", "kind", "Shutdowns by how they ended.");
  counter(p, m, "graceful", (double)c->shutdowns_graceful);
  counter(p, m, "forced", (double)c->shutdowns_forced);
  one_counter(p, "tend_running_seconds_total", "Time in state RUNNING, all passes together.", v->total_uptime_s);
  if (!isnan(v->cpu_throttled_s))
    one_counter(p, "tend_cpu_throttled_seconds_total", "Time that tasks waited because of the CPU limit.",
                v->cpu_throttled_s);
  if (!isnan(v->oom_kills))
    one_counter(p, "tend_oom_kills_total", "Processes of the container killed for want of memory.", v->oom_kills);
  if (!isnan(v->script_s)) {
    one_counter(p, "tend_script_cpu_seconds_total", "CPU time of the scripts in tend.", v->script_s);
    one_gauge(p, "tend_script_memory_bytes", "Memory of the scripts in tend.", v->script_bytes);
  }
  if (v->alerts) {
    m = family(p, METRIC_COUNTER, "tend_alerts_total", "result", "Events for the webhook, by what became of them.");
    counter(p, m, "sent", (double)v->alerts_sent);
    counter(p, m, "dropped", (double)v->alerts_dropped);
  }
  one_counter(p, "tend_log_lines_dropped_total", "Log lines lost because their reader was slow.",
              (double)v->log_dropped);
  one_counter(p, "tend_journal_lines_dropped_total", "Lines that events.jsonl has lost.", (double)v->journal_dropped);
  one_counter(p, "tend_metric_updates_refused_total", "Updates of metrics refused for want of room.",
              (double)metrics_refused(p->ms));
}

int vitals_publish(const struct vitals *v, struct metrics *ms) {
  struct publish p = {ms, 0};
  gauge(&p, family(&p, METRIC_GAUGE, "tend_build_info", "version", "The version that runs."), TEND_VERSION, 1);
  one_gauge(&p, "tend_healthy", "1 when healthy or degraded, else 0.", good(v) ? 1 : 0);
  one_gauge(&p, "tend_ready", "1 when ready, else 0.", v->ready ? 1 : 0);
  struct metric *m = family(&p, METRIC_GAUGE, "tend_state", "state", "1 for the present state, 0 for the others.");
  for (size_t i = 0; i < v->n_states; i++)
    gauge(&p, m, v->states[i], v->state && STR_EQ(v->state, v->states[i]) ? 1 : 0);
  m = family(&p, METRIC_GAUGE, "tend_database_response_seconds", "database", "Duration of the last health query.");
  for (size_t i = 0; i < v->n_databases; i++) gauge(&p, m, v->databases[i].name, v->databases[i].response_s);
  m = family(&p, METRIC_GAUGE, "tend_database_up", "database", "1 when the last health query succeeded, else 0.");
  for (size_t i = 0; i < v->n_databases; i++) gauge(&p, m, v->databases[i].name, v->databases[i].up ? 1 : 0);
  one_gauge(&p, "tend_memory_usage_ratio", "Memory in use, as a share of the limit.", v->memory_used);
  one_gauge(&p, "tend_memory_usage_bytes", "Memory in use.", v->memory_bytes);
  one_gauge(&p, "tend_memory_limit_bytes", "Memory that may be used: the container's limit, else the machine's.",
            v->memory_max_bytes);
  one_gauge(&p, "tend_cpu_usage_ratio", "Processor time in use, as a share of the limit.", v->cpu_used);
  m = family(&p, METRIC_GAUGE, "tend_disk_usage_ratio", "directory", "Share in use of the directory's file system.");
  for (size_t i = 0; i < v->n_directories; i++) gauge(&p, m, v->directories[i].name, v->directories[i].used);
  m = family(&p, METRIC_GAUGE, "tend_disk_inodes_usage_ratio", "directory",
             "Share in use of the inodes of the directory's file system.");
  for (size_t i = 0; i < v->n_directories; i++) gauge(&p, m, v->directories[i].name, v->directories[i].inodes);
  m = family(&p, METRIC_GAUGE, "tend_pressure_ratio", "resource", "Share of 10 s in which a task waited for it.");
  static const char *const resources[] = {"cpu", "memory", "io"};
  for (size_t i = 0; i < ARRAY_LEN(resources); i++) gauge(&p, m, resources[i], v->pressure[i]);
  one_gauge(&p, "tend_tasks", "Processes and threads of the container.", v->tasks);
  one_gauge(&p, "tend_uptime_seconds", "Time since the present RUNNING began, 0 before.", v->uptime_s);
  publish_counts(&p, v);
  return p.rc;
}
