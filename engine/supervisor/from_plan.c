#include "supervisor/from_plan.h"

#include <stdlib.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/str.h"

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

static int64_t or_setting(int64_t value, const struct settings *s, enum setting_id id) {
  return value == PLAN_UNSET ? settings_ns(s, id) : value;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t or_zero(int64_t ns) { return ns == PLAN_UNSET ? 0 : ns; }

static struct health_spec what(const struct plan_check *c) {
  return (struct health_spec){
      .name = c->name, .description = c->description, .kind = c->kind, .params = c->params, .fn = c->fn};
}

static unsigned or_most(int value, const struct settings *s) {
  return (unsigned)(value == PLAN_UNSET ? settings_int(s, SET_MAX_HEALTH_CHECK_FAILURES) : value);
}

struct health_spec from_plan_check(const struct plan *plan, const struct plan_check *c, const struct settings *s) {
  struct health_spec spec = what(c);
  if (c->process != PLAN_UNSET) spec.process = plan->processes[c->process].name;
  int64_t interval = or_setting(c->interval_ns, s, SET_HEALTH_CHECK_INTERVAL_SECONDS);
  spec.check = (struct check_spec){
      .role = (enum check_role)c->role,
      .interval_ns = interval,
      .timeout_ns = least(or_setting(c->timeout_ns, s, SET_HEALTH_CHECK_TIMEOUT_SECONDS), interval),
      .initial_delay_ns = c->initial_delay_ns,
      .fast_interval_ns = or_zero(c->fast_interval_ns),
      .down_interval_ns = or_zero(c->down_interval_ns),
      .failures = or_most(c->failures, s),
      .successes = (unsigned)c->successes,
      .window = (unsigned)c->window,
      .unknowns = or_most(c->unknowns, s),
  };
  if (spec.check.window && spec.check.window < spec.check.failures) spec.check.window = spec.check.failures;
  return spec;
}

struct health_spec from_plan_late(const struct plan_check *d, const struct settings *s) {
  struct health_spec spec = what(d);
  spec.dependency = true;
  spec.required = d->required;
  int64_t interval = settings_ns(s, SET_HEALTH_CHECK_INTERVAL_SECONDS);
  int64_t timeout = least(or_setting(d->attempt_timeout_ns, s, SET_HEALTH_CHECK_TIMEOUT_SECONDS), interval);
  spec.check = (struct check_spec){
      .role = d->required ? CHECK_READINESS : CHECK_MONITOR,
      .interval_ns = interval,
      .timeout_ns = timeout,
      .down_interval_ns = least(or_setting(d->interval_ns, s, SET_DEPENDENCY_RETRY_SECONDS), interval),
      .failures = 1, /* as at the start: one that does not answer is not ready */
      .successes = 1,
      .unknowns = or_most(PLAN_UNSET, s),
  };
  return spec;
}

/* Asked until it passes or the start timeout is over. */
struct health_spec from_plan_startup(const struct plan_process *p, unsigned instance, const struct settings *s) {
  const struct plan_check *c = p->startup;
  struct health_spec spec = what(c);
  spec.process = p->name;
  spec.instance = instance;
  spec.check = (struct check_spec){
      .role = CHECK_STARTUP,
      .interval_ns = c->interval_ns == PLAN_UNSET ? NS_PER_S : c->interval_ns,
      .timeout_ns = or_setting(c->timeout_ns, s, SET_HEALTH_CHECK_TIMEOUT_SECONDS),
      .initial_delay_ns = c->initial_delay_ns,
      .failures = c->failures == PLAN_UNSET ? UINT32_MAX : (unsigned)c->failures,
      .successes = (unsigned)c->successes,
      .unknowns = or_most(c->unknowns, s),
  };
  return spec;
}

bool from_plan_same(const struct plan_check *check, const struct plan_check *dependency) {
  if (STR_EQ(check->name, dependency->name)) return true;
  return check->kind && dependency->kind && STR_EQ(check->kind, dependency->kind) &&
         cJSON_Compare(check->params, dependency->params, true);
}
