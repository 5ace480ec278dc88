/* The policy that is in force, as bytes: what a new engine loads in place of what is on disk by then. init holds them
 * in a sealed file in memory. They hold the texts of NAME_FILE settings, secrets too: memory, as the environment is. */
#ifndef TEND_CORE_KEPT_H
#define TEND_CORE_KEPT_H

#include <limits.h>

#include "base/json.h"
#include "core/sources.h"

struct kept_policy {
  char file[PATH_MAX]; /* the flow file, "" for none */
  char *flow;          /* as it returned it; NULL: not known */
  struct sources scripts, settings;
};
void kept_policy_free(struct kept_policy *k);

/* flow: what the flow file returned, functions as {"$fn": number}; it, scripts and settings may be NULL. */
void kept_pack(const char *file, const cJSON *flow, const struct sources *scripts, const struct sources *settings,
               struct buf *out);
/* -EINVAL: they are none of such; -ENOMEM. */
int kept_unpack(const char *bytes, size_t n, struct kept_policy *out);

/* The flow without anything that a script decides, and without checks: processes, resources, directories. */
void kept_strip(cJSON *flow);

#endif
