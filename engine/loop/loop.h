/* The event loop: timers, descriptor watches, work after the present turn. One per engine, one thread.
 *
 * Callbacks may free the object that called them and any other. Nothing here blocks. Times are on
 * CLOCK_MONOTONIC. Objects are owned by who made them and must be freed before the loop.
 */
#ifndef TEND_LOOP_LOOP_H
#define TEND_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct timer;
struct watch;

typedef void loop_fn(void *arg);
typedef void watch_fn(void *arg, int fd, int events);

enum { WATCH_READ = 1, WATCH_WRITE = 2 };

struct loop *loop_new(void); /* NULL when there is no memory or no epoll */
void loop_free(struct loop *loop);
/* Runs until loop_stop. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
int64_t loop_now_ns(const struct loop *loop); /* the time of this turn */
int64_t loop_update_now(struct loop *loop);   /* after something slow; returns the time */

/* For whoever watches over the engine: a timer of the kernel that is set ahead of the time when the loop wakes up by
 * itself, so that it only comes when the loop is late by some seconds; nothing due: off. Polled by another process. 0
 * with *fd, which stays the loop's; or -errno. */
int loop_alive(struct loop *loop, int *fd);

/* A one-shot timer, made stopped. NULL when there is no memory. */
struct timer *timer_new(struct loop *loop, loop_fn *fn, void *arg);
void timer_at(struct timer *t, int64_t due_ns); /* (re)arms; TIME_NEVER stops; past: in the next turn */
void timer_after(struct timer *t, int64_t delay_ns);
void timer_stop(struct timer *t);
void timer_free(struct timer *t); /* NULL is allowed */

/* Watches a descriptor, which stays the caller's; free the watch before closing it. events may be 0. */
struct watch *watch_new(struct loop *loop, int fd, int events, watch_fn *fn, void *arg);
void watch_events(struct watch *w, int events);
void watch_set(struct watch *w, int fd, int events); /* another descriptor */
void watch_free(struct watch *w);                    /* NULL is allowed */

/* Runs fn(arg) once, before the loop sleeps again, never from inside this call. -ENOMEM. */
int loop_defer(struct loop *loop, loop_fn *fn, void *arg);
void loop_cancel(struct loop *loop, loop_fn *fn, const void *arg); /* what is deferred with these and has not run */
/* Called at each turn after all events, before sleeping: Lua resumes its ready tasks here. One hook. */
void loop_on_turn(struct loop *loop, loop_fn *fn, void *arg);
/* How many there are: what grows without end is a leak. */
unsigned loop_timers(const struct loop *loop);
unsigned loop_watches(const struct loop *loop);
/* Called for each timer that fires, with how late it is. One hook. */
typedef void loop_lag_fn(void *arg, int64_t late_ns);
void loop_on_lag(struct loop *loop, loop_lag_fn *fn, void *arg);

#endif
