#include "loop/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

/* ARGV_MAX: "tend helper ACTION PATH", each pattern and each other parameter as an option with a value */
enum { DETAIL_MAX = 256, ARGV_MAX = 4 + 2 * (LIMIT_PATTERNS + 8) + 1 };
#define CLEANUP_HELPER "cleanup"
#define CLEANUP_TIMEOUT_NS (10 * NS_PER_S) /* of a handler that names none */
#define SHARE_NS (250 * NS_PER_MS)         /* kept for each that comes after it, of half of the time at most */

struct cleanup {
  struct cleanup_env *env;
  const struct plan *plan;
  int64_t deadline_ns;
  cleanup_done_fn *done;
  void *arg;
  size_t *order, next;
  struct report_cleanup *results; /* in the order in which they run */
  char (*details)[DETAIL_MAX];
  struct timer *timer;
  bool running, ok;
  int64_t started_ns;
  struct attendant *helper; /* that works */
  uint64_t task;            /* of a function */
};

static void run_next(void *arg);

static void tell(struct cleanup *c, const struct report_cleanup *r) {
  auto_buf struct buf b = {0};
  struct json j = JSON_INIT(&b);
  json_object(&j, NULL);
  json_str(&j, "name", r->name);
  json_str(&j, "result", r->result);
  if (r->detail && *r->detail) json_str(&j, "detail", r->detail);
  json_bool(&j, "critical", r->critical);
  json_object_end(&j);
  bool good = STR_EQ(r->result, "ok");
  sink_emit(c->env->sink, EVENT_CLEANUP_COMPLETED,
            &(struct sink_event){.level = good ? LEVEL_INFO : LEVEL_ERROR,
                                 .details = buf_cstr(&b),
                                 .timed = true,
                                 .duration_ns = r->duration_ns});
}

/* The handler that runs has ended (or never began). */
static void settle(struct cleanup *c, const char *result, const char *detail) {
  size_t i = c->next;
  struct report_cleanup *r = &c->results[i];
  str_copy(c->details[i], DETAIL_MAX, detail);
  r->result = result;
  r->detail = c->details[i];
  r->duration_ns = clock_mono_ns() - c->started_ns;
  if (!STR_EQ(result, "ok")) c->ok = false;
  attendant_free(c->helper);
  c->helper = NULL;
  c->task = 0;
  c->next++;
  tell(c, r);
}

static void run_soon(struct cleanup *c) {
  timer_stop(c->timer);
  if (loop_defer(c->env->loop, run_next, c)) timer_after(c->timer, 0);
}

/* From a callback: the next one starts from the top of the loop. */
static void settle_later(struct cleanup *c, const char *result, const char *detail) {
  settle(c, result, detail);
  c->running = false;
  run_soon(c);
}

static void stop_running(struct cleanup *c) {
  attendant_free(c->helper);
  c->helper = NULL;
  if (c->task) c->env->policy->cancel(c->env->policy->self, c->task);
}

static void on_task(void *arg, enum policy_status status, const cJSON *result, const struct err *err) {
  struct cleanup *c = arg;
  const cJSON *first = result ? result->child : NULL;
  if (status == POLICY_TIMEOUT) {
    settle_later(c, "timeout", err->msg);
  } else if (status != POLICY_OK) {
    settle_later(c, "failed", err->msg);
  } else if (first && (cJSON_IsFalse(first) || (cJSON_IsNull(first) && first->next))) {
    const cJSON *why = first->next;
    const cJSON *message = cJSON_IsObject(why) ? cJSON_GetObjectItem(why, "message") : why;
    settle_later(c, "failed", cJSON_IsString(message) ? message->valuestring : "it returned false");
  } else {
    settle_later(c, "ok", "");
  }
}

static void on_helper(void *arg, bool ok, const char *text) { settle_later(arg, ok ? "ok" : "failed", text); }

/* --- helpers ------------------------------------------------------------------------------------------------------ */

/* --key value for each parameter but path; texts that had to be made are kept in `made` until the spawn. */
static int add_params(const cJSON *params, char **argv, int n, char **made, int *n_made) {
  const cJSON *p;
  cJSON_ArrayForEach(p, params) {
    if (STR_EQ(p->string, "path") || cJSON_IsFalse(p)) continue;
    struct buf key = {0};
    buf_fmt(&key, "--%s", p->string);
    for (size_t i = 0; i < key.len; i++)
      if (key.data[i] == '_') key.data[i] = '-';
    char *name = made[(*n_made)++] = buf_take(&key);
    const cJSON *v = cJSON_IsArray(p) ? p->child : p;
    do {
      if (n + 3 > ARGV_MAX || *n_made + 2 > ARGV_MAX || !name) return -E2BIG;
      argv[n++] = name;
      if (v && !cJSON_IsBool(v)) {
        struct buf value = {0};
        if (cJSON_IsNumber(v))
          buf_fmt(&value, "%.0f", v->valuedouble);
        else
          buf_str(&value, cJSON_IsString(v) ? v->valuestring : "");
        argv[n++] = made[(*n_made)++] = buf_take(&value);
      }
      v = cJSON_IsArray(p) && v ? v->next : NULL;
    } while (v);
  }
  return n;
}

/* "tend helper ACTION PATH" and the parameters; what had to be made for it is at the front of made. */
static int make_argv(const struct plan_cleanup *h, bool dry_run, char **argv, char **made, int *n_made,
                     struct err *err) {
  const cJSON *path = cJSON_GetObjectItem(h->params, "path"); /* the plan's check wants one */
  const char *const words[] = {"tend", "helper", h->helper, path->valuestring};
  memcpy(argv, words, sizeof words);
  int n = add_params(h->params, argv, ARRAY_LEN(words), made, n_made);
  if (n < 0) return err_set(err, -E2BIG, "too many parameters");
  if (dry_run) argv[n++] = (char *)"--dry-run";
  argv[n] = NULL;
  return 0;
}

static void drop_made(char **made, int n) {
  while (n > 0) free(made[--n]);
}

uint32_t cleanup_spawn(struct children *children, const struct plan_cleanup *h, bool dry_run,
                       const struct child_ops *ops, void *arg, struct err *err) {
  char *argv[ARGV_MAX + 1];
  char *made[ARGV_MAX];
  int n_made = 0;
  uint32_t child = 0;
  if (make_argv(h, dry_run, argv, made, &n_made, err) == 0)
    child = children_spawn(children, &(struct child_spec){.kind = CHILD_HELPER, .name = h->name, .argv = argv}, ops,
                           arg, err);
  drop_made(made, n_made);
  return child;
}

/* One that waits already, or another one where that one has died. */
static int give(struct cleanup *c, char *const *argv, struct err *err) {
  int rc = -EPIPE;
  c->helper = c->env->ready;
  c->env->ready = NULL;
  if (c->helper) rc = attendant_give(c->helper, argv, on_helper, c);
  if (rc == 0) return 0;
  attendant_free(c->helper);
  c->helper = attendant_new(c->env->children, CLEANUP_HELPER, err);
  if (!c->helper) return err->code;
  rc = attendant_give(c->helper, argv, on_helper, c);
  return rc ? err_errno(err, rc, "the helper does not take its job") : 0;
}

static void start_helper(struct cleanup *c, const struct plan_cleanup *h) {
  struct err err = ERR_INIT;
  char *argv[ARGV_MAX + 1];
  char *made[ARGV_MAX];
  int n_made = 0;
  int rc = make_argv(h, false, argv, made, &n_made, &err);
  if (rc == 0) rc = give(c, argv + 2, &err);
  drop_made(made, n_made);
  if (rc) {
    settle_later(c, "failed", err.msg);
    return;
  }
  for (size_t i = c->next + 1; i < c->plan->cleanup_n && !c->env->ready; i++)
    if (c->plan->cleanup[c->order[i]].kind) cleanup_prepare(c->env, c->plan);
}

void cleanup_prepare(struct cleanup_env *env, const struct plan *plan) {
  struct err err = ERR_INIT; /* whoever needs it tries again, and tells */
  bool wanted = false;
  for (size_t i = 0; i < plan->cleanup_n; i++) wanted |= plan->cleanup[i].kind != NULL;
  if (wanted && !env->ready) env->ready = attendant_new(env->children, CLEANUP_HELPER, &err);
}

/* --- one after the other --------------------------------------------------------------------------------------------
 */

static void start_function(struct cleanup *c, const struct plan_cleanup *h, int64_t due_ns) {
  if (!c->env->policy) {
    settle_later(c, "failed", "there are no scripts to run it");
    return;
  }
  char name[LIMIT_NAME + 16];
  snprintf(name, sizeof name, "cleanup %s", h->name);
  struct err err = ERR_INIT;
  c->task = c->env->policy->call(c->env->policy->self, h->fn, name, NULL, due_ns, on_task, c, &err);
  if (!c->task) settle_later(c, "failed", err.msg);
}

/* Until when the next one may take: one that hangs does not stop those after it. */
static int64_t limit_ns(const struct cleanup *c, int64_t now) {
  int64_t others = (int64_t)(c->plan->cleanup_n - c->next - 1) * SHARE_NS;
  int64_t half = (c->deadline_ns - now) / 2;
  return c->deadline_ns - (others < half ? others : half);
}

static void run_next(void *arg) {
  struct cleanup *c = arg;
  int64_t now = clock_mono_ns();
  if (c->running) { /* the time of the one that runs is over */
    stop_running(c);
    c->running = false;
    settle(c, "timeout", "it did not end in its time");
  }
  while (c->next < c->plan->cleanup_n && now >= c->deadline_ns) {
    c->started_ns = now;
    settle(c, "skipped", "no time was left");
  }
  if (c->next == c->plan->cleanup_n) {
    c->done(c->arg, c->ok);
    return;
  }
  const struct plan_cleanup *h = &c->plan->cleanup[c->order[c->next]];
  int64_t due = now + (h->timeout_ns == PLAN_UNSET ? CLEANUP_TIMEOUT_NS : h->timeout_ns);
  if (due > limit_ns(c, now)) due = limit_ns(c, now);
  c->started_ns = now;
  c->running = true;
  timer_at(c->timer, due);
  if (h->kind)
    start_helper(c, h);
  else
    start_function(c, h, due);
}

struct cleanup *cleanup_start(struct cleanup_env *env, const struct plan *plan, int64_t deadline_ns,
                              cleanup_done_fn *done, void *arg) {
  struct cleanup *c = calloc(1, sizeof *c);
  if (!c) return NULL;
  size_t n = plan->cleanup_n;
  *c = (struct cleanup){.env = env, .plan = plan, .deadline_ns = deadline_ns, .done = done, .arg = arg, .ok = true};
  c->order = calloc(n + 1, sizeof *c->order);
  c->results = calloc(n + 1, sizeof *c->results);
  c->details = calloc(n + 1, sizeof *c->details);
  c->timer = timer_new(env->loop, run_next, c);
  if (!c->order || !c->results || !c->details || !c->timer) {
    cleanup_free(c);
    return NULL;
  }
  size_t k = 0;
  for (int pass = 0; pass < 2; pass++)
    for (size_t i = n; i-- > 0;)
      if (plan->cleanup[i].critical == (pass == 0)) c->order[k++] = i;
  for (size_t i = 0; i < n; i++) {
    const struct plan_cleanup *h = &plan->cleanup[c->order[i]];
    c->results[i] = (struct report_cleanup){.name = h->name, .critical = h->critical, .duration_ns = -1};
  }
  run_soon(c);
  return c;
}

void cleanup_cancel(struct cleanup *c) {
  stop_running(c);
  timer_stop(c->timer);
  loop_cancel(c->env->loop, run_next, c);
  if (c->running) settle(c, "timeout", "the whole time of the cleanup was over");
  c->running = false;
  while (c->next < c->plan->cleanup_n) {
    c->started_ns = clock_mono_ns();
    settle(c, "skipped", "no time was left");
  }
}

void cleanup_free(struct cleanup *c) {
  if (!c) return;
  if (c->env) {
    stop_running(c);
    loop_cancel(c->env->loop, run_next, c);
  }
  timer_free(c->timer);
  free(c->order);
  free(c->results);
  free(c->details);
  free(c);
}

size_t cleanup_results(const struct cleanup *c, const struct report_cleanup **out) {
  if (!c) return 0;
  *out = c->results;
  return c->next; /* those that ended */
}
