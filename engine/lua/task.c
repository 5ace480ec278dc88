#include "lua/task.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "lua/l.h"
#include "lua/task_inner.h"

enum { SLOT_BITS = 16 };
_Static_assert(LIMIT_TASKS < 1 << SLOT_BITS, "a slot fits into a token");

struct sched *sched_new(struct loop *loop, struct err *err) {
  struct sched *s = calloc(1, sizeof *s);
  if (!s) {
    err_set(err, -ENOMEM, "no memory for the scheduler of scripts");
    return NULL;
  }
  s->loop = loop;
  if (guard_open(s, err)) {
    free(s);
    return NULL;
  }
  return s;
}

int64_t sched_used_ns(const struct sched *s) { return s->used_ns; }

void sched_free(struct sched *s) {
  if (!s) return;
  loop_on_turn(s->loop, NULL, NULL);
  guard_close(s);
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

/* Two lanes: who has used up a slice waits with his like, so that runaways, however many, delay no short task by more
 * than a slice of one of them. In front of the short ones: prompts, where somebody sits who wants to see what is
 * wrong. */
static void queue(struct task *t) {
  struct sched *s = t->sched;
  struct lane *lane = t->greedy ? &s->greedy : &s->quick;
  t->state = TASK_READY;
  t->next = NULL;
  if (t->once && !t->greedy) {
    t->next = lane->head;
    lane->head = t;
    if (!lane->tail) lane->tail = t;
  } else {
    if (lane->tail)
      lane->tail->next = t;
    else
      lane->head = t;
    lane->tail = t;
  }
  s->n_ready++;
  wake_loop(s);
}

static struct task *unqueue(struct sched *s, bool greedy_first) {
  bool from_greedy = s->greedy.head && (greedy_first || !s->quick.head);
  struct lane *lane = from_greedy ? &s->greedy : &s->quick;
  struct task *t = lane->head;
  lane->head = t->next;
  if (!lane->head) lane->tail = NULL;
  s->n_ready--;
  return t;
}

static void unlink_ready(struct task *t) {
  struct lane *lane = t->greedy ? &t->sched->greedy : &t->sched->quick;
  struct task *before = NULL;
  for (struct task *p = lane->head; p; before = p, p = p->next) {
    if (p != t) continue;
    if (before)
      before->next = t->next;
    else
      lane->head = t->next;
    if (lane->tail == t) lane->tail = before;
    t->sched->n_ready--;
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
                     .immediate = spec->loading,
                     .budget_ns = spec->budget_ns,
                     .done = spec->done,
                     .dropped = spec->dropped,
                     .arg = spec->arg,
                     .print = spec->print,
                     .print_arg = spec->print_arg,
                     .effects = spec->effects,
                     .memory_max = spec->memory_max,
                     .once = spec->once};
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

static void close_thread(struct sched *s, struct task *t) {
  if (!t->vm) return; /* its state went meanwhile */
  guard_close_thread(s, t);
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

static void fail(struct task *t, int status) {
  struct err err = ERR_INIT;
  char text[ERR_MSG_MAX];
  if (t->ending) {
    err_set(&err, t->why == TASK_TIMEOUT ? -ETIMEDOUT : -ECANCELED, "%s", guard_end_text(t->why));
    finish(t, t->why, 0, &err);
    return;
  }
  if (*t->where)
    err_set(&err, -ETIME, "%s: ended after %lld ms of CPU, %lld ms are allowed; shorten the work or wait in between",
            t->where, (long long)(t->used_ns / NS_PER_MS), (long long)(t->budget_ns / NS_PER_MS));
  else
    err_set(&err, status == LUA_ERRMEM ? -ENOMEM : -EINVAL, "%s", guard_message(t->co, status, text, sizeof text));
  finish(t, TASK_ERROR, 0, &err);
}

static void run(struct sched *s, struct task *t) {
  if (t->ending && !t->started) {
    fail(t, LUA_OK);
    return;
  }
  t->state = TASK_RUNNING;
  task_push_fn *push = t->push;
  void *data = t->data;
  void (*drop)(void *) = t->drop;
  t->woken_push = push;
  t->woken_data = data;
  t->push = NULL;
  t->drop = NULL;
  t->data = NULL;
  t->completed = false;
  if (t->ending && !t->told && !t->suspended) guard_interrupt(t->co);
  t->suspended = false;
  int nargs = t->started ? 0 : t->nargs;
  t->started = true;
  int nres = 0;
  int status = guard_resume(s, t, t->main, nargs, &nres);
  if (t->vm->state) vm_state_touched(t->vm);
  if (drop) drop(data);
  if (status == LUA_YIELD) {
    lua_pop(t->co, nres);
    if (t->suspended) {
      t->state = TASK_WAITING;
      t->greedy = false;
      if (t->ending) stop_operation(t);
      if (t->completed || t->ending) queue(t);
    } else if (*t->where) {
      fail(t, status);
    } else {
      t->greedy = true;
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
  if (!s->n_ready) return;
  guard_arm(s);
  int64_t until = s->mark_ns + TASK_SLICE_NS;
  s->greedy_turn = !s->greedy_turn; /* short ones without end do not shut out the others either */
  bool greedy_first = s->greedy_turn;
  for (uint32_t n = s->n_ready; n && s->n_ready; n--) {
    run(s, unqueue(s, greedy_first));
    greedy_first = false;
    if (s->mark_ns > until) break;
  }
  guard_disarm(s);
  if (s->n_ready) wake_loop(s);
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
  } else if (t->state == TASK_RUNNING) {
    guard_interrupt(NULL);
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

uint64_t task_current(const struct sched *s) { return s->current ? token_of(s->current, s->current->birth) : 0; }

void task_room(struct sched *s, uint64_t id) {
  struct task *t = find(s, id);
  if (!t || !id || t->state == TASK_FREE || token_of(t, t->birth) != id) return;
  t->print_full = false;
  uint64_t token = t->print_waits;
  t->print_waits = 0;
  if (token) task_ready(s, token, NULL, NULL, NULL);
}

unsigned task_count(const struct sched *s) { return s->n_tasks; }
unsigned task_count_of(const struct sched *s, const struct vm *vm) {
  unsigned n = 0;
  for (uint32_t i = 0; i < s->n_slots; i++) n += s->slots[i]->state != TASK_FREE && s->slots[i]->vm == vm;
  return n;
}
uint64_t task_stale(const struct sched *s) { return s->stale; }

/* --- waiting --- */

void task_may_wait(lua_State *L) {
  struct task *t = lua_owner(L)->sched->current;
  if (!t || t->immediate) {
    l_raise(L, "cannot wait here: only in a task (a check, a handler, a timer), not while a file loads");
    return;
  }
  if (L != t->co) l_raise(L, "wait only in a task, not inside a coroutine of your own");
  if (t->ending) guard_raise_end(L, t);
  if (!lua_isyieldable(L))
    l_raise(L, "cannot wait inside a metamethod that a function of the library has called (tostring, table.concat, …)");
}

uint64_t task_wait(lua_State *L) {
  task_may_wait(L);
  struct task *t = lua_owner(L)->sched->current;
  t->waits = ++t->stamp;
  t->completed = false;
  return token_of(t, t->waits);
}

static int l_woken(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  struct task *t = lua_owner(L)->sched->current;
  if (t->ending) return guard_raise_end(L, t);
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
