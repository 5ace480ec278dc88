/* What a plan means to the validation and to the dependency checks; what it leaves open comes from the settings. */
#ifndef TEND_LOOP_FROM_PLAN_H
#define TEND_LOOP_FROM_PLAN_H

#include "core/plan.h"
#include "core/settings.h"
#include "loop/dependency.h"
#include "loop/validate.h"

/* The plan's directories, and the validation over them; results are in `problems` (added) and *out. dry: nothing is
 * made or written. Returns the number of errors in the whole list. */
size_t from_plan_validate(const struct plan *plan, const struct settings *settings, bool dry, struct problems *problems,
                          struct validate_result *out);

/* One spec for each dependency, in order; free() it. NULL: no memory. What it points to is the plan's. */
struct dependency_spec *from_plan_dependencies(const struct plan *plan, const struct settings *settings);

#endif
