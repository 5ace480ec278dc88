/* Kind usage: not more than so much is in use, of the container's limits or, where it has none, of the machine. Control
 * groups are read here; file systems and descriptors by a child (`tend helper usage`), because a dead mount hangs.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "probes/look.h"
#include "probes/params.h"

enum { MAX = 1 << 30 };

static const struct tend_param params[] = {
    {"of", TEND_TEXT, true, 0, 0,
     "memory, cpu, tasks, cpu_pressure, memory_pressure, io_pressure, disk, inodes, descriptors (all percent), or "
     "oom_kills "
     "(since tend's start)"},
    {"warn", TEND_INTEGER, false, 1, MAX, "so much is a warning"},
    {"fail", TEND_INTEGER, false, 1, MAX, "so much is a failure"},
    {"path", TEND_TEXT, false, 0, 0, "of disk and inodes: the file system that it lies on (default /)"},
    {0},
};

/* What was found; used and most are NAN where only the share is known. */
struct found {
  double value; /* percent, or the count; NAN: not known here */
  double used, most;
  char what[160]; /* "memory: 300 of 512 MB" */
};

static void percent(struct found *f, double share, const char *what) {
  f->value = share * 100;
  snprintf(f->what, sizeof f->what, "%s", what);
}

static void memory(const struct meter *m, struct found *f) {
  const struct usage *u = &m->usage;
  double mb = 1024 * 1024;
  f->used = (double)u->memory_bytes / mb;
  f->most = (double)u->memory_max_bytes / mb;
  f->value = meter_memory(m) * 100;
  snprintf(f->what, sizeof f->what, "memory, %.0f of %.0f MB", f->used, f->most);
}

static void cpu(const struct meter *m, struct found *f) {
  f->most = m->usage.cpus;
  f->used = meter_cpu(m) * f->most;
  f->value = meter_cpu(m) * 100;
  snprintf(f->what, sizeof f->what, "CPU, %.2f of %.4g", f->used, f->most);
}

static void tasks(const struct meter *m, struct found *f) {
  f->used = (double)m->usage.tasks;
  f->most = (double)m->usage.tasks_max;
  f->value = meter_tasks(m) * 100;
  snprintf(f->what, sizeof f->what, "tasks, %.0f of %.0f", f->used, f->most);
}

static void cpu_pressure(const struct meter *m, struct found *f) {
  percent(f, m->usage.pressure[PRESSURE_CPU], "time with somebody waiting for CPU");
}
static void memory_pressure(const struct meter *m, struct found *f) {
  percent(f, m->usage.pressure[PRESSURE_MEMORY], "time with somebody waiting for memory");
}
static void io_pressure(const struct meter *m, struct found *f) {
  percent(f, m->usage.pressure[PRESSURE_IO], "time with somebody waiting for I/O");
}

static void oom_kills(const struct meter *m, struct found *f) {
  f->value = meter_oom_kills(m) < 0 ? NAN : (double)meter_oom_kills(m);
  snprintf(f->what, sizeof f->what, "processes killed for want of memory");
}

static const struct {
  const char *name;
  void (*get)(const struct meter *m, struct found *f); /* NULL: the helper's */
  bool count;
} kinds[] = {
    {"memory", memory, false},
    {"cpu", cpu, false},
    {"tasks", tasks, false},
    {"cpu_pressure", cpu_pressure, false},
    {"memory_pressure", memory_pressure, false},
    {"io_pressure", io_pressure, false},
    {"oom_kills", oom_kills, true},
    {"disk", NULL, false},
    {"inodes", NULL, false},
    {"descriptors", NULL, false},
};

static int find(const char *name) {
  for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
    if (STR_EQ(kinds[i].name, name)) return (int)i;
  return -1;
}

static int check(const struct tend_host *host, const struct tend_params *ps, char *msg, size_t size) {
  (void)host;
  const char *names[ARRAY_LEN(kinds)];
  for (size_t i = 0; i < ARRAY_LEN(kinds); i++) names[i] = kinds[i].name;
  const char *of = probe_param_text(ps, "of");
  int kind = find(of);
  if (kind < 0) {
    const char *near = str_nearest(of, names, ARRAY_LEN(names));
    snprintf(msg, size, "of: unknown \"%s\"; expected %s%s", of, near ? "perhaps " : "memory, cpu, disk …",
             near ? near : "");
    return -1;
  }
  double warn = probe_param_number(ps, "warn", 0), fail = probe_param_number(ps, "fail", 0);
  if (warn <= 0 && fail <= 0) {
    snprintf(msg, size, "fail: expected warn or fail, or both");
    return -1;
  }
  if (warn > 0 && fail > 0 && warn >= fail) {
    snprintf(msg, size, "warn: expected less than fail (%.0f), got %.0f", fail, warn);
    return -1;
  }
  if (!kinds[kind].count && (warn > 100 || fail > 100)) {
    snprintf(msg, size, "%s: expected percent, at most 100", fail > 100 ? "fail" : "warn");
    return -1;
  }
  const char *path = probe_param_text(ps, "path");
  bool disk = STR_EQ(of, "disk") || STR_EQ(of, "inodes");
  if (path && (!disk || path[0] == '-')) {
    snprintf(msg, size, disk ? "path: expected a path" : "path: goes with of = \"disk\" and \"inodes\" only");
    return -1;
  }
  return 0;
}

static void end(struct tend_probe *p, const struct tend_params *ps, const struct found *f) {
  const char *of = probe_param_text(ps, "of");
  if (isnan(f->value)) {
    probe_end(p, TEND_UNKNOWN, "unsupported", "%s: not known here", of);
    return;
  }
  double warn = probe_param_number(ps, "warn", 0), fail = probe_param_number(ps, "fail", 0);
  bool failed = fail > 0 && f->value >= fail, warned = warn > 0 && f->value >= warn;
  char detail[256] = "";
  if (failed || warned) {
    const char *unit = kinds[find(of)].count ? "" : " %";
    snprintf(detail, sizeof detail, "%.4g%s of %s, expected less than %.0f%s", f->value, unit, f->what,
             failed ? fail : warn, unit);
    if (kinds[find(of)].count) snprintf(detail, sizeof detail, "%.0f %s", f->value, f->what);
  }
  struct tend_fact facts[3] = {
      {.name = kinds[find(of)].count ? "count" : "percent", .number = round(f->value * 100) / 100}};
  size_t n = 1;
  if (!isnan(f->used)) facts[n++] = (struct tend_fact){.name = "used", .number = f->used};
  if (!isnan(f->most)) facts[n++] = (struct tend_fact){.name = "most", .number = f->most};
  probe_env_of(p)->host.probe_done(p, &(struct tend_result){.status = failed   ? TEND_FAIL
                                                                      : warned ? TEND_WARN
                                                                               : TEND_OK,
                                                            .reason = failed || warned ? "usage" : "",
                                                            .detail = detail,
                                                            .facts = facts,
                                                            .nfacts = n});
}

static const cJSON *member(const cJSON *object, const char *key) {
  return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *path_of(const struct tend_params *ps) {
  const char *path = probe_param_text(ps, "path");
  return path ? path : "/";
}

static void judge(struct tend_probe *p, const struct tend_params *ps, const cJSON *facts) {
  const char *of = probe_param_text(ps, "of");
  struct found f = {.value = NAN, .used = NAN, .most = NAN};
  const cJSON *disk = cJSON_GetArrayItem(member(facts, "disks"), 0), *files = member(facts, "descriptors");
  if (STR_EQ(of, "descriptors")) {
    f.used = probe_look_number(files, "used");
    f.most = probe_look_number(files, "most");
    if (files && f.most > 0) f.value = 100 * f.used / f.most;
    const char *name = cJSON_GetStringValue(member(files, "name"));
    snprintf(f.what, sizeof f.what, "descriptors, %.0f of %.0f of pid %.0f (%s)", f.used, f.most,
             probe_look_number(files, "pid"), name ? name : "?");
    end(p, ps, &f);
    return;
  }
  int error = (int)probe_look_number(disk, "errno");
  if (error) {
    probe_end(p, TEND_FAIL, probe_look_reason(error), "%s: %s", path_of(ps), strerror(error));
    return;
  }
  bool inodes = STR_EQ(of, "inodes");
  const cJSON *share = member(disk, inodes ? "inodes" : "used");
  if (cJSON_IsNumber(share)) f.value = 100 * share->valuedouble;
  if (!inodes) {
    f.most = probe_look_number(disk, "total_mb");
    f.used = f.most - probe_look_number(disk, "free_mb");
  }
  snprintf(f.what, sizeof f.what, "the %s of %.100s", inodes ? "inodes" : "space", path_of(ps));
  end(p, ps, &f);
}

static void *start(const struct tend_host *host, struct tend_probe *p, const struct tend_params *ps,
                   int64_t deadline_ns, char *msg, size_t size) {
  (void)host;
  (void)deadline_ns;
  const char *of = probe_param_text(ps, "of");
  int kind = find(of);
  if (!kinds[kind].get) {
    bool files = STR_EQ(of, "descriptors");
    return probe_look_start(p, ps, "usage", path_of(ps), files ? "--descriptors" : NULL, judge, msg, size);
  }
  struct meter *m = &probe_env_of(p)->meter;
  struct found f = {.value = NAN, .used = NAN, .most = NAN};
  meter_look(m, clock_mono_ns());
  kinds[kind].get(m, &f);
  end(p, ps, &f);
  return NULL; /* it has ended */
}

const struct tend_probe_kind probe_kind_usage = {.name = "usage",
                                                 .doc = "Not more than so much is in use.",
                                                 .params = params,
                                                 .check = check,
                                                 .start = start,
                                                 .cancel = probe_look_cancel};
