/* Tasks from inside, for task.c (life, queue, waiting) and guard.c (CPU). */
#ifndef TEND_LUA_TASK_INNER_H
#define TEND_LUA_TASK_INNER_H

#include <signal.h>
#include <time.h>

#include "base/limits.h"
#include "lua/task.h"

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
  task_print_fn *print;
  void *print_arg;
  bool print_full;           /* the reader is slow */
  uint64_t print_waits;      /* the token of a print that waits for it, 0: none */
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
  struct effects *effects;
  size_t memory_max;
  bool once;
  bool greedy; /* it has used up a slice since it waited last */
  struct task *next;
};

struct sched {
  int64_t used_ns; /* of all tasks */
  struct loop *loop;
  uint32_t n_slots, n_tasks, n_ready, n_free;
  struct lane {
    struct task *head, *tail;
  } quick, greedy;
  bool greedy_turn; /* this turn begins with a greedy one */
  struct task *current;
  struct task *finishing; /* its done callback runs */
  int64_t mark_ns;        /* CPU clock at the start of this resume */
  int64_t begun_ns;       /* the same on the monotonic clock */
  int64_t seen_ns;        /* CPU clock when the hook was called last */
  int64_t stuck_ns;       /* so long without a hook or a new resume: see sched_on_stuck */
  struct keep_culprit *culprit;
  bool forced; /* the hook yielded */
  timer_t timer;
  bool armed;
  bool deferred; /* a wake-up of the loop is queued */
  uint64_t stale;
  struct task *slots[LIMIT_TASKS]; /* last: what is not used of them is never touched */
  uint32_t free[LIMIT_TASKS];
};

/* The timer and its signal. */
int guard_open(struct sched *s, struct err *err);
void guard_close(struct sched *s);
/* While armed, whoever runs too long is interrupted. Takes the mark. */
void guard_arm(struct sched *s);
void guard_disarm(struct sched *s);
/* lua_resume of a task, on its account. from may be NULL. */
int guard_resume(struct sched *s, struct task *t, lua_State *from, int nargs, int *nresults);
/* The coroutine is interrupted at its next instruction; NULL: whoever runs now, if any. */
void guard_interrupt(lua_State *co);
/* Raises the end of a task in it. */
int guard_raise_end(lua_State *L, struct task *t);
const char *guard_end_text(enum task_end why);
/* Runs what is still to be closed in the thread, with little CPU. */
void guard_close_thread(struct sched *s, struct task *t);
/* The message of the error value on top of co, without running anything of the script's. status is the one that
 * lua_resume gave. Returns out. */
const char *guard_message(lua_State *co, int status, char *out, size_t size);

#endif
