/* Kind resource: at least so much is there, of the machine and within the container's limits. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "loop/probe_look.h"
#include "loop/probe_params.h"

enum { MAX = 1 << 30 };

static const struct tend_param params[] = {
    {"cpus", TEND_INTEGER, false, 1, 65536, "CPUs that tend may use"},
    {"memory_mb", TEND_INTEGER, false, 1, MAX, "memory that is available"},
    {"disk_mb", TEND_INTEGER, false, 1, MAX, "space that tend's user may still fill at path"},
    {"path", TEND_TEXT, false, 0, 0, "where disk_mb is looked at (default /)"},
    {"descriptors", TEND_INTEGER, false, 1, MAX, "files that a process may have open"},
    {0},
};

static const struct {
  const char *key, *what;
} kinds[] = {
    {"cpus", "CPUs"}, {"memory_mb", "MB of memory"}, {"disk_mb", "MB of disk space"}, {"descriptors", "descriptors"}};

static int check(const struct tend_host *host, const struct tend_params *ps, char *msg, size_t size) {
  (void)host;
  bool any = false;
  for (size_t i = 0; i < ARRAY_LEN(kinds); i++) any |= probe_param_number(ps, kinds[i].key, 0) > 0;
  if (!any) {
    snprintf(msg, size, "cpus: expected at least one of cpus, memory_mb, disk_mb and descriptors");
    return -1;
  }
  if (probe_param_text(ps, "path") && *probe_param_text(ps, "path") == '-') {
    snprintf(msg, size, "path: expected a path");
    return -1;
  }
  return 0;
}

static const char *path_of(const struct tend_params *ps) {
  const char *path = probe_param_text(ps, "path");
  return path ? path : "/";
}

static void judge(struct tend_probe *p, const struct tend_params *ps, const cJSON *facts) {
  auto_buf struct buf why = {0};
  struct tend_fact out[ARRAY_LEN(kinds)];
  size_t n = 0;
  int error = (int)probe_look_number(facts, "errno");
  if (error && probe_param_number(ps, "disk_mb", 0) > 0) {
    probe_end(p, TEND_FAIL, probe_look_reason(error), "%s: %s", path_of(ps), strerror(error));
    return;
  }
  for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
    double wanted = probe_param_number(ps, kinds[i].key, 0), there = probe_look_number(facts, kinds[i].key);
    if (wanted <= 0) continue;
    out[n++] = (struct tend_fact){.name = kinds[i].key, .number = there};
    if (there < wanted) {
      bool disk = STR_EQ(kinds[i].key, "disk_mb");
      buf_fmt(&why, "%s%.15g %s%s%s, expected at least %.0f", why.len ? "; " : "", there, kinds[i].what,
              disk ? " at " : "", disk ? path_of(ps) : "", wanted);
    }
  }
  probe_env_of(p)->host.probe_done(p, &(struct tend_result){.status = why.len ? TEND_FAIL : TEND_OK,
                                                            .reason = why.len ? "resource" : "",
                                                            .detail = buf_cstr(&why),
                                                            .facts = out,
                                                            .nfacts = n});
}

static void *start(const struct tend_host *host, struct tend_probe *p, const struct tend_params *ps,
                   int64_t deadline_ns, char *msg, size_t size) {
  (void)host;
  (void)deadline_ns;
  return probe_look_start(p, ps, "resources", path_of(ps), NULL, judge, msg, size);
}

const struct tend_probe_kind probe_kind_resource = {.name = "resource",
                                                    .doc = "At least so much is there.",
                                                    .params = params,
                                                    .check = check,
                                                    .start = start,
                                                    .cancel = probe_look_cancel};
