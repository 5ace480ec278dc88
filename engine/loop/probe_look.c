#include "loop/probe_look.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/buf.h"

struct run {
  struct tend_probe *probe;
  const struct tend_params *params;
  struct children *children;
  uint32_t child;
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

static void on_exited(void *arg, uint32_t child, const struct child_exit *e) {
  (void)child;
  struct run *r = arg;
  auto_json cJSON *facts = NULL;
  struct err err = ERR_INIT;
  if (WIFEXITED(e->status) && WEXITSTATUS(e->status) == 0 && e->out &&
      json_parse(e->out->data, e->out->len, "tend helper", &facts, &err) == 0)
    r->judge(r->probe, r->params, facts);
  else
    probe_end(r->probe, TEND_UNKNOWN, "exec", "tend helper %s ended with status %d: %.100s", r->action, e->status,
              e->out ? buf_cstr(e->out) : err.msg);
  free(r);
}

static void on_failed(void *arg, uint32_t child, enum spawn_stage stage, int error) {
  (void)child;
  (void)stage;
  struct run *r = arg;
  probe_end(r->probe, TEND_UNKNOWN, "exec", "tend helper %s cannot be run: %s", r->action, strerror(error));
  free(r);
}

static const struct child_ops ops = {.failed = on_failed, .exited = on_exited};

void probe_look_cancel(void *run) {
  struct run *r = run;
  children_forget(r->children, r->child);
  free(r);
}

void *probe_look_start(struct tend_probe *p, const struct tend_params *params, const char *action, const char *what,
                       const char *option, probe_look_fn *judge, char *msg, size_t size) {
  struct err err = ERR_INIT;
  struct run *r = calloc(1, sizeof *r);
  auto_buf struct buf given = {0}, name = {0}, more = {0};
  buf_str(&given, what);
  buf_str(&name, action);
  if (option) buf_str(&more, option);
  if (!r || given.failed || name.failed || more.failed) {
    free(r);
    snprintf(msg, size, "no memory");
    return NULL;
  }
  *r = (struct run){
      .probe = p, .params = params, .children = probe_env_of(p)->children, .action = action, .judge = judge};
  char tend[] = "tend", helper[] = "helper", *argv[] = {tend, helper, name.data, given.data, more.data, NULL};
  struct child_spec spec = {.kind = CHILD_HELPER, .name = action, .argv = argv};
  if (r->children)
    r->child = children_spawn(r->children, &spec, &ops, r, &err);
  else
    err_set(&err, -EINVAL, "there is no one to run it");
  char doing[160];
  snprintf(doing, sizeof doing, "looking at %s", what);
  probe_env_of(p)->host.probe_progress(p, doing);
  if (!r->child) {
    probe_end(p, TEND_UNKNOWN, "exec", "tend helper %s cannot be run: %s", action, err.msg);
    free(r);
    return NULL;
  }
  return r;
}
