/* Parameters of a probe: the check against a kind's table, and reading them. */
#ifndef TEND_PROBES_PARAMS_H
#define TEND_PROBES_PARAMS_H

#include "base/err.h"
#include "base/json.h"
#include "tend/probe.h"

/* Names the key in its messages: `port: expected a whole number from 1 to 65535, got "x"`. params may be NULL. */
int probe_params_check(const struct tend_param *table, const cJSON *params, struct err *err);

const cJSON *probe_params_json(const struct tend_params *params);
const struct tend_params *probe_params_of(const cJSON *params);

const char *probe_param_text(const struct tend_params *params, const char *name);
double probe_param_number(const struct tend_params *params, const char *name, double fallback);
bool probe_param_bool(const struct tend_params *params, const char *name, bool fallback);
int64_t probe_param_ns(const struct tend_params *params, const char *name, int64_t fallback);
const char *probe_param_item(const struct tend_params *params, const char *name, size_t i, const char **key, char *buf,
                             size_t size);
/* As json_find of struct tend_host. */
int probe_json_find(const char *text, size_t n, const char *path, char *out, size_t size);

#endif
