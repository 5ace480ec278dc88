#include "loop/loop.h"

#include <errno.h>
#include <ev.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"

struct deferred {
  loop_fn *fn;
  void *arg;
};

struct loop {
  struct ev_loop *ev;
  ev_prepare prepare;
  ev_idle idle; /* active while deferred work waits, so that the loop does not sleep */
  struct deferred *queue;
  size_t n, cap;
  struct deferred *running; /* those of this turn; the two take turns */
  size_t running_n, running_cap;
  loop_fn *turn;
  void *turn_arg;
  loop_lag_fn *lag;
  void *lag_arg;
  int64_t now_ns;
  struct timer *armed; /* all that are, in no order */
  unsigned n_armed;
  int alive_fd;             /* -1: nobody watches */
  int64_t alive_ns;         /* it comes then; TIME_NEVER: it is off */
  struct timer *awake;      /* where there are too many timers to look through: makes the loop wake up in time */
  unsigned timers, watches; /* that there are */
};

struct timer {
  struct loop *loop;
  struct timer *next, **link; /* among those that are armed; link NULL: it is not */
  int64_t due_ns;
  ev_timer ev; /* its data is the argument: each check has a timer, so they are small */
  loop_fn *fn;
};

struct watch {
  struct loop *loop;
  ev_io ev;
  watch_fn *fn;
  void *arg;
};

/* --- alive ------------------------------------------------------------------------------------------------------- */

enum { FEW_TIMERS = 64 };
#define LATE_NS (5 * NS_PER_S)
#define LATE_LEAST_NS (3 * NS_PER_S)
#define LATE_MOST_NS (8 * NS_PER_S)

static void arm_alive(struct loop *loop, int64_t at_ns) {
  if (loop->alive_ns == at_ns) return;
  struct itimerspec when = {.it_value = {0, 0}};
  if (at_ns != TIME_NEVER) when.it_value = (struct timespec){at_ns / NS_PER_S, at_ns % NS_PER_S};
  loop->alive_ns = at_ns;
  timerfd_settime(loop->alive_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Before the loop sleeps. A call of the system only when the present setting is far off. */
static void say_alive(struct loop *loop) {
  int64_t due = TIME_NEVER;
  if (loop->n_armed <= FEW_TIMERS) {
    for (const struct timer *t = loop->armed; t; t = t->next)
      if (t->due_ns < due) due = t->due_ns;
    if (due != TIME_NEVER && due < loop->now_ns) due = loop->now_ns;
  } else {
    due = loop->now_ns + LATE_NS;
    if (!loop->awake->link) timer_after(loop->awake, LATE_NS);
  }
  if (due == TIME_NEVER)
    arm_alive(loop, TIME_NEVER);
  else if (loop->alive_ns < due + LATE_LEAST_NS || loop->alive_ns > due + LATE_MOST_NS)
    arm_alive(loop, due + LATE_NS);
}

static void on_awake(void *arg) { (void)arg; }

int loop_alive(struct loop *loop, int *fd) {
  if (!loop->awake) loop->awake = timer_new(loop, on_awake, loop);
  if (!loop->awake) return -ENOMEM;
  if (loop->alive_fd < 0) loop->alive_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (loop->alive_fd < 0) return -errno;
  *fd = loop->alive_fd;
  return 0;
}

static void note_armed(struct timer *t) {
  struct loop *loop = t->loop;
  if (t->link) return;
  t->next = loop->armed;
  t->link = &loop->armed;
  if (t->next) t->next->link = &t->next;
  loop->armed = t;
  loop->n_armed++;
}

static void note_stopped(struct timer *t) {
  if (!t->link) return;
  *t->link = t->next;
  if (t->next) t->next->link = t->link;
  t->link = NULL;
  t->loop->n_armed--;
}

/* --- turns ------------------------------------------------------------------------------------------------------- */

static void run_deferred(struct loop *loop) {
  /* what is deferred by these waits for the next round of this function */
  struct deferred *queue = loop->queue;
  size_t cap = loop->cap;
  loop->queue = loop->running;
  loop->cap = loop->running_cap;
  loop->running = queue;
  loop->running_cap = cap;
  loop->running_n = loop->n;
  loop->n = 0;
  for (size_t i = 0; i < loop->running_n; i++)
    if (queue[i].fn) queue[i].fn(queue[i].arg);
  loop->running_n = 0;
}

static void on_prepare(struct ev_loop *ev, ev_prepare *w, int revents) {
  (void)revents;
  struct loop *loop = w->data;
  loop->now_ns = clock_mono_ns();
  if (loop->n) run_deferred(loop);
  if (loop->turn) loop->turn(loop->turn_arg);
  if (loop->n)
    ev_idle_start(ev, &loop->idle);
  else
    ev_idle_stop(ev, &loop->idle);
  /* callbacks of this turn saw the time of its start; timers armed by them count from now */
  ev_now_update(ev);
  if (loop->alive_fd >= 0) say_alive(loop);
}

static void on_idle(struct ev_loop *ev, ev_idle *w, int revents) {
  (void)ev;
  (void)w;
  (void)revents;
}

struct loop *loop_new(void) {
  struct loop *loop = calloc(1, sizeof *loop);
  if (!loop) return NULL;
  loop->ev = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
  if (!loop->ev) {
    free(loop);
    return NULL;
  }
  loop->alive_fd = -1;
  loop->alive_ns = TIME_NEVER;
  loop->now_ns = clock_mono_ns();
  ev_prepare_init(&loop->prepare, on_prepare);
  loop->prepare.data = loop;
  ev_prepare_start(loop->ev, &loop->prepare);
  ev_idle_init(&loop->idle, on_idle);
  return loop;
}

void loop_free(struct loop *loop) {
  if (!loop) return;
  timer_free(loop->awake);
  if (loop->alive_fd >= 0) close(loop->alive_fd);
  ev_loop_destroy(loop->ev);
  free(loop->queue);
  free(loop->running);
  free(loop);
}

void loop_run(struct loop *loop) { ev_run(loop->ev, 0); }

void loop_stop(struct loop *loop) { ev_break(loop->ev, EVBREAK_ALL); }

int64_t loop_now_ns(const struct loop *loop) { return loop->now_ns; }

int64_t loop_update_now(struct loop *loop) {
  ev_now_update(loop->ev);
  return loop->now_ns = clock_mono_ns();
}

static void on_timer(struct ev_loop *ev, ev_timer *w, int revents) {
  (void)ev;
  (void)revents;
  struct timer *t = (struct timer *)((char *)w - offsetof(struct timer, ev));
  int64_t now = t->loop->now_ns = clock_mono_ns();
  note_stopped(t);
  if (t->loop->lag) t->loop->lag(t->loop->lag_arg, now > t->due_ns ? now - t->due_ns : 0);
  t->fn(w->data);
}

struct timer *timer_new(struct loop *loop, loop_fn *fn, void *arg) {
  struct timer *t = calloc(1, sizeof *t);
  if (!t) return NULL;
  t->loop = loop;
  t->fn = fn;
  loop->timers++;
  ev_timer_init(&t->ev, on_timer, 0., 0.);
  t->ev.data = arg;
  return t;
}

void timer_after(struct timer *t, int64_t delay_ns) {
  timer_stop(t);
  if (delay_ns == TIME_NEVER) return;
  /* libev counts from its own idea of now, which is as old as the turn */
  ev_tstamp late = ev_time() - ev_now(t->loop->ev);
  if (late < 0 || late > 1) late = 0;
  if (delay_ns < 0) delay_ns = 0;
  t->due_ns = clock_mono_ns() + delay_ns;
  ev_timer_set(&t->ev, (double)delay_ns / (double)NS_PER_S + late, 0.);
  ev_timer_start(t->loop->ev, &t->ev);
  note_armed(t);
}

void timer_at(struct timer *t, int64_t due_ns) {
  timer_after(t, due_ns == TIME_NEVER ? TIME_NEVER : due_ns - clock_mono_ns());
}

void timer_stop(struct timer *t) {
  ev_timer_stop(t->loop->ev, &t->ev);
  note_stopped(t);
}

void timer_free(struct timer *t) {
  if (!t) return;
  timer_stop(t);
  t->loop->timers--;
  free(t);
}

static void on_io(struct ev_loop *ev, ev_io *w, int revents) {
  (void)ev;
  struct watch *watch = w->data;
  watch->loop->now_ns = clock_mono_ns();
  int events = (revents & EV_READ ? WATCH_READ : 0) | (revents & EV_WRITE ? WATCH_WRITE : 0);
  watch->fn(watch->arg, w->fd, events);
}

static int to_ev(int events) { return (events & WATCH_READ ? EV_READ : 0) | (events & WATCH_WRITE ? EV_WRITE : 0); }

struct watch *watch_new(struct loop *loop, int fd, int events, watch_fn *fn, void *arg) {
  struct watch *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  w->loop = loop;
  w->fn = fn;
  w->arg = arg;
  loop->watches++;
  ev_io_init(&w->ev, on_io, fd, to_ev(events));
  w->ev.data = w;
  if (events) ev_io_start(loop->ev, &w->ev);
  return w;
}

void watch_set(struct watch *w, int fd, int events) {
  ev_io_stop(w->loop->ev, &w->ev);
  ev_io_set(&w->ev, fd, to_ev(events));
  if (events) ev_io_start(w->loop->ev, &w->ev);
}

void watch_events(struct watch *w, int events) {
  if (to_ev(events) == (w->ev.events & (EV_READ | EV_WRITE)) && ev_is_active(&w->ev) == (events != 0)) return;
  watch_set(w, w->ev.fd, events);
}

void watch_free(struct watch *w) {
  if (!w) return;
  ev_io_stop(w->loop->ev, &w->ev);
  w->loop->watches--;
  free(w);
}

unsigned loop_timers(const struct loop *loop) { return loop->timers; }

unsigned loop_watches(const struct loop *loop) { return loop->watches; }

int loop_defer(struct loop *loop, loop_fn *fn, void *arg) {
  if (loop->n == loop->cap) {
    size_t cap = loop->cap ? loop->cap * 2 : 16;
    struct deferred *p = realloc(loop->queue, cap * sizeof *p);
    if (!p) return -ENOMEM;
    loop->queue = p;
    loop->cap = cap;
  }
  loop->queue[loop->n++] = (struct deferred){fn, arg};
  if (!ev_is_active(&loop->idle)) ev_idle_start(loop->ev, &loop->idle);
  return 0;
}

static void cancel(struct deferred *list, size_t n, loop_fn *fn, const void *arg) {
  for (size_t i = 0; i < n; i++)
    if (list[i].fn == fn && list[i].arg == arg) list[i].fn = NULL;
}

void loop_cancel(struct loop *loop, loop_fn *fn, const void *arg) {
  cancel(loop->queue, loop->n, fn, arg);
  cancel(loop->running, loop->running_n, fn, arg);
}

void loop_on_turn(struct loop *loop, loop_fn *fn, void *arg) {
  loop->turn = fn;
  loop->turn_arg = arg;
}

void loop_on_lag(struct loop *loop, loop_lag_fn *fn, void *arg) {
  loop->lag = fn;
  loop->lag_arg = arg;
}
