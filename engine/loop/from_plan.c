#include "loop/from_plan.h"

#include <stdlib.h>

#include "base/clean.h"

size_t from_plan_validate(const struct plan *plan, const struct settings *settings, bool dry, struct problems *problems,
                          struct validate_result *out) {
  auto_free struct validate_directory *dirs = calloc(plan->directories_n + 1, sizeof *dirs);
  for (size_t i = 0; dirs && i < plan->directories_n; i++)
    dirs[i] = (struct validate_directory){.name = plan->directories[i].path,
                                          .path = plan->directories[i].path,
                                          .source = plan->file,
                                          .named = true,
                                          .make = plan->directories[i].make};
  return validate_run(&(struct validate_input){.settings = settings,
                                               .cgroup_root = "",
                                               .directories = dirs,
                                               .directories_n = dirs ? plan->directories_n : 0,
                                               .dry = dry},
                      problems, out);
}

struct dependency_spec *from_plan_dependencies(const struct plan *plan, const struct settings *settings) {
  struct dependency_spec *specs = calloc(plan->dependencies_n + 1, sizeof *specs);
  for (size_t i = 0; specs && i < plan->dependencies_n; i++) {
    const struct plan_check *d = &plan->dependencies[i];
    specs[i] = (struct dependency_spec){
        .name = d->name,
        .description = d->description,
        .kind = d->kind,
        .params = d->params,
        .fn = d->fn,
        .required = d->required,
        .timeout_ns =
            d->timeout_ns != PLAN_UNSET ? d->timeout_ns : settings_ns(settings, SET_DEPENDENCY_TIMEOUT_SECONDS),
        .attempt_timeout_ns = d->attempt_timeout_ns != PLAN_UNSET ? d->attempt_timeout_ns : 0,
        .interval_ns =
            d->interval_ns != PLAN_UNSET ? d->interval_ns : settings_ns(settings, SET_DEPENDENCY_RETRY_SECONDS),
        .backoff = d->backoff,
        .max_interval_ns = d->max_interval_ns != PLAN_UNSET ? d->max_interval_ns : 0,
    };
  }
  return specs;
}
