#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probes/looker.h"

/* --- a loop that fires what it is told to, children that never answer ----------------------------------------------
 */

enum { MOST = 128 };

struct timer {
  loop_fn *fn;
  void *arg;
  bool armed, freed;
};

struct watch {
  int dummy;
};

static struct {
  struct timer *timers[MOST];
  unsigned n_timers;
  unsigned spawned, killed, forgotten;
  struct {
    const struct child_ops *ops;
    void *arg;
    int socket;
  } child[MOST];
} fake;

struct timer *timer_new(struct loop *loop, loop_fn *fn, void *arg) {
  (void)loop;
  struct timer *t = calloc(1, sizeof *t);
  *t = (struct timer){.fn = fn, .arg = arg};
  assert_true(fake.n_timers < MOST);
  return fake.timers[fake.n_timers++] = t;
}
void timer_after(struct timer *t, int64_t delay_ns) {
  (void)delay_ns;
  t->armed = true;
}
void timer_stop(struct timer *t) { t->armed = false; }
void timer_free(struct timer *t) { t->freed = true; }
struct watch *watch_new(struct loop *loop, int fd, int events, watch_fn *fn, void *arg) {
  (void)loop;
  (void)fd;
  (void)events;
  (void)fn;
  (void)arg;
  return calloc(1, sizeof(struct watch));
}
void watch_events(struct watch *w, int events) {
  (void)w;
  (void)events;
}
void watch_free(struct watch *w) { free(w); }

uint32_t children_spawn(struct children *c, const struct child_spec *spec, const struct child_ops *ops, void *arg,
                        struct err *err) {
  (void)c;
  (void)err;
  assert_true(fake.spawned < MOST - 1);
  fake.spawned++;
  fake.child[fake.spawned].ops = ops;
  fake.child[fake.spawned].arg = arg;
  fake.child[fake.spawned].socket = fcntl(spec->input_fd, F_DUPFD_CLOEXEC, 0);
  return fake.spawned;
}
void children_kill(struct children *c, uint32_t child, int sig, enum kill_scope scope) {
  (void)c;
  (void)child;
  (void)sig;
  (void)scope;
  fake.killed++;
}
void children_forget(struct children *c, uint32_t child) {
  (void)c;
  (void)child;
  fake.forgotten++;
}

static void exited(uint32_t child) {
  close(fake.child[child].socket);
  fake.child[child].ops->exited(fake.child[child].arg, child, &(struct child_exit){.status = 9});
}

static void fire_all(void) {
  for (unsigned i = 0; i < fake.n_timers; i++) {
    struct timer *t = fake.timers[i];
    if (t->freed || !t->armed) continue;
    t->armed = false;
    t->fn(t->arg);
  }
}

static int forget_all(void **state) {
  (void)state;
  for (unsigned i = 0; i < fake.n_timers; i++) free(fake.timers[i]);
  memset(&fake, 0, sizeof fake);
  return 0;
}

static unsigned told;

static void on_done(void *arg, const char *answer, size_t n, const char *problem) {
  (void)arg;
  (void)n;
  assert_null(answer);
  assert_non_null(problem);
  told++;
}

/* A look that hangs for good and is given up, as a check of a dead mount does at each of its runs. */
static bool look_in_vain(struct looker *l, struct err *err) {
  struct look *look = look_start(l, "stat", "/dead", NULL, on_done, NULL, err);
  if (!look) return false;
  fire_all(); /* it stalls */
  look_cancel(look);
  return true;
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void those_that_nothing_ends_are_bounded(void **state) {
  (void)state;
  struct looker *l = looker_new(NULL, NULL);
  struct err err = ERR_INIT;
  unsigned n = 0;
  while (n < MOST - 2 && look_in_vain(l, &err)) n++;
  assert_int_equal(n, 32);
  assert_int_equal(fake.spawned, 32);
  assert_int_equal(fake.killed, 32);
  assert_non_null(strstr(err.msg, "hang already"));
  for (uint32_t i = 1; i <= 4; i++) exited(i); /* the mount is back for some */
  for (n = 0; n < 10 && look_in_vain(l, &err);) n++;
  assert_int_equal(n, 4);
  looker_free(l);
  assert_int_equal(fake.forgotten, 32);
  for (uint32_t i = 5; i <= fake.spawned; i++) close(fake.child[i].socket);
}

static void one_that_ends_tells_who_waits(void **state) {
  (void)state;
  struct looker *l = looker_new(NULL, NULL);
  struct err err = ERR_INIT;
  told = 0;
  assert_non_null(look_start(l, "stat", "/a", NULL, on_done, NULL, &err));
  assert_non_null(look_start(l, "stat", "/b", NULL, on_done, NULL, &err));
  assert_int_equal(fake.spawned, 1);
  exited(1);
  assert_int_equal(told, 2);
  looker_free(l);
  assert_int_equal(fake.forgotten, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(those_that_nothing_ends_are_bounded, forget_all),
      cmocka_unit_test_teardown(one_that_ends_tells_who_waits, forget_all),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
