/* Kind process: a process is alive, found by its pid file or by its name. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "loop/probe_look.h"
#include "loop/probe_params.h"

static const struct tend_param params[] = {
    {"pid_file", TEND_TEXT, false, 0, 0, "the file with the process's number"},
    {"name", TEND_TEXT, false, 0, 0, "the process's name as ps -o comm shows it; with pid_file, what it must be"},
    {0},
};

static int check(const struct tend_host *host, const struct tend_params *ps, char *msg, size_t size) {
  (void)host;
  const char *file = probe_param_text(ps, "pid_file"), *name = probe_param_text(ps, "name");
  if (!file && !name) {
    snprintf(msg, size, "pid_file: expected pid_file, a path, or name, the name of a process");
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

static void *start(const struct tend_host *host, struct tend_probe *p, const struct tend_params *ps,
                   int64_t deadline_ns, char *msg, size_t size) {
  (void)host;
  (void)deadline_ns;
  const char *file = probe_param_text(ps, "pid_file");
  return probe_look_start(p, ps, "process", file ? file : probe_param_text(ps, "name"), NULL, judge, msg, size);
}

const struct tend_probe_kind probe_kind_process = {.name = "process",
                                                   .doc = "A process is alive.",
                                                   .params = params,
                                                   .check = check,
                                                   .start = start,
                                                   .cancel = probe_look_cancel};
