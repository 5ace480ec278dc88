#include "lua/task.h"

#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "lua/l.h"

enum { SLOT_BITS = 16 };
_Static_assert(LIMIT_TASKS < 1 << SLOT_BITS, "a slot fits into a token");

enum task_state { TASK_FREE, TASK_READY, TASK_RUNNING, TASK_WAITING };

struct task {
  struct sched *sched;
  struct vm *vm;
  lua_State *main, *co;
  int ref; /* of co in the registry */
  uint32_t slot;
  uint64_t stamp; /* the slot's counter: grows with each start, wait and end */
  uint64_t birth; /* stamp at the start: the id */
  uint64_t waits; /* stamp of the present token, 0: none */
  enum task_state state;
  bool started, suspended;
  bool immediate; /* sched_run_now: no waiting */
  int nargs;
  char name[2 * LIMIT_NAME];
  int64_t budget_ns, used_ns;
  task_done_fn *done;
  void (*dropped)(void *arg);
  void *arg;
  struct timer *deadline;
  void (*cancel)(void *arg); /* of the pending operation */
  void *cancel_arg;
  task_push_fn *push; /* what it completed with */
  void *data;
  void (*drop)(void *data);
  bool completed;
  task_push_fn *woken_push; /* the same, taken over for the resume that runs */
  void *woken_data;
  bool ending, told, quiet;
  enum task_end why;
  int64_t grace_ns; /* used_ns at which an ending task is closed */
  char where[128];  /* file:line where it ran over */
  struct task *next;
};

struct sched {
  struct loop *loop;
  struct task *slots[LIMIT_TASKS];
  uint32_t n_slots, n_tasks, n_ready;
  uint32_t free[LIMIT_TASKS];
  uint32_t n_free;
  struct task *head, *tail;
  struct task *current;
  struct task *finishing; /* its done callback runs */
  int64_t mark_ns;        /* CPU clock at the start of this resume */
  bool forced;            /* the hook yielded */
  timer_t timer;
  bool armed;
  bool deferred; /* a wake-up of the loop is queued */
  uint64_t stale;
};

/* What the signal handler may touch. One thread runs Lua. */
static lua_State *volatile running;
static volatile sig_atomic_t fired;

static void hook(lua_State *L, lua_Debug *ar);

static void on_signal(int sig) {
  (void)sig;
  lua_State *L = running;
  fired = 1;
  if (L) lua_sethook(L, hook, LUA_MASKCOUNT, 1);
}

static int64_t cpu_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void guard_arm(struct sched *s) {
  const struct itimerspec when = {.it_value = {0, TASK_SLICE_NS}, .it_interval = {0, TASK_SLICE_NS / 5}};
  if (!s->armed) timer_settime(s->timer, 0, &when, NULL);
  s->armed = true;
  s->mark_ns = cpu_ns();
}

static void guard_disarm(struct sched *s) {
  const struct itimerspec off = {0};
  if (s->armed) timer_settime(s->timer, 0, &off, NULL);
  s->armed = false;
}

/* Adds what was used since the mark to the task. */
static void guard_account(struct sched *s, struct task *t) {
  int64_t now = cpu_ns();
  t->used_ns += now - s->mark_ns;
  s->mark_ns = now;
}

static const char *end_code(enum task_end why) { return why == TASK_TIMEOUT ? "timeout" : "cancelled"; }

static const char *end_text(enum task_end why) { return why == TASK_TIMEOUT ? "the time limit is over" : "cancelled"; }

static int raise_end(lua_State *L, struct task *t) {
  if (!t->told) {
    t->told = true;
    t->grace_ns = t->used_ns + (cpu_ns() - t->sched->mark_ns) + TASK_SLICE_NS;
  }
  l_push_error(L, end_code(t->why), "%s: %s", t->name, end_text(t->why));
  return lua_error(L);
}

static void hook(lua_State *L, lua_Debug *ar) {
  struct sched *s = lua_owner(L)->sched;
  struct task *t = s->current;
  fired = 0;
  if (!t || !running) { /* set by a signal that came as the run ended */
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  if (t->ending && !t->told) {
    lua_sethook(L, NULL, 0, 0);
    raise_end(L, t);
  }
  int64_t slice = cpu_ns() - s->mark_ns;
  int64_t used = t->used_ns + slice;
  bool over = (t->budget_ns && used > t->budget_ns) || (t->ending && used > t->grace_ns);
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
  if (slice < TASK_SLICE_NS || !lua_isyieldable(L)) {
    lua_sethook(L, NULL, 0, 0); /* the timer comes again */
    return;
  }
  lua_sethook(L, NULL, 0, 0);
  s->forced = true;
  lua_yield(L, 0);
}

struct sched *sched_new(struct loop *loop, struct err *err) {
  struct sched *s = calloc(1, sizeof *s);
  if (!s) {
    err_set(err, -ENOMEM, "no memory for the scheduler of scripts");
    return NULL;
  }
  s->loop = loop;
  struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigemptyset(&sa.sa_mask);
  sigset_t unblock;
  sigemptyset(&unblock);
  sigaddset(&unblock, SIGVTALRM);
  struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGVTALRM};
  ev._sigev_un._tid = gettid();
  if (sigaction(SIGVTALRM, &sa, NULL) || sigprocmask(SIG_UNBLOCK, &unblock, NULL) ||
      timer_create(CLOCK_THREAD_CPUTIME_ID, &ev, &s->timer)) {
    err_errno(err, -errno, "cannot make the timer that guards scripts");
    free(s);
    return NULL;
  }
  return s;
}

void sched_free(struct sched *s) {
  if (!s) return;
  if (s->n_tasks == 0) loop_on_turn(s->loop, NULL, NULL);
  timer_delete(s->timer);
  for (uint32_t i = 0; i < s->n_slots; i++) {
    timer_free(s->slots[i]->deadline);
    free(s->slots[i]);
  }
  free(s);
}

/* --- the queue --- */

static void on_turn(void *arg);

static void on_wake(void *arg) { ((struct sched *)arg)->deferred = false; }

/* The loop must not sleep while something is ready: work queued inside of its turn is not seen otherwise. */
static void wake_loop(struct sched *s) {
  if (!s->deferred && loop_defer(s->loop, on_wake, s) == 0) s->deferred = true;
}

static void queue(struct task *t) {
  struct sched *s = t->sched;
  t->state = TASK_READY;
  t->next = NULL;
  if (s->tail)
    s->tail->next = t;
  else
    s->head = t;
  s->tail = t;
  s->n_ready++;
  wake_loop(s);
}

static struct task *unqueue(struct sched *s) {
  struct task *t = s->head;
  s->head = t->next;
  if (!s->head) s->tail = NULL;
  s->n_ready--;
  return t;
}

static void unlink_ready(struct task *t) {
  struct sched *s = t->sched;
  struct task *before = NULL;
  for (struct task *p = s->head; p; before = p, p = p->next) {
    if (p != t) continue;
    if (before)
      before->next = t->next;
    else
      s->head = t->next;
    if (s->tail == t) s->tail = before;
    s->n_ready--;
    return;
  }
}

static struct task *find(struct sched *s, uint64_t id) {
  uint32_t slot = id & ((1u << SLOT_BITS) - 1);
  return slot < s->n_slots ? s->slots[slot] : NULL;
}

static uint64_t token_of(const struct task *t, uint64_t stamp) { return stamp << SLOT_BITS | t->slot; }

/* --- life of a task --- */

static void on_deadline(void *arg) {
  struct task *t = arg;
  if (t->state != TASK_FREE) task_cancel(t->sched, token_of(t, t->birth), TASK_TIMEOUT, false);
}

static struct task *slot_take(struct sched *s) {
  if (s->n_free) return s->slots[s->free[--s->n_free]];
  if (s->n_slots == LIMIT_TASKS) return NULL;
  struct task *t = calloc(1, sizeof *t);
  if (!t) return NULL;
  t->sched = s;
  t->slot = s->n_slots;
  s->slots[s->n_slots++] = t;
  return t;
}

static void slot_give(struct task *t) {
  struct sched *s = t->sched;
  t->state = TASK_FREE;
  t->waits = 0;
  t->stamp++;
  t->co = NULL;
  t->vm = NULL;
  s->free[s->n_free++] = t->slot;
  s->n_tasks--;
}

static int l_create(lua_State *L) {
  struct task *t = lua_touserdata(L, 1);
  t->co = lua_newthread(L);
  t->ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

uint64_t task_start(struct sched *s, struct vm *vm, lua_State *L, int nargs, const struct task_spec *spec,
                    struct err *err) {
  struct task *t = slot_take(s);
  if (!t) {
    lua_pop(L, nargs + 1);
    err_set(err, -EAGAIN, "%s: %u tasks run already, there can be no more", spec->name, s->n_tasks);
    return 0;
  }
  struct timer *deadline = t->deadline;
  *t = (struct task){.sched = s,
                     .vm = vm,
                     .main = L,
                     .ref = LUA_NOREF,
                     .slot = t->slot,
                     .stamp = t->stamp + 1,
                     .birth = t->stamp + 1,
                     .deadline = deadline,
                     .nargs = nargs,
                     .budget_ns = spec->budget_ns,
                     .done = spec->done,
                     .dropped = spec->dropped,
                     .arg = spec->arg};
  s->n_tasks++;
  str_copy(t->name, sizeof t->name, spec->name);
  bool ok = spec->deadline_ns == TIME_NEVER || t->deadline || (t->deadline = timer_new(s->loop, on_deadline, t));
  if (ok && (ok = lua_checkstack(L, 4))) {
    lua_pushcfunction(L, l_create);
    lua_pushlightuserdata(L, t);
    if (lua_pcall(L, 1, 0, 0)) {
      lua_pop(L, 1);
      ok = false;
    }
  }
  if (ok && !lua_checkstack(t->co, nargs + 8)) {
    luaL_unref(L, LUA_REGISTRYINDEX, t->ref);
    ok = false;
  }
  if (!ok) {
    lua_pop(L, nargs + 1);
    slot_give(t);
    err_set(err, -ENOMEM, "%s: no memory for another task", spec->name);
    return 0;
  }
  lua_xmove(L, t->co, nargs + 1);
  if (spec->deadline_ns != TIME_NEVER) timer_at(t->deadline, spec->deadline_ns);
  loop_on_turn(s->loop, on_turn, s);
  queue(t);
  return token_of(t, t->birth);
}

static void drop_result(struct task *t) {
  if (t->drop) t->drop(t->data);
  t->push = NULL;
  t->drop = NULL;
  t->data = NULL;
  t->completed = false;
}

static void stop_operation(struct task *t) {
  void (*cancel)(void *) = t->cancel;
  t->cancel = NULL;
  t->waits = 0;
  if (cancel) cancel(t->cancel_arg);
}

/* Runs what is still to be closed in the thread, with little CPU. */
static void close_guarded(struct sched *s, struct task *t) {
  struct task *outer = s->current;
  lua_State *was = running;
  bool was_armed = s->armed;
  s->current = t;
  t->immediate = true;
  t->told = true; /* an error is no use here */
  t->budget_ns = t->used_ns + TASK_SLICE_NS;
  t->where[0] = 0;
  guard_arm(s);
  running = t->co;
  lua_resetthread(t->co);
  running = was;
  guard_account(s, t);
  if (!was_armed) guard_disarm(s);
  s->current = outer;
}

static void close_thread(struct sched *s, struct task *t) {
  if (!t->vm) return; /* its state went meanwhile */
  close_guarded(s, t);
  luaL_unref(t->main, LUA_REGISTRYINDEX, t->ref);
}

static void finish(struct task *t, enum task_end end, int nresults, const struct err *err) {
  struct sched *s = t->sched;
  if (t->deadline) timer_stop(t->deadline);
  t->state = TASK_RUNNING; /* in no list */
  t->waits = 0;
  t->birth = 0; /* cannot be cancelled any more */
  struct task *outer = s->finishing;
  s->finishing = t;
  if (t->quiet && t->dropped)
    t->dropped(t->arg);
  else if (!t->quiet && t->done)
    t->done(t->arg, end, t->co, nresults, err);
  s->finishing = outer;
  drop_result(t);
  close_thread(s, t);
  slot_give(t);
}

/* The message of an error value, without running anything of the script's. */
static const char *message_of(lua_State *co, char *out, size_t size) {
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
    snprintf(out, size, "error value is a %s, not a text", lua_typename(co, type));
  else
    str_copy(out, size, text);
  return out;
}

static void fail(struct task *t, int status) {
  struct err err = ERR_INIT;
  char text[ERR_MSG_MAX];
  if (t->ending) {
    err_set(&err, t->why == TASK_TIMEOUT ? -ETIMEDOUT : -ECANCELED, "%s", end_text(t->why));
    finish(t, t->why, 0, &err);
    return;
  }
  if (*t->where)
    err_set(&err, -ETIME, "%s: ended after %lld ms of CPU, %lld ms are allowed; shorten the work or wait in between",
            t->where, (long long)(t->used_ns / NS_PER_MS), (long long)(t->budget_ns / NS_PER_MS));
  else
    err_set(&err, status == LUA_ERRMEM ? -ENOMEM : -EINVAL, "%s", message_of(t->co, text, sizeof text));
  finish(t, TASK_ERROR, 0, &err);
}

static void run(struct sched *s, struct task *t) {
  if (t->ending && !t->started) {
    fail(t, LUA_OK);
    return;
  }
  t->state = TASK_RUNNING;
  s->current = t;
  s->forced = false;
  task_push_fn *push = t->push;
  void *data = t->data;
  void (*drop)(void *) = t->drop;
  t->woken_push = push;
  t->woken_data = data;
  t->push = NULL;
  t->drop = NULL;
  t->data = NULL;
  t->completed = false;
  if (t->ending && !t->told && !t->suspended) lua_sethook(t->co, hook, LUA_MASKCOUNT, 1);
  t->suspended = false;
  int nargs = t->started ? 0 : t->nargs;
  t->started = true;
  int nres = 0;
  running = t->co;
  int status = lua_resume(t->co, t->main, nargs, &nres);
  running = NULL;
  guard_account(s, t);
  s->current = NULL;
  lua_sethook(t->co, NULL, 0, 0);
  if (drop) drop(data);
  if (status == LUA_YIELD) {
    lua_pop(t->co, nres);
    if (t->suspended) {
      t->state = TASK_WAITING;
      if (t->ending) stop_operation(t);
      if (t->completed || t->ending) queue(t);
    } else if (*t->where) {
      fail(t, status);
    } else {
      queue(t);
    }
  } else if (status == LUA_OK && !t->ending) {
    finish(t, TASK_DONE, nres, NULL);
  } else {
    fail(t, status);
  }
}

static void on_turn(void *arg) {
  struct sched *s = arg;
  if (!s->head) return;
  guard_arm(s);
  int64_t until = s->mark_ns + TASK_SLICE_NS;
  for (uint32_t n = s->n_ready; n && s->head; n--) {
    run(s, unqueue(s));
    if (s->mark_ns > until) break;
  }
  guard_disarm(s);
  if (s->head) wake_loop(s);
}

void task_cancel(struct sched *s, uint64_t id, enum task_end why, bool quiet) {
  struct task *t = find(s, id);
  if (!t || !id || t->state == TASK_FREE || token_of(t, t->birth) != id) return;
  if (quiet) t->quiet = true;
  if (t->ending) return;
  t->ending = true;
  t->why = why;
  if (t->state == TASK_WAITING) {
    stop_operation(t);
    queue(t);
  } else if (t->state == TASK_RUNNING && running) {
    lua_sethook(running, hook, LUA_MASKCOUNT, 1);
  }
}

void task_end_all(struct sched *s, const struct vm *vm) {
  if (s->finishing && s->finishing->vm == vm) {
    drop_result(s->finishing);
    s->finishing->vm = NULL;
  }
  for (uint32_t i = 0; i < s->n_slots; i++) {
    struct task *t = s->slots[i];
    if (t->state == TASK_FREE || t->vm != vm || t == s->finishing) continue;
    if (t->state == TASK_READY) unlink_ready(t);
    stop_operation(t);
    t->quiet = true;
    finish(t, TASK_CANCELLED, 0, NULL);
  }
}

const char *task_name(const struct sched *s) { return s->current ? s->current->name : ""; }
unsigned task_count(const struct sched *s) { return s->n_tasks; }
uint64_t task_stale(const struct sched *s) { return s->stale; }

/* --- waiting --- */

uint64_t task_wait(lua_State *L) {
  struct task *t = lua_owner(L)->sched->current;
  if (!t || t->immediate)
    luaL_error(L, "cannot wait here: only in a task (a check, a handler, a timer), not while a file loads");
  if (L != t->co) luaL_error(L, "wait only in a task, not inside a coroutine of your own");
  if (t->ending) raise_end(L, t);
  if (!lua_isyieldable(L))
    luaL_error(L, "cannot wait inside a sort comparator, a gsub function or an iterator's C call");
  t->waits = ++t->stamp;
  t->completed = false;
  return token_of(t, t->waits);
}

static int l_woken(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  struct task *t = lua_owner(L)->sched->current;
  if (t->ending) return raise_end(L, t);
  return t->woken_push ? t->woken_push(L, t->woken_data) : 0;
}

int task_suspend(lua_State *L, void (*cancel)(void *arg), void *arg) {
  struct task *t = lua_owner(L)->sched->current;
  t->suspended = true;
  if (!t->completed) {
    t->cancel = cancel;
    t->cancel_arg = arg;
  }
  return lua_yieldk(L, 0, 0, l_woken);
}

void task_ready(struct sched *s, uint64_t token, task_push_fn *push, void *data, void (*drop)(void *data)) {
  struct task *t = find(s, token);
  if (!t || t->state == TASK_FREE || !t->waits || token_of(t, t->waits) != token) {
    s->stale++;
    if (drop) drop(data);
    return;
  }
  t->waits = 0;
  t->cancel = NULL;
  t->push = push;
  t->data = data;
  t->drop = drop;
  t->completed = true;
  if (t->state == TASK_WAITING) queue(t);
}

/* --- for the environment --- */

int sched_run_now(struct sched *s, lua_State *co, int nargs, int64_t limit_ns, int *nresults, struct err *err) {
  struct task t = {.sched = s, .co = co, .immediate = true, .budget_ns = limit_ns, .state = TASK_RUNNING};
  str_copy(t.name, sizeof t.name, "loading");
  struct task *outer = s->current;
  lua_State *was = running;
  bool was_armed = s->armed;
  guard_arm(s);
  s->current = &t;
  int status;
  do {
    running = co;
    status = lua_resume(co, NULL, nargs, nresults);
    running = was;
    guard_account(s, &t);
    nargs = 0;
  } while (status == LUA_YIELD && !*t.where);
  lua_sethook(co, NULL, 0, 0);
  int rc = 0;
  char text[ERR_MSG_MAX];
  if (*t.where)
    rc = err_set(err, -ETIME, "%s: still not loaded after %d ms of CPU: a loop at top level?", t.where,
                 (int)(limit_ns / NS_PER_MS));
  else if (status != LUA_OK)
    rc = err_set(err, status == LUA_ERRMEM ? -ENOMEM : -EINVAL, "%s", message_of(co, text, sizeof text));
  if (rc) close_guarded(s, &t);
  if (!was_armed) guard_disarm(s);
  s->current = outer;
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
