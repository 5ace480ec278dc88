/* The engine's own numbers: what the container uses, how its databases answer, what was counted. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "supervisor/pools.h"
#include "supervisor/impl.h"

/* Asked more often than this, the file systems are not looked at again. */
#define DISKS_AGE_NS (10 * NS_PER_S)

void supervisor_watch_disks(struct supervisor *s, const struct validate_result *found) {
  if (s->disks || !(s->disks = disks_new(s->o.loop, s->o.children))) return;
  const struct {
    const char *name;
    enum setting_id setting;
    bool usable;
  } own[] = {{"logs", SET_LOG_DIR, found->log_dir},
             {"data", SET_DATA_DIR, found->data_dir},
             {"output", SET_OUTPUT_DIR, found->output_dir}};
  for (size_t i = 0; i < ARRAY_LEN(own); i++)
    if (own[i].usable) disks_add(s->disks, own[i].name, settings_str(s->o.settings, own[i].setting));
  for (size_t i = 0; i < s->o.plan->directories_n; i++) {
    const char *path = s->o.plan->directories[i].path, *slash = strrchr(path, '/');
    disks_add(s->disks, slash && slash[1] ? slash + 1 : path, path);
  }
}

void supervisor_measure(struct supervisor *s) {
  if (!s->settled || s->reporting) return; /* nothing competes with the first process, nor with the end */
  meter_look(&s->o.probes->meter, clock_mono_ns());
  if (s->disks) disks_look(s->disks, DISKS_AGE_NS);
}

static double response_seconds(const cJSON *data) {
  const cJSON *ms = data ? cJSON_GetObjectItemCaseSensitive(data, "response_ms") : NULL;
  return ms && cJSON_IsNumber(ms) ? ms->valuedouble / 1000 : NAN;
}

static void fill_databases(struct supervisor *s, struct vitals *v, struct vitals_room *room) {
  struct dependency_view d;
  v->databases = room->databases;
  for (size_t i = 0; s->dependencies && dependencies_at(s->dependencies, i, &d); i++)
    if (STR_EQ(d.kind, "postgres") && v->n_databases < ARRAY_LEN(room->databases))
      room->databases[v->n_databases++] =
          (struct vitals_database){d.name, response_seconds(d.data), d.state == DEPENDENCY_READY};
}

static void fill_directories(const struct supervisor *s, struct vitals *v, struct vitals_room *room) {
  const struct disk *disks;
  v->directories = room->directories;
  v->n_directories = s->disks ? disks_list(s->disks, &disks) : 0;
  for (size_t i = 0; i < v->n_directories; i++)
    room->directories[i] = (struct vitals_directory){disks[i].name, disks[i].used, disks[i].inodes};
}

static void fill_usage(const struct meter *m, struct vitals *v) {
  const struct usage *u = &m->usage;
  v->memory_used = meter_memory(m);
  v->memory_bytes = u->memory_bytes >= 0 ? (double)u->memory_bytes : NAN;
  v->memory_max_bytes = u->memory_max_bytes >= 0 ? (double)u->memory_max_bytes : NAN;
  v->cpu_used = meter_cpu(m);
  v->cpu_throttled_s = u->throttled_ns >= 0 ? (double)u->throttled_ns / (double)NS_PER_S : NAN;
  v->tasks = u->tasks >= 0 ? (double)u->tasks : NAN;
  v->oom_kills = meter_oom_kills(m) >= 0 ? (double)meter_oom_kills(m) : NAN;
  for (int i = 0; i < PRESSURES; i++) v->pressure[i] = u->pressure[i];
}

static void fill_script(const struct policy *policy, struct vitals *v) {
  int64_t cpu_ns, bytes;
  v->script_s = v->script_bytes = NAN;
  if (!policy || !policy->usage) return;
  policy->usage(policy->self, &cpu_ns, &bytes);
  v->script_s = (double)cpu_ns / (double)NS_PER_S;
  v->script_bytes = (double)bytes;
}

static void on_lag(void *metric, int64_t late_ns) { metric_observe(metric, NULL, (double)late_ns / (double)NS_PER_S); }

/* How late timers are says how long the engine was busy with something else. */
void supervisor_watch_lag(struct supervisor *s) {
  static const double buckets[] = {0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5};
  const struct metric_spec spec = {.type = METRIC_HISTOGRAM,
                                   .name = "tend_loop_lag_seconds",
                                   .help = "How late the engine's timers were.",
                                   .buckets = buckets,
                                   .n_buckets = ARRAY_LEN(buckets),
                                   .builtin = true};
  struct metric *m = metrics_declare(s->o.metrics, &spec, NULL);
  if (m) loop_on_lag(s->o.loop, on_lag, m);
}

static const char *const *state_names(size_t *n) {
  static const char *names[STATES];
  for (int i = 0; i < STATES; i++) names[i] = machine_state_name((enum machine_state)i);
  *n = STATES;
  return names;
}

static struct metric *family(struct supervisor *s, enum metric_type type, const char *name, const char *help) {
  static const char *const labels[] = {"process", "instance"};
  const struct metric_spec spec = {
      .type = type, .name = name, .help = help, .labels = labels, .n_labels = ARRAY_LEN(labels), .builtin = true};
  return metrics_declare(s->o.metrics, &spec, NULL);
}

static void publish_processes(struct supervisor *s) {
  struct metric *up = family(s, METRIC_GAUGE, "tend_process_up", "1 while the process runs, else 0.");
  struct metric *runs = family(s, METRIC_COUNTER, "tend_process_runs_total", "Runs that the process has begun.");
  struct metric *restarts =
      family(s, METRIC_COUNTER, "tend_process_restarts_total", "Restarts of the process by its policy.");
  if (!up || !runs || !restarts) return;
  int64_t now = clock_mono_ns();
  for (uint32_t i = 0; i < s->n_slots; i++) {
    struct instance_view v;
    char instance[16];
    machine_instance(s->machine, i, now, &v);
    snprintf(instance, sizeof instance, "%u", machine_slot_instance(s->machine, i));
    const char *const values[] = {supervisor_process(s, i)->name, instance};
    metric_set(up, values, s->slots[i].pid ? 1 : 0);
    metric_raise(runs, values, (double)v.runs);
    metric_raise(restarts, values, (double)v.restarts);
  }
}

static void publish_loop(struct supervisor *s) {
  static const struct metric_spec specs[] = {
      {METRIC_GAUGE, "tend_loop_timers", "Timers that the engine has.", .builtin = true},
      {METRIC_GAUGE, "tend_loop_watches", "Descriptors that the engine watches.", .builtin = true},
  };
  struct metric *timers = metrics_declare(s->o.metrics, &specs[0], NULL);
  struct metric *watches = metrics_declare(s->o.metrics, &specs[1], NULL);
  if (timers) metric_set(timers, NULL, loop_timers(s->o.loop));
  if (watches) metric_set(watches, NULL, loop_watches(s->o.loop));
}

void supervisor_vitals(struct supervisor *s, struct vitals *v, struct vitals_room *room) {
  int64_t now = clock_mono_ns();
  double running = s->running_since_ns ? (double)(now - s->running_since_ns) / (double)NS_PER_S : 0;
  struct machine_view m;
  machine_view(s->machine, &m);
  supervisor_measure(s);
  *v = (struct vitals){
      .health = supervisor_health(s),
      .uptime_s = running,
      .total_uptime_s = running + (double)s->running_total_ns / (double)NS_PER_S,
      .state = machine_state_name(m.state),
      .ready = supervisor_ready(s, &m),
      .counts = s->counts,
      .log_dropped = sink_dropped(s->o.sink),
      .journal_dropped = s->journal ? journal_dropped(s->journal) : 0,
      .alerts = s->alert != NULL,
      .alerts_sent = alert_sent(s->alert),
      .alerts_dropped = alert_dropped(s->alert),
  };
  v->states = state_names(&v->n_states);
  fill_usage(&s->o.probes->meter, v);
  fill_script(s->o.policy, v);
  fill_directories(s, v, room);
  fill_databases(s, v, room);
}

void supervisor_metrics_json(struct supervisor *s, struct buf *out) {
  struct vitals v;
  struct vitals_room room;
  supervisor_vitals(s, &v, &room);
  struct json j = JSON_INIT(out);
  vitals_json(&v, &j, NULL);
}

void supervisor_metrics_text(struct supervisor *s, enum metrics_format format, struct buf *out) {
  struct vitals v;
  struct vitals_room room;
  supervisor_vitals(s, &v, &room);
  vitals_publish(&v, s->o.metrics);
  publish_processes(s);
  publish_loop(s);
  supervisor_publish_checks(s);
  pools_publish(s->o.settings, s->o.metrics);
  const struct event_source *who = sink_who(s->o.sink);
  const struct metrics_label labels[] = {{"flow", who->flow}, {"container_id", who->container_id}};
  metrics_text(s->o.metrics, format, labels, ARRAY_LEN(labels), out);
}
