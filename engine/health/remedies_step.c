/* The steps of remedies: how each kind is carried out. */
#include <malloc.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/str.h"
#include "loop/cleanup.h"
#include "loop/helper_said.h"
#include "health/remedies_impl.h"

const char *remedies_step_kind(const struct plan_step *s) {
  return s->kind == PLAN_STEP_CLEANUP ? s->cleanup.kind : plan_step_kind_name(s->kind);
}

/* --- children: helpers and commands ------------------------------------------------------------------------------ */

static void on_failed(void *arg, uint32_t child, enum spawn_stage stage, int error) {
  struct job *j = arg;
  (void)child;
  (void)stage;
  j->child = 0;
  remedies_step_done(j, REMEDY_FAILED, "it could not be started: %s", strerror(error));
}

static void on_exited(void *arg, uint32_t child, const struct child_exit *x) {
  struct job *j = arg;
  (void)child;
  j->child = 0;
  char said[STEP_DETAIL_MAX], name[16];
  helper_last_line(x->out, said, sizeof said);
  if (WIFSIGNALED(x->status))
    remedies_step_done(j, REMEDY_FAILED, "signal %s ended it", str_signal_name(WTERMSIG(x->status), name, sizeof name));
  else if (WEXITSTATUS(x->status))
    remedies_step_done(j, REMEDY_FAILED, "exit code %d%s%s", WEXITSTATUS(x->status), *said ? ": " : "", said);
  else
    remedies_step_done(j, REMEDY_OK, "%s", said);
}

static const struct child_ops ops = {.failed = on_failed, .exited = on_exited};

static void start_cleanup(struct job *j, const struct plan_step *s) {
  if (j->dry && !STR_EQ(s->cleanup.helper, "clean")) {
    remedies_step_done(j, REMEDY_OK, "would run");
    return;
  }
  struct err err = ERR_INIT;
  j->child = cleanup_spawn(j->r->env.children, &s->cleanup, j->dry, &ops, j, &err);
  if (!j->child) remedies_step_done(j, REMEDY_FAILED, "%s", err.msg);
}

static void start_command(struct job *j, const struct plan_step *s) {
  struct err err = ERR_INIT;
  j->child = children_spawn(
      j->r->env.children, &(struct child_spec){.kind = CHILD_HELPER, .name = s->name, .argv = s->argv}, &ops, j, &err);
  if (!j->child) remedies_step_done(j, REMEDY_FAILED, "%s", err.msg);
}

/* --- functions --------------------------------------------------------------------------------------------------- */

/* Nothing or true: it worked; "skip" and a reason: there was nothing to do; false or nil and a reason: it did not. */
static void on_task(void *arg, enum policy_status status, const cJSON *result, const struct err *err) {
  struct job *j = arg;
  j->task = 0;
  if (status != POLICY_OK) {
    sink_say(j->r->env.sink, EVENT_SCRIPT_ERROR, LEVEL_ERROR, "remedy %s, step %s: %s", j->plan->name,
             job_step(j)->name, err->msg);
    remedies_step_done(j, status == POLICY_TIMEOUT ? REMEDY_TIMEOUT : REMEDY_FAILED, "%s", err->msg);
    return;
  }
  const cJSON *first = result ? result->child : NULL;
  const cJSON *second = first ? first->next : NULL;
  const cJSON *why = cJSON_IsObject(second) ? cJSON_GetObjectItem(second, "message") : second;
  const char *word = cJSON_GetStringValue(first), *text = cJSON_GetStringValue(why);
  if (word && STR_EQ(word, "skip"))
    remedies_step_done(j, REMEDY_SKIPPED, "%s", text ? text : "");
  else if (cJSON_IsFalse(first) || (cJSON_IsNull(first) && second))
    remedies_step_done(j, REMEDY_FAILED, "%s", text && *text ? text : "it returned false");
  else
    remedies_step_done(j, REMEDY_OK, "%s", text ? text : "");
}

static void start_function(struct job *j, const struct plan_step *s, int64_t deadline_ns) {
  const struct policy *policy = j->r->env.policy;
  if (!policy) {
    remedies_step_done(j, REMEDY_FAILED, "there are no scripts to run it");
    return;
  }
  auto_buf struct buf about = {0};
  struct json out = JSON_INIT(&about);
  json_object(&out, NULL);
  json_str(&out, "remedy", j->plan->name);
  json_str(&out, "step", s->name);
  if (j->check != REMEDY_NONE) json_str(&out, "check", check_name(j->r, j->check));
  if (*j->cause) json_str(&out, "cause", j->cause);
  json_str(&out, "trigger", j->by_operator ? "operator" : "check");
  json_object_end(&out);
  char name[2 * LIMIT_NAME + 16];
  snprintf(name, sizeof name, "remedy %s, step %s", j->plan->name, s->name);
  struct err err = ERR_INIT;
  j->task = policy->call(policy->self, s->fn, name, buf_cstr(&about), deadline_ns, on_task, j, &err);
  if (!j->task) remedies_step_done(j, REMEDY_FAILED, "%s", err.msg);
}

/* --- the rest ---------------------------------------------------------------------------------------------------- */

static void collect(struct job *j) {
  const struct policy *policy = j->r->env.policy;
  int64_t freed = policy ? policy->collect(policy->self) : 0;
  malloc_trim(0);
  remedies_step_done(j, REMEDY_OK, "%lld bytes of the scripts", (long long)freed);
}

static void send_signal(struct job *j, const struct plan_step *s) {
  const struct remedies_env *env = &j->r->env;
  unsigned n = env->signal(env->arg, s->process, s->signal, s->group);
  char name[16];
  const char *process = env->plan->processes[s->process].name;
  if (n)
    remedies_step_done(j, REMEDY_OK, "%s to %u of %s", str_signal_name(s->signal, name, sizeof name), n, process);
  else
    remedies_step_done(j, REMEDY_SKIPPED, "%s does not run", process);
}

static void reset_database(struct job *j, const struct plan_step *s) {
  if (!j->r->reset) {
    remedies_step_done(j, REMEDY_SKIPPED, "there is no pool of connections");
    return;
  }
  char detail[STEP_DETAIL_MAX] = "";
  int rc = j->r->reset(j->r->reset_arg, s->database, detail, sizeof detail);
  remedies_step_done(j, rc ? REMEDY_FAILED : REMEDY_OK, "%s", detail);
}

static void slow_checks(struct job *j, const struct plan_step *s) {
  health_pace(j->r->env.health, s->factor, clock_mono_ns() + s->for_ns);
  remedies_step_done(j, REMEDY_OK, "intervals times %g for %lld s", s->factor, (long long)(s->for_ns / NS_PER_S));
}

/* It ends when the process is up again: remedies_follow. */
static void restart(struct job *j, const struct plan_step *s) {
  const struct remedies_env *env = &j->r->env;
  const char *process = env->plan->processes[s->process].name;
  if (env->simple) {
    remedies_step_done(j, REMEDY_SKIPPED, "mode simple: no remedy restarts");
    return;
  }
  j->restarting = true;
  if (env->restart(env->arg, s->process, &j->mark)) return;
  j->restarting = false;
  remedies_step_done(j, REMEDY_SKIPPED, "%s does not run", process);
}

void remedies_step_start(struct job *j, int64_t deadline_ns) {
  const struct plan_step *s = job_step(j);
  struct remedies_env *env = &j->r->env;
  if (j->dry && s->kind != PLAN_STEP_CLEANUP) {
    remedies_step_done(j, REMEDY_OK, "would run");
    return;
  }
  switch (s->kind) {
    case PLAN_STEP_FUNCTION:
      start_function(j, s, deadline_ns);
      break;
    case PLAN_STEP_CLEANUP:
      start_cleanup(j, s);
      break;
    case PLAN_STEP_COLLECT:
      collect(j);
      break;
    case PLAN_STEP_SIGNAL:
      send_signal(j, s);
      break;
    case PLAN_STEP_COMMAND:
      start_command(j, s);
      break;
    case PLAN_STEP_RESET_DATABASE:
      reset_database(j, s);
      break;
    case PLAN_STEP_SLOW_CHECKS:
      slow_checks(j, s);
      break;
    case PLAN_STEP_RESTART:
      restart(j, s);
      break;
    case PLAN_STEP_FAIL:
      remedies_step_done(j, REMEDY_OK, "the container fails");
      env->fail(env->arg);
      break;
    case PLAN_STEPS_N:
      break;
  }
}

void remedies_step_cancel(struct job *j) {
  if (j->child) children_forget(j->r->env.children, j->child);
  if (j->task) j->r->env.policy->cancel(j->r->env.policy->self, j->task);
  j->child = 0;
  j->task = 0;
  j->restarting = false;
  j->stepping = false;
}
