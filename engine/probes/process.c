/* Kind process: a process of the plan is up, or any other is alive, found by its pid file or by its name. Of the plan's
 * own the engine knows; for others a child looks at /proc.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "probes/look.h"
#include "probes/params.h"

enum { INSTANCES_MAX = 1 << 20 };

static const struct tend_param params[] = {
    {"process", TEND_TEXT, false, 0, 0, "a process of the plan"},
    {"min_uptime", TEND_DURATION, false, 0, 0, "for so long it has been up at least"},
    {"instances", TEND_INTEGER, false, 1, INSTANCES_MAX,
     "so many of it are up at least (default: as many as are to be)"},
    {"pid_file", TEND_TEXT, false, 0, 0, "the file with the process's number"},
    {"name", TEND_TEXT, false, 0, 0, "the process's name as ps -o comm shows it; with pid_file, what it must be"},
    {0},
};

static int check(const struct tend_host *host, const struct tend_params *ps, char *msg, size_t size) {
  (void)host;
  const char *file = probe_param_text(ps, "pid_file"), *name = probe_param_text(ps, "name");
  const char *process = probe_param_text(ps, "process");
  if (process && (file || name)) {
    snprintf(msg, size, "process: expected either process, one of the plan, or pid_file and name");
    return -1;
  }
  if (!process && (probe_param_number(ps, "instances", 0) > 0 || probe_param_ns(ps, "min_uptime", -1) >= 0)) {
    snprintf(msg, size, "process: required together with instances and min_uptime");
    return -1;
  }
  if (!file && !name && !process) {
    snprintf(msg, size, "process: expected process, one of the plan, pid_file, a path, or name, the name of a process");
    return -1;
  }
  if (file && !strchr(file, '/')) {
    snprintf(msg, size, "pid_file: expected a path with a \"/\", got \"%.100s\"", file);
    return -1;
  }
  if (name && (strchr(name, '/') || *name == '-')) {
    snprintf(msg, size, "name: expected the name of a process without its path, got \"%.100s\"", name);
    return -1;
  }
  return 0;
}

static void judge(struct tend_probe *p, const struct tend_params *ps, const cJSON *facts) {
  const char *file = probe_param_text(ps, "pid_file"), *name = probe_param_text(ps, "name");
  const char *found = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(facts, "name"));
  int error = (int)probe_look_number(facts, "errno"), pid = (int)probe_look_number(facts, "pid");
  if (error)
    probe_end(p, TEND_FAIL, probe_look_reason(error), "the pid file %s: %s", file ? file : "", strerror(error));
  else if (!pid && file)
    probe_end(p, TEND_FAIL, "content", "the pid file %s holds no process's number", file);
  else if (!found && file)
    probe_end(p, TEND_FAIL, "missing", "there is no process %d, which the pid file %s names", pid, file);
  else if (!found)
    probe_end(p, TEND_FAIL, "missing", "there is no process \"%s\"", name);
  else if (name && !STR_EQ(found, name))
    probe_end(p, TEND_FAIL, "missing", "process %d of the pid file %s is \"%s\", expected \"%s\"", pid, file, found,
              name);
  else
    probe_env_of(p)->host.probe_done(
        p, &(struct tend_result){.status = TEND_OK,
                                 .facts = (struct tend_fact[]){{.name = "pid", .number = pid}, {"name", found, 0}},
                                 .nfacts = 2});
}

/* Of the plan's own; ends the attempt. */
static void judge_own(struct tend_probe *p, const struct tend_params *ps, const char *name) {
  struct probe_env *env = probe_env_of(p);
  struct probe_process v;
  char up[32], wanted[32];
  if (!env->process) {
    probe_end(p, TEND_UNKNOWN, "unavailable", "process %s: there is no engine here to ask", name);
    return;
  }
  if (env->process(env->process_arg, name, &v)) {
    probe_end(p, TEND_UNKNOWN, "unknown", "the plan has no process \"%s\"", name);
    return;
  }
  unsigned least = (unsigned)probe_param_number(ps, "instances", v.instances ? v.instances : 1);
  int64_t up_ns = v.running ? clock_mono_ns() - v.since_ns : 0, min_ns = probe_param_ns(ps, "min_uptime", 0);
  struct tend_fact facts[] = {{.name = "running", .number = v.running},
                              {.name = "instances", .number = v.instances},
                              {.name = "pid", .number = v.pid},
                              {.name = "uptime_s", .number = (double)(up_ns / NS_PER_MS) / 1000}};
  char detail[256] = "";
  const char *reason = "";
  if (v.running < least) {
    reason = "missing";
    if (least == 1)
      snprintf(detail, sizeof detail, "process %s is not up: it is %s", name, v.state);
    else
      snprintf(detail, sizeof detail, "process %s: %u of %u are up; one is %s", name, v.running, least, v.state);
  } else if (up_ns < min_ns) {
    reason = "young";
    str_format_duration(up_ns / NS_PER_MS * NS_PER_MS, up, sizeof up);
    str_format_duration(min_ns, wanted, sizeof wanted);
    snprintf(detail, sizeof detail, "process %s has been up for %s, expected at least %s", name, up, wanted);
  }
  env->host.probe_done(p, &(struct tend_result){.status = *reason ? TEND_FAIL : TEND_OK,
                                                .reason = reason,
                                                .detail = detail,
                                                .facts = facts,
                                                .nfacts = ARRAY_LEN(facts)});
}

static void *start(const struct tend_host *host, struct tend_probe *p, const struct tend_params *ps,
                   int64_t deadline_ns, char *msg, size_t size) {
  (void)host;
  (void)deadline_ns;
  const char *file = probe_param_text(ps, "pid_file"), *own = probe_param_text(ps, "process");
  if (own) {
    judge_own(p, ps, own);
    return NULL;
  }
  return probe_look_start(p, ps, "process", file ? file : probe_param_text(ps, "name"), NULL, judge, msg, size);
}

const struct tend_probe_kind probe_kind_process = {.name = "process",
                                                   .doc = "A process is up.",
                                                   .params = params,
                                                   .check = check,
                                                   .start = start,
                                                   .cancel = probe_look_cancel};
