/* Kind silence: a process of the plan has put out something not too long ago. init, which reads the output, knows. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/str.h"
#include "probes/kinds.h"
#include "probes/params.h"

enum { INSTANCES_MAX = 1 << 20 };

static const struct tend_param params[] = {
    {"process", TEND_TEXT, true, 0, 0, "a process of the plan"},
    {"instance", TEND_INTEGER, false, 0, INSTANCES_MAX, "one of its instances; else the one that spoke last counts"},
    {"after", TEND_DURATION, true, 0, 0, "silent for longer than that is a failure"},
    {0},
};

struct run {
  struct tend_probe *probe;
  const struct tend_params *params;
  struct children *children;
};

static void on_answer(void *arg, int64_t silent_ns) {
  struct run *r = arg;
  struct tend_probe *p = r->probe;
  const char *process = probe_param_text(r->params, "process");
  int64_t most_ns = probe_param_ns(r->params, "after", TIME_NEVER);
  char silent[32], most[32];
  free(r);
  if (silent_ns < 0) {
    probe_end(p, TEND_FAIL, "missing", "no process \"%s\" has been started", process);
    return;
  }
  bool failed = silent_ns > most_ns;
  char detail[256] = "";
  str_format_duration(silent_ns / NS_PER_MS * NS_PER_MS, silent, sizeof silent);
  str_format_duration(most_ns, most, sizeof most);
  if (failed)
    snprintf(detail, sizeof detail, "process %s has said nothing for %s, expected at most %s", process, silent, most);
  struct tend_fact facts[] = {{.name = "silent_s", .number = (double)(silent_ns / NS_PER_MS) / 1000}};
  probe_env_of(p)->host.probe_done(p, &(struct tend_result){.status = failed ? TEND_FAIL : TEND_OK,
                                                            .reason = failed ? "silent" : "",
                                                            .detail = detail,
                                                            .facts = facts,
                                                            .nfacts = 1});
}

static void *start(const struct tend_host *host, struct tend_probe *p, const struct tend_params *ps,
                   int64_t deadline_ns, char *msg, size_t size) {
  (void)host;
  (void)deadline_ns;
  struct children *children = probe_env_of(p)->children;
  if (!children) {
    probe_end(p, TEND_UNKNOWN, "exec", "there is no one to ask");
    return NULL;
  }
  struct run *r = calloc(1, sizeof *r);
  if (!r) {
    snprintf(msg, size, "no memory");
    return NULL;
  }
  *r = (struct run){.probe = p, .params = ps, .children = children};
  children_silent(children, probe_param_text(ps, "process"), (int)probe_param_number(ps, "instance", -1), on_answer, r);
  return r;
}

static void cancel(void *arg) {
  struct run *r = arg;
  children_ask_cancel(r->children, r);
  free(r);
}

const struct tend_probe_kind probe_kind_silence = {.name = "silence",
                                                   .doc = "A process of the plan has put out something lately.",
                                                   .params = params,
                                                   .start = start,
                                                   .cancel = cancel};
