#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "supervisor/disks.h"

/* --- a loop and children that do nothing of themselves ------------------------------------------------------------ */

struct timer {
  loop_fn *fn;
  void *arg;
  bool armed;
};

static struct {
  struct timer deadline;
  uint32_t spawned;
  unsigned killed, forgotten;
  const struct child_ops *ops;
  void *arg;
} fake;

struct timer *timer_new(struct loop *loop, loop_fn *fn, void *arg) {
  (void)loop;
  fake.deadline = (struct timer){fn, arg, false};
  return &fake.deadline;
}
void timer_at(struct timer *t, int64_t due_ns) { t->armed = due_ns < INT64_MAX; }
void timer_stop(struct timer *t) { t->armed = false; }
void timer_free(struct timer *t) { timer_stop(t); }

uint32_t children_spawn(struct children *c, const struct child_spec *spec, const struct child_ops *ops, void *arg,
                        struct err *err) {
  (void)c;
  (void)err;
  assert_string_equal(spec->argv[2], "usage");
  fake.ops = ops;
  fake.arg = arg;
  return ++fake.spawned;
}
void children_kill(struct children *c, uint32_t child, int sig, enum kill_scope scope) {
  (void)c;
  assert_int_equal(child, fake.spawned);
  assert_int_equal(sig, SIGKILL);
  assert_int_equal(scope, KILL_GROUP);
  fake.killed++;
}
void children_forget(struct children *c, uint32_t child) {
  (void)c;
  assert_int_equal(child, fake.spawned);
  fake.forgotten++;
}

static void time_out(void) {
  assert_true(fake.deadline.armed);
  timer_stop(&fake.deadline);
  fake.deadline.fn(fake.deadline.arg);
}

static void exited(int status, const char *text) {
  struct buf out = {0};
  buf_str(&out, text);
  fake.ops->exited(fake.arg, fake.spawned, &(struct child_exit){.status = status, .out = &out});
  buf_free(&out);
}

static struct disks *make(void) {
  memset(&fake, 0, sizeof fake);
  struct disks *d = disks_new(NULL, NULL);
  assert_non_null(d);
  assert_int_equal(disks_add(d, "data", "/data"), 0);
  return d;
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void what_a_look_finds(void **state) {
  (void)state;
  struct disks *d = make();
  const struct disk *list;
  assert_int_equal(disks_list(d, &list), 1);
  assert_true(isnan(list[0].used));
  disks_look(d, 0);
  disks_look(d, 0);
  assert_int_equal(fake.spawned, 1);
  exited(0, "{\"disks\": [{\"used\": 0.25, \"inodes\": 0.5}]}");
  assert_true(list[0].used == 0.25 && list[0].inodes == 0.5);
  assert_false(fake.deadline.armed);
  disks_look(d, 60 * NS_PER_S);
  assert_int_equal(fake.spawned, 1); /* what is known is new enough */
  disks_look(d, 0);
  exited(0, "no JSON");
  assert_true(isnan(list[0].used));
  disks_free(d);
}

/* A dead mount, which not even SIGKILL gets a process out of, costs one process, not one for each look. */
static void one_that_hangs(void **state) {
  (void)state;
  struct disks *d = make();
  const struct disk *list;
  disks_list(d, &list);
  disks_look(d, 0);
  exited(0, "{\"disks\": [{\"used\": 0.25, \"inodes\": 0.5}]}");
  disks_look(d, 0);
  time_out();
  assert_int_equal(fake.killed, 1);
  assert_true(isnan(list[0].used));
  for (int i = 0; i < 100; i++) disks_look(d, 0);
  assert_int_equal(fake.spawned, 2);
  exited(SIGKILL, "");
  disks_look(d, 0);
  assert_int_equal(fake.spawned, 3);
  disks_free(d);
  assert_int_equal(fake.forgotten, 1);
}

static void each_has_a_name_of_its_own(void **state) {
  (void)state;
  struct disks *d = make();
  const struct disk *list;
  char name[256];
  memset(name, 'n', sizeof name - 1);
  name[sizeof name - 1] = 0;
  assert_int_equal(disks_add(d, "data", "/data"), 0);
  assert_int_equal(disks_add(d, "data", "/mnt/data"), 0);
  assert_int_equal(disks_add(d, name, "/mnt/n"), 0);
  assert_int_equal(disks_list(d, &list), 3);
  assert_string_equal(list[0].name, "data");
  assert_string_equal(list[1].name, "/mnt/data");
  assert_string_equal(list[2].name, name);
  disks_free(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_a_look_finds),
      cmocka_unit_test(one_that_hangs),
      cmocka_unit_test(each_has_a_name_of_its_own),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
