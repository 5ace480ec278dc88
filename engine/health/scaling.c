#include "health/scaling.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "core/scale.h"

/* One process that is scaled. */
struct scaled {
  struct scaling *all;
  const struct plan_process *process;
  unsigned index;
  struct scale_rule rule;
  struct scale state;
  struct timer *timer;
  int64_t due_ns; /* of the timer */
  uint64_t task;
  unsigned failures; /* of the function, in a row */
};

struct scaling {
  struct scaling_env env;
  struct metric *instances;
  bool active;
  size_t n;
  struct scaled item[];
};

static void wait(struct scaled *x) {
  x->due_ns = clock_mono_ns() + x->process->scale->interval_ns;
  timer_at(x->timer, x->due_ns);
}

static unsigned count_of(const struct scaled *x) { return x->all->env.count(x->all->env.arg, x->index); }

static void measure_instances(const struct scaled *x, unsigned count) {
  if (x->all->instances) metric_set(x->all->instances, (const char *[]){x->process->name}, count);
}

static void change(struct scaled *x, unsigned from, unsigned to, double wanted) {
  auto_buf struct buf details = {0};
  struct json j = JSON_INIT(&details);
  json_object(&j, NULL);
  json_str(&j, "process", x->process->name);
  json_int(&j, "from", from);
  json_int(&j, "to", to);
  if (isfinite(wanted)) json_num(&j, "wanted", wanted);
  json_int(&j, "min", x->rule.min);
  json_int(&j, "max", x->rule.max);
  json_object_end(&j);
  sink_emit(x->all->env.sink, EVENT_PROCESS_SCALED,
            &(struct sink_event){.level = LEVEL_INFO, .details = buf_cstr(&details)});
  x->all->env.set(x->all->env.arg, x->index, to);
  measure_instances(x, to);
}

static void fail(struct scaled *x, const char *why) {
  if (x->failures++ == 0)
    sink_say(x->all->env.sink, EVENT_SCRIPT_ERROR, LEVEL_WARNING, "scale of %s: %s; the number of instances stays",
             x->process->name, why);
}

/* A number: so many; nothing: as it is; nil or false and a reason: it could not be measured. */
static void on_measured(void *arg, enum policy_status status, const cJSON *result, const struct err *err) {
  struct scaled *x = arg;
  x->task = 0;
  if (x->all->active) wait(x);
  const cJSON *first = result ? result->child : NULL;
  if (status != POLICY_OK) {
    fail(x, err->msg);
  } else if (first && cJSON_IsNumber(first)) {
    x->failures = 0;
    unsigned count = count_of(x);
    unsigned next = count ? scale_decide(&x->rule, &x->state, count, first->valuedouble, clock_mono_ns()) : 0;
    if (next != count && x->all->active) change(x, count, next, first->valuedouble);
  } else if (first && !(cJSON_IsNull(first) && !first->next)) {
    const cJSON *why = first->next;
    if (cJSON_IsObject(why)) why = cJSON_GetObjectItem(why, "message");
    fail(x, cJSON_IsString(why) ? why->valuestring : "it gave no number");
  } else {
    x->failures = 0;
  }
}

static void measure(void *arg) {
  struct scaled *x = arg;
  const struct scaling_env *env = &x->all->env;
  const struct plan_scale *scale = x->process->scale;
  unsigned count = count_of(x);
  if (!count) { /* left alone */
    wait(x);
    return;
  }
  measure_instances(x, count);
  auto_buf struct buf about = {0};
  struct json j = JSON_INIT(&about);
  json_object(&j, NULL);
  json_str(&j, "process", x->process->name);
  json_int(&j, "instances", count);
  json_int(&j, "min", x->rule.min);
  json_int(&j, "max", x->rule.max);
  json_object_end(&j);
  char name[LIMIT_NAME + 16];
  snprintf(name, sizeof name, "scale of %s", x->process->name);
  struct err err = ERR_INIT;
  x->task = env->policy->call(env->policy->self, scale->fn, name, buf_cstr(&about), clock_mono_ns() + scale->timeout_ns,
                              on_measured, x, &err);
  if (x->task) return;
  fail(x, err.msg);
  wait(x);
}

void scaling_follow(struct scaling *s, bool active) {
  if (active == s->active || !s->env.policy) return;
  s->active = active;
  for (size_t i = 0; i < s->n; i++) {
    struct scaled *x = &s->item[i];
    if (active && x->due_ns)
      timer_at(x->timer, x->due_ns);
    else if (active && !x->task)
      wait(x);
    if (active) continue;
    timer_stop(x->timer);
    x->due_ns = 0;
  }
}

static int declare(struct scaling *s, struct err *err) {
  static const char *const labels[] = {"process"};
  if (!s->n || !s->env.metrics) return 0;
  s->instances =
      metrics_declare(s->env.metrics,
                      &(struct metric_spec){.type = METRIC_GAUGE,
                                            .name = "tend_process_instances",
                                            .help = "Instances that are asked for, of processes that are scaled.",
                                            .labels = labels,
                                            .n_labels = 1,
                                            .builtin = true},
                      err);
  return s->instances ? 0 : -ENOMEM;
}

struct scaling *scaling_new(const struct scaling_env *env, struct err *err) {
  size_t n = 0;
  const struct plan *plan = env->plan;
  for (size_t i = 0; i < plan->processes_n; i++) n += plan->processes[i].scale != NULL;
  struct scaling *s = calloc(1, sizeof *s + n * sizeof s->item[0]);
  if (!s) goto memory;
  s->env = *env;
  for (size_t i = 0; i < plan->processes_n; i++) {
    const struct plan_process *p = &plan->processes[i];
    if (!p->scale) continue;
    struct scaled *x = &s->item[s->n++];
    *x = (struct scaled){.all = s,
                         .process = p,
                         .index = (unsigned)i,
                         .rule = {.min = p->scale->min,
                                  .max = p->scale->max,
                                  .step = p->scale->step,
                                  .cooldown_ns = p->scale->cooldown_ns,
                                  .down_cooldown_ns = p->scale->down_cooldown_ns},
                         .state = {.since_ns = clock_mono_ns()},
                         .timer = timer_new(env->loop, measure, x)};
    if (!x->timer) goto memory;
  }
  if (declare(s, err)) {
    scaling_free(s);
    return NULL;
  }
  for (size_t i = 0; i < s->n; i++) measure_instances(&s->item[i], s->item[i].process->instances);
  return s;
memory:
  scaling_free(s);
  err_set(err, -ENOMEM, "no memory for the scaling of processes");
  return NULL;
}

void scaling_adopt(struct scaling *to, unsigned i, const struct scaling *from, unsigned j) {
  struct scaled *a = NULL;
  const struct scaled *b = NULL;
  for (size_t k = 0; k < to->n; k++)
    if (to->item[k].index == i) a = &to->item[k];
  for (size_t k = 0; k < from->n; k++)
    if (from->item[k].index == j) b = &from->item[k];
  if (!a || !b) return;
  a->state = b->state;
  a->failures = b->failures;
  a->due_ns = b->task ? clock_mono_ns() : b->due_ns; /* one that is being measured is measured again */
}

void scaling_free(struct scaling *s) {
  if (!s) return;
  for (size_t i = 0; i < s->n; i++) {
    if (s->item[i].task) s->env.policy->cancel(s->env.policy->self, s->item[i].task);
    timer_free(s->item[i].timer);
  }
  free(s);
}
