#include "base/usage.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/str.h"

int usage_open(struct usage_source *s, const char *root) {
  *s = (struct usage_source){.root = strdup(root)};
  if (!s->root) return -ENOMEM;
  cgroup_find(root, &s->groups);
  return 0;
}

void usage_close(struct usage_source *s) {
  free(s->root);
  cgroup_groups_free(&s->groups);
  *s = (struct usage_source){0};
}

static bool proc_text(const struct usage_source *s, const char *file, struct buf *text) {
  char path[PATH_MAX];
  int n = snprintf(path, sizeof path, "%s/proc/%s", s->root, file);
  return n > 0 && (size_t)n < sizeof path && cgroup_text(path, text) == 0;
}

/* "MemTotal:  1234 kB" in bytes; -1: none. */
static int64_t meminfo(const char *text, const char *key) {
  const char *p = strstr(text, key);
  return p ? strtoll(p + strlen(key), NULL, 10) * 1024 : -1;
}

static void read_memory(const struct usage_source *s, const struct cgroup *limits, struct usage *u) {
  const struct cgroup_groups *g = &s->groups;
  int64_t idle = 0;
  auto_buf struct buf text = {0};
  bool known = proc_text(s, "meminfo", &text);
  int64_t total = known ? meminfo(text.data, "MemTotal:") : -1;
  int64_t available = known ? meminfo(text.data, "MemAvailable:") : -1;
  u->memory_bytes = limits->memory_used_bytes;
  if (u->memory_bytes >= 0) {
    if (limits->version == 2)
      cgroup_value(g, CGROUP_V2, "memory.stat", "inactive_file", &idle);
    else
      cgroup_value(g, CGROUP_MEMORY, "memory.stat", "total_inactive_file", &idle);
    u->memory_bytes = idle < u->memory_bytes ? u->memory_bytes - idle : 0;
  } else if (total >= 0 && available >= 0) {
    u->memory_bytes = total - available;
  }
  u->memory_limited = limits->memory_limit_bytes >= 0 && (total < 0 || limits->memory_limit_bytes < total);
  u->memory_max_bytes = u->memory_limited ? limits->memory_limit_bytes : total;
}

/* The machine's: user, nice, system, irq, softirq, steal of all CPUs, in ticks. */
static int64_t machine_cpu_ns(const struct usage_source *s) {
  auto_buf struct buf text = {0};
  long long v[8] = {0};
  if (!proc_text(s, "stat", &text) || !str_starts(text.data, "cpu ")) return -1;
  size_t n = 0;
  for (char *p = text.data + strlen("cpu "), *end; n < ARRAY_LEN(v); n++, p = end) {
    v[n] = strtoll(p, &end, 10);
    if (end == p) break;
  }
  long hertz = sysconf(_SC_CLK_TCK);
  if (n < 4 || hertz <= 0) return -1;
  return (int64_t)(v[0] + v[1] + v[2] + v[5] + v[6] + v[7]) * (NS_PER_S / hertz);
}

static void read_cpu(const struct usage_source *s, const struct cgroup *limits, struct usage *u) {
  const struct cgroup_groups *g = &s->groups;
  int64_t v;
  cpu_set_t set;
  double own = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (double)sysconf(_SC_NPROCESSORS_ONLN);
  double quota = limits->cpu_limit_percent / 100;
  u->cpu_limited = quota > 0 && quota < own;
  u->cpus = u->cpu_limited ? quota : own;
  /* with both versions mounted, the group of version 2 may be the whole machine: it counts even without the controller
   */
  if (cgroup_number(g, CGROUP_CPUACCT, "cpuacct.usage", &v, NULL))
    u->cpu_ns = v;
  else if (cgroup_value(g, CGROUP_V2, "cpu.stat", "usage_usec", &v))
    u->cpu_ns = v * 1000;
  else
    u->cpu_ns = machine_cpu_ns(s);
  if (cgroup_value(g, CGROUP_V2, "cpu.stat", "throttled_usec", &v))
    u->throttled_ns = v * 1000;
  else if (cgroup_value(g, CGROUP_CPU, "cpu.stat", "throttled_time", &v))
    u->throttled_ns = v;
}

static void read_tasks(const struct cgroup_groups *g, struct usage *u) {
  int64_t v;
  static const enum cgroup_hierarchy places[] = {CGROUP_V2, CGROUP_PIDS};
  for (size_t i = 0; i < ARRAY_LEN(places) && u->tasks < 0; i++) {
    if (cgroup_number(g, places[i], "pids.current", &v, NULL)) u->tasks = v;
    if (cgroup_number(g, places[i], "pids.max", &v, NULL)) u->tasks_max = v;
  }
}

static void read_kills(const struct cgroup_groups *g, struct usage *u) {
  int64_t v;
  if (cgroup_value(g, CGROUP_V2, "memory.events", "oom_kill", &v) ||
      cgroup_value(g, CGROUP_MEMORY, "memory.oom_control", "oom_kill", &v))
    u->oom_kills = v;
  u->oom_group = cgroup_number(g, CGROUP_V2, "memory.oom.group", &v, NULL) && v == 1;
}

/* "some avg10=1.25 avg60=…"; the group's own, else the machine's. */
static double pressure(const struct usage_source *s, const char *what) {
  auto_buf struct buf text = {0};
  char path[PATH_MAX];
  bool found = false;
  if (s->groups.dir[CGROUP_V2]) {
    int n = snprintf(path, sizeof path, "%s/%s.pressure", s->groups.dir[CGROUP_V2], what);
    found = n > 0 && (size_t)n < sizeof path && cgroup_text(path, &text) == 0;
  }
  if (!found) {
    snprintf(path, sizeof path, "pressure/%s", what);
    if (!proc_text(s, path, &text)) return NAN;
  }
  static const char key[] = "some avg10=";
  if (!str_starts(text.data, key)) return NAN;
  char *begin = text.data + strlen(key), *end;
  double percent = strtod(begin, &end);
  return end == begin ? NAN : percent / 100;
}

void usage_read(const struct usage_source *s, struct usage *out) {
  *out = (struct usage){.memory_bytes = -1,
                        .memory_max_bytes = -1,
                        .cpu_ns = -1,
                        .throttled_ns = -1,
                        .oom_kills = -1,
                        .tasks = -1,
                        .tasks_max = -1};
  struct cgroup limits;
  cgroup_limits(&s->groups, &limits);
  read_memory(s, &limits, out);
  read_cpu(s, &limits, out);
  read_tasks(&s->groups, out);
  read_kills(&s->groups, out);
  static const char *const names[PRESSURES] = {"cpu", "memory", "io"};
  for (int i = 0; i < PRESSURES; i++) out->pressure[i] = pressure(s, names[i]);
}
