#include "probes/look.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "probes/looker.h"

struct run {
  struct tend_probe *probe;
  const struct tend_params *params;
  struct look *look;
  const char *action; /* a literal */
  probe_look_fn *judge;
};

double probe_look_number(const cJSON *facts, const char *key) {
  const cJSON *v = cJSON_GetObjectItemCaseSensitive(facts, key);
  return cJSON_IsNumber(v) ? v->valuedouble : 0;
}

const char *probe_look_reason(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENXIO:
      return "missing";
    case EACCES:
    case EPERM:
      return "permission";
    case ECONNREFUSED:
      return "refused";
    default:
      return "io";
  }
}

static void on_answer(void *arg, const char *answer, size_t n, const char *problem) {
  struct run *r = arg;
  auto_json cJSON *facts = NULL;
  struct err err = ERR_INIT;
  if (answer && n && answer[0] == '0' && json_parse(answer + 1, n - 1, "tend helper", &facts, &err) == 0)
    r->judge(r->probe, r->params, facts);
  else
    probe_end(r->probe, TEND_UNKNOWN, "exec", "the look %s: %.100s", r->action,
              !answer      ? problem
              : err.msg[0] ? err.msg
              : n > 1      ? answer + 1
                           : "no answer");
  free(r);
}

void probe_look_cancel(void *run) {
  struct run *r = run;
  look_cancel(r->look);
  free(r);
}

void *probe_look_start(struct tend_probe *p, const struct tend_params *params, const char *action, const char *what,
                       const char *option, probe_look_fn *judge, char *msg, size_t size) {
  struct err err = ERR_INIT;
  struct probe_env *env = probe_env_of(p);
  struct run *r = calloc(1, sizeof *r);
  if (!r) {
    snprintf(msg, size, "no memory");
    return NULL;
  }
  *r = (struct run){.probe = p, .params = params, .action = action, .judge = judge};
  if (!env->children)
    err_set(&err, -EINVAL, "there is no one to run it");
  else if (env->looker || (env->looker = looker_new(env->loop, env->children)))
    r->look = look_start(env->looker, action, what, option, on_answer, r, &err);
  char doing[160];
  snprintf(doing, sizeof doing, "looking at %s", what);
  env->host.probe_progress(p, doing);
  if (r->look) return r;
  probe_end(p, TEND_UNKNOWN, "exec", "tend helper %s cannot be run: %s", action, err.msg);
  free(r);
  return NULL;
}
