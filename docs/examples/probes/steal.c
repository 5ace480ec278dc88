/* An example of a probe in C: how much of the CPUs' time the hypervisor gave to somebody else.
 *
 *     cc -std=c11 -O2 -Wall -Wextra -fPIC -shared -I PREFIX/include -o steal.so steal.c
 *
 * Put steal.so into probes/ of a scripts directory. Then a flow may have
 *
 *     checks = { { name = "steal", kind = "steal", params = { max = 10, over = "2s" } } }
 *
 * and a script `probe.steal { max = 10 }`. The file's name, the part's name and the kind's name are the same.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tend/part.h"

/* One attempt. Nothing of it is static: many may run at once. */
struct run {
  const struct tend_host *host;
  struct tend_probe *probe;
  struct tend_timer *timer;
  double max;
  unsigned long long total, steal; /* at its start */
};

/* /proc is memory, so that this cannot block. 0, or -1 where there is none. */
static int measure(unsigned long long *total, unsigned long long *steal) {
  unsigned long long t[8] = {0};
  FILE *f = fopen("/proc/stat", "re");
  int n = f ? fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6],
                     &t[7])
            : 0;
  if (f) fclose(f);
  if (n != 8) return -1;
  *steal = t[7];
  *total = 0;
  for (int i = 0; i < 8; i++) *total += t[i];
  return 0;
}

/* Ends without a word: tend's deadline has come, or nobody wants to know any more. */
static void cancel(void *arg) {
  struct run *r = arg;
  r->host->timer_free(r->timer);
  free(r);
}

/* The last thing of an attempt: its result. What it points to is copied. */
static void done(struct run *r, const struct tend_result *result) {
  const struct tend_host *host = r->host;
  struct tend_probe *probe = r->probe;
  cancel(r);
  host->probe_done(probe, result);
}

static void on_time(void *arg) {
  struct run *r = arg;
  unsigned long long total, steal;
  if (measure(&total, &steal) || total <= r->total) {
    done(r, &(struct tend_result){.status = TEND_UNKNOWN, .reason = "unknown", .detail = "/proc/stat says nothing"});
    return;
  }
  double percent = 100.0 * (double)(steal - r->steal) / (double)(total - r->total);
  char detail[128];
  snprintf(detail, sizeof detail, "%.1f %% of the CPU time were taken away, at most %.0f %% are good", percent, r->max);
  const struct tend_fact facts[] = {{.name = "percent", .number = percent}};
  bool good = percent <= r->max;
  done(r, &(struct tend_result){.status = good ? TEND_OK : TEND_FAIL,
                                .reason = good ? "" : "usage",
                                .detail = good ? "" : detail,
                                .facts = facts,
                                .nfacts = 1});
}

/* Parameters have been checked against the table below. */
static void *start(const struct tend_host *host, struct tend_probe *p, const struct tend_params *params,
                   int64_t deadline_ns, char *msg, size_t size) {
  (void)deadline_ns; /* is kept by tend, which calls cancel then */
  struct run *r = calloc(1, sizeof *r);
  if (r) {
    r->host = host;
    r->probe = p;
    r->max = host->param_number(params, "max", 0);
    r->timer = host->timer_new(host->self, on_time, r);
  }
  if (!r || !r->timer || measure(&r->total, &r->steal)) {
    snprintf(msg, size, "there is no memory, or no /proc/stat");
    if (r) cancel(r);
    return NULL;
  }
  host->probe_progress(p, "measuring");
  host->timer_at(r->timer, host->now_ns(host->self) + host->param_ns(params, "over", 1000000000));
  return r;
}

static const struct tend_param params[] = {
    {"max", TEND_INTEGER, true, 0, 100, "percent of the CPU time that may be taken away"},
    {"over", TEND_DURATION, false, 0, 0, "how long it is measured; 1s when left out"},
    {NULL, TEND_ANY, false, 0, 0, NULL}};

static const struct tend_probe_kind kinds[] = {{.name = "steal",
                                                .doc = "CPU time that the hypervisor takes away",
                                                .params = params,
                                                .start = start,
                                                .cancel = cancel},
                                               {.name = NULL}};

const struct tend_part *tend_part(void) {
  static const struct tend_part part = {.abi = TEND_ABI, .name = "steal", .kinds = kinds};
  return &part;
}
