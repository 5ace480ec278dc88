/* What a plan means to the validation and to the dependency checks; what it leaves open comes from the settings. */
#ifndef TEND_SUPERVISOR_FROM_PLAN_H
#define TEND_SUPERVISOR_FROM_PLAN_H

#include "core/plan.h"
#include "core/settings.h"
#include "health/dependency.h"
#include "health/health.h"
#include "supervisor/validate.h"

/* The plan's directories, and the validation over them; results are in `problems` (added) and *out. dry: nothing is
 * made or written. Returns the number of errors in the whole list. */
size_t from_plan_validate(const struct plan *plan, const struct settings *settings, bool dry, struct problems *problems,
                          struct validate_result *out);

/* One spec for each dependency, in order; free() it. NULL: no memory. What it points to is the plan's. */
struct dependency_spec *from_plan_dependencies(const struct plan *plan, const struct settings *settings);

/* A check; a dependency that goes on being asked while the container runs; the start-up check of one instance. */
struct health_spec from_plan_check(const struct plan *plan, const struct plan_check *c, const struct settings *s);
struct health_spec from_plan_late(const struct plan_check *d, const struct settings *s);
struct health_spec from_plan_startup(const struct plan_process *p, unsigned instance, const struct settings *s);
/* The check looks at the same thing as the dependency: it has its name, or its kind and parameters. */
bool from_plan_same(const struct plan_check *check, const struct plan_check *dependency);

#endif
