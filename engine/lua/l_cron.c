/* cron: expressions, and functions run by the wall clock as tasks of their own. parse(text, options) → schedule | nil,
 * err; schedule:next(after), schedule:matches(at); every(text, fn, options) → job; job:cancel(), job:next(). All jobs
 * of a generation share one timerfd on the wall clock, which also tells when somebody sets that clock. */
#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cron.h"
#include "base/limits.h"
#include "base/str.h"
#include "lua/effect.h"
#include "lua/l.h"

#define SCHEDULE "tend.cron"
#define JOB "tend.cron.job"

struct cron_job {
  struct cron_jobs *all;
  struct cron_job *next;
  struct cron cron;
  int64_t due_s; /* wall clock; INT64_MAX: never again */
  int64_t timeout_ns;
  uint64_t serial;
  uint64_t task; /* the run that goes on */
  int fn;
  bool gone; /* freed when the run ends */
  char name[LIMIT_NAME];
};

struct cron_jobs {
  struct vm *vm;
  struct cron_job *first;
  unsigned n;
  uint64_t serial;
  int fd;
  struct watch *watch;
};

static int64_t wall_s(void) { return clock_real_ns() / NS_PER_S; }

/* --- running ----------------------------------------------------------------------------------------------------- */

static void arm(const struct cron_jobs *all) {
  int64_t due = INT64_MAX;
  for (const struct cron_job *j = all->vm->paused ? NULL : all->first; j; j = j->next)
    if (!j->gone && !j->task && j->due_s < due) due = j->due_s;
  struct itimerspec when = {.it_value = {.tv_sec = due == INT64_MAX ? 0 : due > 0 ? due : 1}};
  int flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
  /* some sandboxes do not know the second flag */
  if (timerfd_settime(all->fd, flags, &when, NULL)) timerfd_settime(all->fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void release(struct cron_job *j) {
  struct cron_jobs *all = j->all;
  struct cron_job **p = &all->first;
  while (*p != j) p = &(*p)->next;
  *p = j->next;
  all->n--;
  if (all->vm->L && j->fn != LUA_NOREF) luaL_unref(all->vm->L, LUA_REGISTRYINDEX, j->fn);
  free(j);
}

static void on_done(void *arg, enum task_end end, lua_State *co, int nresults, const struct err *err) {
  (void)co;
  (void)nresults;
  struct cron_job *j = arg;
  struct cron_jobs *all = j->all;
  j->task = 0;
  if (end != TASK_DONE) vm_script_error(all->vm, j->name, err, NULL);
  if (j->gone) {
    release(j);
    return;
  }
  j->due_s = cron_next(&j->cron, wall_s());
  arm(all);
}

static void on_dropped(void *arg) { ((struct cron_job *)arg)->task = 0; }

static void start(struct cron_job *j) {
  struct vm *vm = j->all->vm;
  struct err err = ERR_INIT;
  const struct task_spec spec = {.name = j->name,
                                 .deadline_ns = j->timeout_ns ? clock_mono_ns() + j->timeout_ns : TIME_NEVER,
                                 .budget_ns = vm->host.script ? 0 : vm->host.budget_ns,
                                 .done = on_done,
                                 .dropped = on_dropped,
                                 .arg = j};
  j->task = vm_start_ref(vm, j->fn, NULL, NULL, &spec, &err);
  if (j->task) return;
  vm_script_error(vm, j->name, &err, NULL);
  j->due_s = cron_next(&j->cron, wall_s());
}

/* Its time, or somebody has set the clock: then what is due is found anew, and nothing is made up for. */
static void on_time(void *arg, int fd, int events) {
  (void)events;
  struct cron_jobs *all = arg;
  uint64_t ticks;
  bool set = read(fd, &ticks, sizeof ticks) < 0 && errno == ECANCELED;
  int64_t now = wall_s();
  for (struct cron_job *j = all->first; j; j = j->next) {
    if (j->gone || j->task) continue;
    if (set)
      j->due_s = cron_next(&j->cron, now - 1);
    else if (j->due_s <= now)
      start(j);
  }
  arm(all);
}

void cron_pause(struct vm *vm) {
  if (!vm->cron) return;
  int64_t now = wall_s();
  for (struct cron_job *j = vm->cron->first; j; j = j->next) j->due_s = cron_next(&j->cron, now);
  arm(vm->cron);
}

void cron_free(struct vm *vm) {
  struct cron_jobs *all = vm->cron;
  if (!all) return;
  while (all->first) release(all->first);
  watch_free(all->watch);
  if (all->fd >= 0) close(all->fd);
  free(all);
  vm->cron = NULL;
}

/* NULL: no memory, no descriptor. */
static struct cron_jobs *jobs_of(struct vm *vm) {
  if (vm->cron) return vm->cron;
  struct cron_jobs *all = calloc(1, sizeof *all);
  if (!all) return NULL;
  all->vm = vm;
  vm->cron = all;
  all->fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  if (all->fd >= 0) all->watch = watch_new(vm->host.loop, all->fd, WATCH_READ, on_time, all);
  if (!all->watch) cron_free(vm);
  return vm->cron;
}

/* --- expressions ------------------------------------------------------------------------------------------------- */

/* The options at index t, where there are any: utc, and what else is known. */
static bool l_utc(lua_State *L, int t, const char *const *known, const char *who) {
  if (lua_isnoneornil(L, t)) return false;
  if (lua_type(L, t) != LUA_TTABLE)
    return l_raise(L, "%s: expected a table of options, got %s", who, luaL_typename(L, t));
  l_check_keys(L, t, known, who);
  int type = lua_getfield(L, t, "utc");
  if (type != LUA_TNIL && type != LUA_TBOOLEAN)
    return l_raise(L, "%s: utc: expected true or false, got %s", who, lua_typename(L, type));
  bool utc = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return utc;
}

static const char *l_expression(lua_State *L, const char *who) {
  if (lua_type(L, 1) != LUA_TSTRING)
    l_raise(L, "%s: expected an expression such as \"*/5 * * * *\", got %s", who, luaL_typename(L, 1));
  return lua_tostring(L, 1);
}

static int l_parse(lua_State *L) {
  static const char *const known[] = {"utc", NULL};
  const char *text = l_expression(L, "cron.parse");
  bool utc = l_utc(L, 2, known, "cron.parse");
  struct cron cron;
  struct err err = ERR_INIT;
  if (cron_parse(text, &cron, &err)) return l_fail(L, "cron", "%s", err.msg);
  cron.utc = utc;
  *(struct cron *)lua_newuserdatauv(L, sizeof cron, 0) = cron;
  luaL_setmetatable(L, SCHEDULE);
  return 1;
}

static int64_t l_time(lua_State *L, int i, const char *who) {
  if (lua_isnoneornil(L, i)) return wall_s();
  lua_Number t = lua_type(L, i) == LUA_TNUMBER ? lua_tonumber(L, i) : -1;
  if (!(t >= 0 && t < 2e11)) l_raise(L, "%s: expected seconds since 1970, got %s", who, luaL_tolstring(L, i, NULL));
  return (int64_t)t;
}

static int push_time(lua_State *L, int64_t t) {
  if (t == INT64_MAX)
    lua_pushnil(L);
  else
    lua_pushinteger(L, t);
  return 1;
}

static int l_next(lua_State *L) {
  const struct cron *c = luaL_checkudata(L, 1, SCHEDULE);
  return push_time(L, cron_next(c, l_time(L, 2, "schedule:next")));
}

static int l_matches(lua_State *L) {
  const struct cron *c = luaL_checkudata(L, 1, SCHEDULE);
  int64_t t = l_time(L, 2, "schedule:matches");
  lua_pushboolean(L, cron_next(c, t - 1) == t);
  return 1;
}

/* --- jobs -------------------------------------------------------------------------------------------------------- */

struct handle {
  uint64_t serial;
};

static struct cron_job *find(lua_State *L) {
  const struct handle *h = luaL_checkudata(L, 1, JOB);
  const struct cron_jobs *all = vm_of(L)->cron;
  for (struct cron_job *j = all ? all->first : NULL; j; j = j->next)
    if (j->serial == h->serial && !j->gone) return j;
  return NULL;
}

static int l_cancel(lua_State *L) {
  struct cron_job *j = find(L);
  if (!j) return 0;
  struct cron_jobs *all = j->all;
  j->gone = true; /* a run that goes on ends by itself; it may be the one that called this */
  if (!j->task) release(j);
  arm(all);
  return 0;
}

static int l_job_next(lua_State *L) {
  const struct cron_job *j = find(L);
  return push_time(L, !j ? INT64_MAX : j->task ? cron_next(&j->cron, wall_s()) : j->due_s);
}

static int l_every(lua_State *L) {
  static const char *const known[] = {"utc", "name", "timeout", NULL};
  const char *who = "cron.every";
  const char *text = l_expression(L, who);
  if (lua_type(L, 2) != LUA_TFUNCTION)
    return l_raise(L, "%s: expected a function as second argument, got %s", who, luaL_typename(L, 2));
  lua_settop(L, 3);
  bool utc = l_utc(L, 3, known, who);
  struct cron cron;
  struct err err = ERR_INIT;
  if (cron_parse(text, &cron, &err)) return l_raise(L, "%s: %s", who, err.msg);
  cron.utc = utc;
  const char *name = NULL;
  lua_Number timeout = 0;
  if (lua_istable(L, 3)) {
    name = l_opt_string(L, 3, "name", NULL, who);
    timeout = l_opt_seconds(L, 3, "timeout", 0, who);
  }
  struct vm *vm = vm_of(L);
  if (vm->cron && vm->cron->n >= LIMIT_CRON_JOBS)
    return l_raise(L, "%s: there are %d jobs already, there can be no more", who, (int)LIMIT_CRON_JOBS);
  bool listed = l_effect(L, who, "%s", text);
  struct handle *h = lua_newuserdatauv(L, sizeof *h, 0);
  h->serial = 0;
  luaL_setmetatable(L, JOB);
  if (listed) return 1;
  lua_pushvalue(L, 2);
  int fn = luaL_ref(L, LUA_REGISTRYINDEX);
  struct cron_jobs *all = jobs_of(vm);
  struct cron_job *j = all ? calloc(1, sizeof *j) : NULL;
  if (!j) {
    luaL_unref(L, LUA_REGISTRYINDEX, fn);
    return l_raise(L, "%s: no memory or no descriptor", who);
  }
  *j = (struct cron_job){.all = all,
                         .next = all->first,
                         .cron = cron,
                         .due_s = cron_next(&cron, wall_s()),
                         .timeout_ns = (int64_t)(timeout * (lua_Number)NS_PER_S),
                         .serial = ++all->serial,
                         .fn = fn};
  if (name)
    str_copy(j->name, sizeof j->name, name);
  else
    snprintf(j->name, sizeof j->name, "cron %.50s", text);
  all->first = j;
  all->n++;
  h->serial = j->serial;
  arm(all);
  return 1;
}

int l_open_cron(lua_State *L) {
  static const luaL_Reg functions[] = {{"parse", l_parse}, {"every", l_every}, {NULL, NULL}};
  static const luaL_Reg schedule[] = {{"next", l_next}, {"matches", l_matches}, {NULL, NULL}};
  static const luaL_Reg job[] = {{"cancel", l_cancel}, {"next", l_job_next}, {NULL, NULL}};
  l_class(L, SCHEDULE, schedule, NULL);
  l_class(L, JOB, job, NULL);
  luaL_newlib(L, functions);
  return 1;
}
