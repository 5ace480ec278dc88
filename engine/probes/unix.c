/* Kind unix: does something listen on a Unix socket? A child connects, for the socket may lie on a dead mount, and a
 * full queue of connections makes it wait.
 */
#include <string.h>

#include "base/str.h"
#include "probes/look.h"
#include "probes/params.h"

static const struct tend_param params[] = {
    {"path", TEND_TEXT, true, 0, 0, "the socket"},
    {0},
};

static void judge(struct tend_probe *p, const struct tend_params *ps, const cJSON *facts) {
  int error = (int)probe_look_number(facts, "errno");
  if (error)
    probe_end(p, TEND_FAIL, probe_look_reason(error), "cannot connect to the socket %s: %s",
              probe_param_text(ps, "path"), strerror(error));
  else
    probe_env_of(p)->host.probe_done(p, &(struct tend_result){.status = TEND_OK});
}

static void *start(const struct tend_host *host, struct tend_probe *p, const struct tend_params *ps,
                   int64_t deadline_ns, char *msg, size_t size) {
  (void)host;
  (void)deadline_ns;
  return probe_look_start(p, ps, "connect", probe_param_text(ps, "path"), NULL, judge, msg, size);
}

const struct tend_probe_kind probe_kind_unix = {.name = "unix",
                                                .doc = "Something listens on a Unix socket.",
                                                .params = params,
                                                .start = start,
                                                .cancel = probe_look_cancel};
