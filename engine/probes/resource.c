/* Kind resource: at least so much is there, of the machine and within the container's limits; and at most so many
 * network connections. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "probes/look.h"
#include "probes/params.h"

enum { MAX = 1 << 30 };

static const struct tend_param params[] = {
    {"cpus", TEND_INTEGER, false, 1, 65536, "CPUs that tend may use"},
    {"memory_mb", TEND_INTEGER, false, 1, MAX, "memory that is available"},
    {"disk_mb", TEND_INTEGER, false, 1, MAX, "space that tend's user may still fill at path"},
    {"path", TEND_TEXT, false, 0, 0, "where disk_mb is looked at (default /)"},
    {"descriptors", TEND_INTEGER, false, 1, MAX, "files that a process may have open"},
    {"connections", TEND_INTEGER, false, 1, MAX, "TCP connections of the container's network at most"},
    {"connection_state", TEND_TEXT, false, 0, 0,
     "which of them count: established, opening, closing, close_wait, time_wait (default: all)"},
    {"hint", TEND_TEXT, false, 0, 0, "what to do where it is not there; ends the message"},
    {0},
};

static const struct {
  const char *key, *what;
  bool most; /* a bound from above */
} kinds[] = {{"cpus", "CPUs", false},
             {"memory_mb", "MB of memory", false},
             {"disk_mb", "MB of disk space", false},
             {"descriptors", "descriptors", false},
             {"connections", "connections", true}};

static const char *const states[] = {"established", "opening", "closing", "close_wait", "time_wait"};

static int check(const struct tend_host *host, const struct tend_params *ps, char *msg, size_t size) {
  (void)host;
  bool any = false;
  for (size_t i = 0; i < ARRAY_LEN(kinds); i++) any |= probe_param_number(ps, kinds[i].key, 0) > 0;
  if (!any) {
    snprintf(msg, size, "cpus: expected at least one of cpus, memory_mb, disk_mb, descriptors and connections");
    return -1;
  }
  const char *state = probe_param_text(ps, "connection_state");
  bool known = !state;
  for (size_t i = 0; i < ARRAY_LEN(states); i++) known |= state && STR_EQ(state, states[i]);
  if (!known || (state && probe_param_number(ps, "connections", 0) <= 0)) {
    snprintf(msg, size,
             known ? "connection_state: goes with connections only"
                   : "connection_state: expected established, opening, closing, close_wait or time_wait, got \"%.40s\"",
             state);
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

/* "480 established, 32 close_wait": what there is of them. */
static void list_states(struct buf *to, const cJSON *facts) {
  const char *separator = " (";
  for (size_t i = 0; i < ARRAY_LEN(states); i++) {
    double n = probe_look_number(facts, states[i]);
    if (n <= 0) continue;
    buf_fmt(to, "%s%.15g %s", separator, n, states[i]);
    separator = ", ";
  }
  if (*separator == ',') buf_str(to, ")");
}

static void judge(struct tend_probe *p, const struct tend_params *ps, const cJSON *facts) {
  auto_buf struct buf why = {0};
  struct tend_fact out[ARRAY_LEN(kinds)];
  size_t n = 0;
  const char *state = probe_param_text(ps, "connection_state");
  int error = (int)probe_look_number(facts, "errno"), unseen = (int)probe_look_number(facts, "connections_errno");
  if (error && probe_param_number(ps, "disk_mb", 0) > 0) {
    probe_end(p, TEND_FAIL, probe_look_reason(error), "%s: %s", path_of(ps), strerror(error));
    return;
  }
  if (unseen) {
    probe_end(p, TEND_UNKNOWN, "unsupported", "/proc/net: connections cannot be counted: %s", strerror(unseen));
    return;
  }
  for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
    const char *key = kinds[i].key;
    double wanted = probe_param_number(ps, key, 0),
           there = probe_look_number(facts, kinds[i].most && state ? state : key);
    if (wanted <= 0) continue;
    out[n++] = (struct tend_fact){.name = key, .number = there};
    if (kinds[i].most ? there <= wanted : there >= wanted) continue;
    buf_fmt(&why, "%s%.15g %s", why.len ? "; " : "", there, kinds[i].what);
    if (STR_EQ(key, "disk_mb")) buf_fmt(&why, " at %s", path_of(ps));
    if (kinds[i].most && state) buf_fmt(&why, " in state %s", state);
    if (kinds[i].most && !state) list_states(&why, facts);
    buf_fmt(&why, ", expected at %s %.0f", kinds[i].most ? "most" : "least", wanted);
  }
  if (why.len && probe_param_text(ps, "hint")) buf_fmt(&why, "; %s", probe_param_text(ps, "hint"));
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
  return probe_look_start(p, ps, "resources", path_of(ps),
                          probe_param_number(ps, "connections", 0) > 0 ? "--connections" : NULL, judge, msg, size);
}

const struct tend_probe_kind probe_kind_resource = {.name = "resource",
                                                    .doc = "At least so much is there, at most so many connections.",
                                                    .params = params,
                                                    .check = check,
                                                    .start = start,
                                                    .cancel = probe_look_cancel};
