/* What the registry holds; for metric.c and metric_text.c only. */
#ifndef TEND_CORE_METRIC_STORE_H
#define TEND_CORE_METRIC_STORE_H

#include "core/metric.h"

struct series {
  uint32_t hash;    /* of the values */
  char **values;    /* one a label of the family */
  double value;     /* histogram: the sum */
  uint64_t *counts; /* histogram: each bucket's own, not added up; above the last bound: only in observations */
  uint64_t observations;
};

struct metric {
  struct metrics *registry;
  enum metric_type type;
  char *name, *help;
  char **labels;
  size_t n_labels;
  double *buckets;
  size_t n_buckets;
  struct series *series;
  size_t n, cap;
  size_t last; /* the series that was asked for last */
};

struct metrics {
  struct metric **families;
  size_t n, cap;
  uint64_t refused;
};

#endif
