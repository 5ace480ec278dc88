#include "probes/probe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "probes/looker.h"
#include "loop/part.h"
#include "probes/part_host.h"
#include "probes/postgres_plain.h"
#include "probes/kinds.h"
#include "probes/params.h"

static const struct tend_probe_kind *const kinds[] = {
    &probe_kind_tcp,  &probe_kind_dns,     &probe_kind_file,     &probe_kind_directory, &probe_kind_command,
    &probe_kind_unix, &probe_kind_process, &probe_kind_resource, &probe_kind_usage,     &probe_kind_silence};

/* Kinds of parts that come with tend, so that a misspelt one finds its name. */
static const char *const part_kinds[] = {"postgres", "http"};

struct probe {
  struct probe_env *env;
  const struct tend_probe_kind *kind;
  cJSON *params;
  void *run;           /* the kind's; NULL once it ended */
  bool ended;          /* result is known */
  struct timer *timer; /* the deadline */
  int64_t started_ns, deadline_ns;
  char doing[160];
  struct probe_result result;
  cJSON *data;
  probe_done_fn *done;
  void *arg;
};

const char *probe_status_name(enum probe_status status) {
  static const char *const names[] = {"ok", "warn", "fail", "unknown"};
  return names[status];
}

static const struct tend_probe_kind *part_kind(const char *name, struct err *err) {
  const struct tend_part *part = part_load(name, err);
  if (!part) return NULL;
  for (const struct tend_probe_kind *k = part->kinds; k && k->name; k++)
    if (STR_EQ(k->name, name)) return k;
  err_set(err, -EINVAL, "kind: the part \"%s\" has no probe of that name", name);
  return NULL;
}

static const struct tend_probe_kind *find_kind(const char *name, struct err *err) {
  const char *names[ARRAY_LEN(kinds) + ARRAY_LEN(part_kinds)];
  size_t n = 0;
  auto_buf struct buf list = {0};
  for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
    if (STR_EQ(kinds[i]->name, name)) return kinds[i];
    names[n++] = kinds[i]->name;
  }
  for (size_t i = 0; i < ARRAY_LEN(part_kinds); i++) {
    if (STR_EQ(part_kinds[i], name)) return part_kind(name, err);
    names[n++] = part_kinds[i];
  }
  struct err why = ERR_INIT;
  const struct tend_probe_kind *kind = part_kind(name, &why);
  if (kind) return kind;
  if (why.code != -ENOENT && why.code != -EINVAL) {
    if (err) *err = why;
    return NULL;
  }
  for (size_t i = 0; i < n; i++) buf_fmt(&list, "%s%s", i ? ", " : "", names[i]);
  const char *near = str_nearest(name, names, n);
  if (near)
    err_set(err, -EINVAL, "kind: unknown kind \"%s\"; did you mean \"%s\"?", name, near);
  else
    err_set(err, -EINVAL, "kind: unknown kind \"%s\"; there are %s, and what lies in probes/ of the scripts directory",
            name, buf_cstr(&list));
  return NULL;
}

bool probe_known(const char *name) {
  for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
    if (STR_EQ(kinds[i]->name, name)) return true;
  for (size_t i = 0; i < ARRAY_LEN(part_kinds); i++)
    if (STR_EQ(part_kinds[i], name)) return true;
  return part_there(name);
}

static int check_params(const struct tend_probe_kind *kind, const struct tend_host *host, const cJSON *params,
                        struct err *err) {
  char msg[ERR_MSG_MAX] = "";
  int rc = probe_params_check(kind->params, params, err);
  if (rc) return rc;
  if (kind->check && kind->check(host, probe_params_of(params), msg, sizeof msg))
    return err_set(err, -EINVAL, "%s", msg);
  return 0;
}

int probe_check(const char *kind, const cJSON *params, struct err *err) {
  return probe_check_values(NULL, kind, params, err);
}

int probe_check_values(const struct settings *settings, const char *kind, const cJSON *params, struct err *err) {
  struct err own = ERR_INIT;
  const struct tend_probe_kind *k = find_kind(kind, err ? err : &own);
  if (!k) return err ? err->code : own.code;
  struct tend_host host;
  struct probe_env env = {.settings = settings};
  part_host_fill(&host, &env);
  return check_params(k, &host, params, err);
}

int probe_check_early(const struct settings *settings, const char *kind, const cJSON *params, struct err *err) {
  struct tend_host host;
  struct probe_env env = {.settings = settings};
  part_host_fill(&host, &env);
  if (STR_EQ(kind, "postgres") && postgres_plain(&host, params)) return 0;
  return probe_check_values(settings, kind, params, err);
}

static void release(struct probe *p) {
  timer_free(p->timer);
  cJSON_Delete(p->params);
  cJSON_Delete(p->data);
  free(p);
}

static void time_out(struct probe *p) {
  char after[32];
  p->kind->cancel(p->run);
  p->run = NULL;
  p->result.status = PROBE_FAIL;
  str_copy(p->result.reason, sizeof p->result.reason, "timeout");
  str_format_duration((p->deadline_ns - p->started_ns + NS_PER_MS / 2) / NS_PER_MS * NS_PER_MS, after, sizeof after);
  if (p->doing[0])
    snprintf(p->result.detail, sizeof p->result.detail, "no answer within %s while %s", after, p->doing);
  else
    snprintf(p->result.detail, sizeof p->result.detail, "no answer within %s", after);
}

static void deliver(void *arg) {
  struct probe *p = arg;
  p->result.duration_ns = clock_mono_ns() - p->started_ns;
  p->done(p->arg, &p->result);
  release(p);
}

static void on_timer(void *arg) {
  struct probe *p = arg;
  if (!p->ended) time_out(p);
  p->ended = true;
  deliver(p);
}

static void probe_progress(struct tend_probe *tp, const char *doing) {
  struct probe *p = (struct probe *)tp;
  str_copy(p->doing, sizeof p->doing, doing);
}

static void probe_done(struct tend_probe *tp, const struct tend_result *r) {
  struct probe *p = (struct probe *)tp;
  if (p->ended) return;
  p->ended = true;
  p->run = NULL;
  p->result.status = (enum probe_status)r->status;
  str_copy(p->result.reason, sizeof p->result.reason, r->reason ? r->reason : "");
  str_copy(p->result.detail, sizeof p->result.detail, r->detail ? r->detail : "");
  if (r->nfacts) p->data = cJSON_CreateObject();
  for (size_t i = 0; i < r->nfacts; i++) {
    const struct tend_fact *f = &r->facts[i];
    if (f->text)
      cJSON_AddStringToObject(p->data, f->name, f->text);
    else
      cJSON_AddNumberToObject(p->data, f->name, f->number);
  }
  p->result.data = p->data;
  if (loop_defer(p->env->loop, deliver, p) == 0)
    timer_stop(p->timer);
  else /* no memory */
    timer_after(p->timer, 0);
}

void probe_env_init(struct probe_env *env) {
  part_host_fill(&env->host, env);
  env->host.probe_progress = probe_progress;
  env->host.probe_done = probe_done;
}

void probe_env_close(struct probe_env *env) {
  looker_free(env->looker);
  env->looker = NULL;
  meter_close(&env->meter);
}

struct probe *probe_start(struct probe_env *env, const char *kind, const cJSON *params, int64_t deadline_ns,
                          probe_done_fn *done, void *arg, struct err *err) {
  char msg[ERR_MSG_MAX] = "";
  const struct tend_probe_kind *k = find_kind(kind, err);
  if (!k || check_params(k, &env->host, params, err)) return NULL;
  struct probe *p = calloc(1, sizeof *p);
  if (!p) {
    err_set(err, -ENOMEM, "no memory for a probe");
    return NULL;
  }
  *p = (struct probe){.env = env, .kind = k, .deadline_ns = deadline_ns, .done = done, .arg = arg};
  p->started_ns = clock_mono_ns();
  p->params = params ? cJSON_Duplicate(params, true) : cJSON_CreateObject();
  p->timer = timer_new(env->loop, on_timer, p);
  if (!p->params || !p->timer) {
    release(p);
    err_set(err, -ENOMEM, "no memory for a probe");
    return NULL;
  }
  timer_at(p->timer, deadline_ns);
  void *run = k->start(&env->host, (struct tend_probe *)p, probe_params_of(p->params), deadline_ns, msg, sizeof msg);
  if (!run && !p->ended) {
    release(p);
    err_set(err, -EINVAL, "%s", msg);
    return NULL;
  }
  if (!p->ended) p->run = run;
  return p;
}

void probe_cancel(struct probe *p) {
  if (!p) return;
  if (p->ended)
    loop_cancel(p->env->loop, deliver, p);
  else
    p->kind->cancel(p->run);
  release(p);
}

struct probe_env *probe_env_of(struct tend_probe *p) {
  return ((struct probe *)p)->env;
}

const char *probe_kind_of(struct tend_probe *p) { return ((struct probe *)p)->kind->name; }

void probe_end(struct tend_probe *p, enum tend_status status, const char *reason, const char *fmt, ...) {
  char detail[256];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(detail, sizeof detail, fmt, ap);
  va_end(ap);
  probe_done(p, &(struct tend_result){.status = status, .reason = reason, .detail = detail});
}

const char *probe_connect_reason(int error) {
  switch (error) {
    case ECONNREFUSED:
    case ECONNRESET:
    case ENOENT:
      return "refused";
    case ETIMEDOUT:
      return "timeout";
    case EACCES:
    case EPERM:
      return "permission";
    default:
      return "unreachable";
  }
}
