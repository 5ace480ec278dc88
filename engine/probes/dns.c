/* Kind dns: does the name resolve? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "probes/kinds.h"
#include "probes/params.h"
#include "probes/resolve.h"

static const struct tend_param params[] = {
    {"host", TEND_TEXT, true, 0, 0, "the name to resolve"},
    {0},
};

struct run {
  struct tend_probe *probe;
  struct resolve *resolve;
};

static void on_resolved(void *arg, const struct tend_addresses *found) {
  struct run *r = arg;
  struct tend_probe *p = r->probe;
  free(r);
  if (!found->n) {
    probe_end(p, TEND_FAIL, found->reason, "%s", found->detail);
    return;
  }
  auto_buf struct buf list = {0};
  char text[64];
  for (size_t i = 0; i < found->n; i++)
    buf_fmt(&list, "%s%s", i ? ", " : "", resolve_format(&found->list[i], text, sizeof text));
  struct tend_fact fact = {.name = "addresses", .text = buf_cstr(&list)};
  probe_env_of(p)->host.probe_done(p, &(struct tend_result){.status = TEND_OK, .facts = &fact, .nfacts = 1});
}

static void *start(const struct tend_host *host, struct tend_probe *p, const struct tend_params *ps,
                   int64_t deadline_ns, char *msg, size_t size) {
  (void)host;
  struct run *r = calloc(1, sizeof *r);
  const char *name = probe_param_text(ps, "host");
  if (r) {
    r->probe = p;
    r->resolve = resolve_start(probe_env_of(p)->loop, name, 0, deadline_ns, on_resolved, r);
  }
  if (!r || !r->resolve) {
    free(r);
    snprintf(msg, size, "no memory");
    return NULL;
  }
  char doing[160];
  snprintf(doing, sizeof doing, "resolving \"%s\"", name);
  probe_env_of(p)->host.probe_progress(p, doing);
  return r;
}

static void cancel(void *run) {
  struct run *r = run;
  resolve_cancel(r->resolve);
  free(r);
}

const struct tend_probe_kind probe_kind_dns = {
    .name = "dns", .doc = "A name resolves.", .params = params, .start = start, .cancel = cancel};
