/* Keeps scripts within their CPU: a timer, whose signal sets a hook on the coroutine that runs; the hook yields,
 * raises, or lets it go on. Where no hook is called for a second, the process ends. */
#include <errno.h>
#include <lauxlib.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/exits.h"
#include "base/keep.h"
#include "base/str.h"
#include "lua/l.h"
#include "lua/task_inner.h"

enum { LEVELS_MAX = 64 }; /* looking at one costs as many steps as there are above it */

static lua_State *volatile running;
static volatile sig_atomic_t fired;

static void hook(lua_State *L, lua_Debug *ar);

static struct sched *volatile guarded; /* NULL: no timer is armed */

static int64_t cpu_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* The innermost line of a script. In a signal's handler: reads, and makes nothing. */
static void find_line(lua_State *L, char *to, size_t size) {
  lua_Debug ar;
  for (int level = 0; lua_getstack(L, level, &ar); level++) {
    if (!lua_getinfo(L, "Sl", &ar) || ar.currentline <= 0) continue;
    snprintf(to, size, "%s:%d", ar.source + (*ar.source == '@'), ar.currentline);
    return;
  }
}

/* It is in a call that will not end. The name first: the state may be in the middle of something. */
static void end_stuck(struct sched *s, lua_State *L, int64_t ran_ns) {
  static struct keep_culprit own;
  struct keep_culprit *c = s->culprit ? s->culprit : &own;
  *c = (struct keep_culprit){
      .ran_ns = ran_ns, .loading = lua_owner(L)->vm->loading, .once = s->current && s->current->once};
  str_copy(c->task, sizeof c->task, s->current ? s->current->name : "");
  atomic_signal_fence(memory_order_seq_cst);
  find_line(L, c->where, sizeof c->where);
  if (s->culprit) kill(getpid(), SIGKILL);
  char text[512];
  int n = snprintf(text, sizeof text,
                   "tend: %s: %s: %d ms of CPU in one call that nothing can interrupt; a pattern that goes back and "
                   "forth? make it simpler\n",
                   c->where, c->loading ? "while it is loaded" : c->task, (int)(ran_ns / NS_PER_MS));
  (void)!write(STDERR_FILENO, text, (size_t)n < sizeof text ? (size_t)n : sizeof text);
  _exit(c->loading ? EXIT_CONFIG : EXIT_INTERNAL);
}

static void on_signal(int sig) {
  (void)sig;
  int error = errno;
  lua_State *L = running;
  struct sched *s = guarded;
  fired = 1;
  if (L && s) {
    int64_t ran = cpu_ns() - (s->seen_ns > s->mark_ns ? s->seen_ns : s->mark_ns);
    if (ran > s->stuck_ns) end_stuck(s, L, ran);
  }
  /* setting it walks through all calls that are open, of which a recursion has many */
  if (L && !lua_gethookmask(L)) lua_sethook(L, hook, LUA_MASKCOUNT, 1);
  errno = error;
}

void sched_on_stuck(struct sched *s, int64_t limit_ns, struct keep_culprit *culprit) {
  s->stuck_ns = limit_ns;
  s->culprit = culprit;
}

void guard_arm(struct sched *s) {
  const struct itimerspec when = {.it_value = {0, TASK_SLICE_NS}, .it_interval = {0, TASK_SLICE_NS}};
  s->mark_ns = cpu_ns();
  s->begun_ns = clock_mono_ns();
  if (!s->armed) timer_settime(s->timer, 0, &when, NULL);
  s->armed = true;
  guarded = s;
}

void guard_disarm(struct sched *s) {
  const struct itimerspec off = {0};
  if (s->armed) timer_settime(s->timer, 0, &off, NULL);
  s->armed = false;
  guarded = NULL;
}

/* The CPU clock costs more than most resumes, the other one hardly anything: for what is short it will do. */
#define SHORT_NS (NS_PER_MS / 2)

/* Adds what was used since the mark to the task. */
static void account(struct sched *s, struct task *t) {
  int64_t now = clock_mono_ns(), used = now - s->begun_ns;
  s->begun_ns = now;
  if (used > SHORT_NS) { /* it may have waited for the processor */
    used = cpu_ns() - s->mark_ns;
    if (used < 0) used = 0;
  }
  t->used_ns += used;
  s->used_ns += used;
  s->mark_ns += used;
}

static const char *end_code(enum task_end why) { return why == TASK_TIMEOUT ? "timeout" : "cancelled"; }

const char *guard_end_text(enum task_end why) { return why == TASK_TIMEOUT ? "the time limit is over" : "cancelled"; }

int guard_raise_end(lua_State *L, struct task *t) {
  if (!t->told) {
    t->told = true;
    t->grace_ns = t->used_ns + (cpu_ns() - t->sched->mark_ns) + TASK_GRACE_NS;
  }
  l_push_error(L, end_code(t->why), "%s: %s", t->name, guard_end_text(t->why));
  return lua_error(L);
}

/* Only functions of scripts are open. Where an error that is raised in a hook ends a coroutine no more hooks are called
 * in it, so that what it has to close could not be interrupted. */
static bool nobody_catches(lua_State *L, const struct task *t) {
  lua_Debug ar;
  int level = 0;
  while (level < LEVELS_MAX && lua_getstack(L, level, &ar)) {
    if (!lua_getinfo(L, "S", &ar) || *ar.what == 'C') return false;
    level++;
  }
  return level < LEVELS_MAX && L == t->co && lua_isyieldable(L);
}

static void hook(lua_State *L, lua_Debug *ar) {
  struct sched *s = lua_owner(L)->sched;
  struct task *t = s->current;
  if (ar->event == LUA_HOOKRET &&
      lua_isyieldable(L)) { /* out of what could not yield: at its next instruction it can */
    lua_sethook(L, hook, LUA_MASKCOUNT, 1);
    return;
  }
  if (ar->event == LUA_HOOKRET && !fired) return;
  fired = 0;
  if (!t || !running) { /* set by a signal that came as the run ended */
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  bool ends = t->ending && !t->told;
  if (ends && !nobody_catches(L, t)) {
    lua_sethook(L, NULL, 0, 0);
    guard_raise_end(L, t);
  }
  s->seen_ns = cpu_ns();
  int64_t slice = s->seen_ns - s->mark_ns;
  int64_t used = t->used_ns + slice;
  bool over = ends || (t->budget_ns && used > t->budget_ns) || (t->ending && used > t->grace_ns);
  if (over) {
    if (!*t->where && lua_getinfo(L, "Sl", ar))
      snprintf(t->where, sizeof t->where, "%s:%d", ar->short_src, ar->currentline);
    if (lua_isyieldable(L)) {
      s->forced = true;
      lua_yield(L, 0);
      return;
    }
    /* the hook stays: whatever catches this error is interrupted again */
    luaL_error(L, "%s used more CPU than it may", t->name);
  }
  if (slice < TASK_SLICE_NS * 3 / 4) {
    lua_sethook(L, NULL, 0, 0); /* the timer comes again */
    return;
  }
  if (!lua_isyieldable(L)) {
    if (t->budget_ns && !t->immediate && slice > TASK_STRETCH_NS) {
      luaL_error(L,
                 "ended after %d ms of CPU in a metamethod that a function of the library has called (tostring, "
                 "table.concat, …): it holds everything else up; do less there",
                 (int)(slice / NS_PER_MS));
    }
    /* a metamethod, say: the timer would hit the next one, never the moment between two calls */
    lua_sethook(L, hook, LUA_MASKRET | LUA_MASKCOUNT, 1000);
    return;
  }
  lua_sethook(L, NULL, 0, 0);
  s->forced = true;
  lua_yield(L, 0);
}

int guard_open(struct sched *s, struct err *err) {
  struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigemptyset(&sa.sa_mask);
  sigset_t unblock;
  sigemptyset(&unblock);
  sigaddset(&unblock, SIGVTALRM);
  struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGVTALRM};
  ev._sigev_un._tid = gettid();
  s->stuck_ns = TASK_STUCK_NS;
  if (sigaction(SIGVTALRM, &sa, NULL) || sigprocmask(SIG_UNBLOCK, &unblock, NULL) ||
      timer_create(CLOCK_MONOTONIC, &ev, &s->timer))
    return err_errno(err, -errno, "cannot make the timer that guards scripts");
  return 0;
}

void guard_close(struct sched *s) { timer_delete(s->timer); }

void guard_interrupt(lua_State *co) {
  if (!co) co = running;
  if (co) lua_sethook(co, hook, LUA_MASKCOUNT, 1);
}

int guard_resume(struct sched *s, struct task *t, lua_State *from, int nargs, int *nresults) {
  struct task *outer = s->current;
  lua_State *was = running;
  s->current = t;
  s->forced = false;
  running = t->co;
  vm_limit(t->vm, t->memory_max);
  int status = lua_resume(t->co, from, nargs, nresults);
  vm_limit(t->vm, 0);
  running = was;
  account(s, t);
  s->current = outer;
  lua_sethook(t->co, NULL, 0, 0);
  return status;
}

/* Runs what is still to be closed in the thread, with little CPU. */
void guard_close_thread(struct sched *s, struct task *t) {
  struct task *outer = s->current;
  lua_State *was = running;
  bool was_armed = s->armed;
  s->current = t;
  t->immediate = true;
  t->told = true; /* an error is no use here */
  t->budget_ns = t->used_ns + TASK_STRETCH_NS;
  t->where[0] = 0;
  guard_arm(s);
  running = t->co;
  lua_resetthread(t->co);
  running = was;
  account(s, t);
  if (!was_armed) guard_disarm(s);
  s->current = outer;
}

/* "FILE:LINE: " of the innermost Lua function, of which a failed thread still knows; else "". */
static void find_place(lua_State *co, char *out, size_t size) {
  lua_Debug ar;
  out[0] = 0;
  for (int level = 0; lua_getstack(co, level, &ar); level++) {
    if (!lua_getinfo(co, "Sl", &ar) || ar.currentline <= 0) continue;
    snprintf(out, size, "%s:%d: ", ar.short_src, ar.currentline);
    return;
  }
}

/* The message of an error value, without running anything of the script's. A text names its place by itself. */
const char *guard_message(lua_State *co, int status, char *out, size_t size) {
  char place[LUA_IDSIZE + 16];
  find_place(co, place, sizeof place);
  if (status == LUA_ERRMEM && place[0]) {
    snprintf(out, size, "%snot enough memory", place);
    return out;
  }
  int type = lua_type(co, -1);
  const char *text = NULL;
  if (type == LUA_TSTRING) {
    text = lua_tostring(co, -1);
  } else if (type == LUA_TTABLE && lua_checkstack(co, 2)) {
    lua_pushnil(co);
    while (lua_next(co, -2)) { /* no new string is made here, so nothing can fail */
      if (lua_type(co, -2) == LUA_TSTRING && STR_EQ(lua_tostring(co, -2), "message") && lua_type(co, -1) == LUA_TSTRING)
        text = lua_tostring(co, -1);
      lua_pop(co, 1);
    }
  }
  if (!text)
    snprintf(out, size, "%serror value is a %s, not a text", place, lua_typename(co, type));
  else
    str_copy(out, size, text);
  return out;
}

int sched_run_now(struct sched *s, lua_State *co, int nargs, int64_t limit_ns, int *nresults, struct err *err) {
  struct task t = {.sched = s, .co = co, .immediate = true, .budget_ns = limit_ns, .state = TASK_RUNNING};
  str_copy(t.name, sizeof t.name, "loading");
  bool was_armed = s->armed;
  guard_arm(s);
  int status;
  do {
    status = guard_resume(s, &t, NULL, nargs, nresults);
    nargs = 0;
  } while (status == LUA_YIELD && !*t.where);
  int rc = 0;
  char text[ERR_MSG_MAX];
  if (*t.where)
    rc = err_set(err, -ETIME, "%s: still not loaded after %d ms of CPU: a loop at top level?", t.where,
                 (int)(limit_ns / NS_PER_MS));
  else if (status != LUA_OK)
    rc = err_set(err, status == LUA_ERRMEM ? -ENOMEM : -EINVAL, "%s", guard_message(co, status, text, sizeof text));
  if (rc) guard_close_thread(s, &t);
  if (!was_armed) guard_disarm(s);
  return rc;
}

int sched_resume_inner(lua_State *co, lua_State *from, int nargs, int *nresults, bool *forced) {
  struct sched *s = lua_owner(from)->sched;
  if (fired || (s->current && s->current->ending && !s->current->told)) lua_sethook(co, hook, LUA_MASKCOUNT, 1);
  s->forced = false;
  running = co;
  int status = lua_resume(co, from, nargs, nresults);
  running = from;
  *forced = status == LUA_YIELD && s->forced;
  lua_sethook(co, NULL, 0, 0);
  if (fired) lua_sethook(from, hook, LUA_MASKCOUNT, 1);
  return status;
}

bool sched_is_task(lua_State *L) {
  const struct task *t = lua_owner(L)->sched->current;
  return t && t->co == L;
}

bool sched_is_over(lua_State *L) {
  const struct task *t = lua_owner(L)->sched->current;
  return t && *t->where;
}

int sched_close_inner(lua_State *co, lua_State *from) {
  running = co;
  int status = lua_resetthread(co);
  running = from;
  lua_sethook(co, NULL, 0, 0);
  if (fired) lua_sethook(from, hook, LUA_MASKCOUNT, 1);
  return status;
}
