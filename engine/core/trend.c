#include "core/trend.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"

#define APART_NS (5 * NS_PER_S)

void trend_add(struct trend *t, int64_t now_ns, int64_t now_real_ns, const struct vitals *v) {
  if (t->n && now_ns - t->last_ns < APART_NS - NS_PER_S / 2) return;
  if (!t->samples) t->samples = calloc(TREND_SAMPLES, sizeof *t->samples);
  if (!t->samples) return;
  float disk = NAN;
  for (size_t i = 0; i < v->n_directories; i++)
    if (isnan(disk) || (float)v->directories[i].used > disk) disk = (float)v->directories[i].used;
  t->samples[t->next] = (struct trend_sample){
      .at_real_ns = now_real_ns,
      .memory = (float)v->memory_used,
      .cpu = (float)v->cpu_used,
      .disk = disk,
      .response_s = v->n_databases ? (float)v->databases[0].response_s : NAN,
  };
  t->last_ns = now_ns;
  t->next = (t->next + 1) % TREND_SAMPLES;
  if (t->n < TREND_SAMPLES) t->n++;
}

void trend_free(struct trend *t) { free(t->samples); }

static double digits(float v, double steps) { return round((double)v * steps) / steps; }

void trend_json(const struct trend *t, struct json *j, const char *key) {
  json_array(j, key);
  for (unsigned i = 0; i < t->n; i++) {
    const struct trend_sample *s = &t->samples[(t->next + TREND_SAMPLES - t->n + i) % TREND_SAMPLES];
    json_array(j, NULL);
    json_num(j, NULL, (double)(s->at_real_ns / NS_PER_MS) / 1000);
    json_num(j, NULL, digits(s->memory, 10000));
    json_num(j, NULL, digits(s->cpu, 10000));
    json_num(j, NULL, digits(s->disk, 10000));
    json_num(j, NULL, digits(s->response_s, 1e6) * 1000);
    json_array_end(j);
  }
  json_array_end(j);
}
