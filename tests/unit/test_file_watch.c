/* Changes of files, however they are made; nothing is told where nothing has changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/str.h"
#include "loop/file_watch.h"

static struct loop *loop;
static struct timer *stop;
static struct file_watch *watch;
static char dir[64];
static unsigned told;

static void on_changed(void *arg) {
  (void)arg;
  told++;
  loop_stop(loop);
}

static const char *at(const char *name) {
  static char paths[8][160];
  static unsigned n;
  char *p = paths[n++ % 8];
  snprintf(p, sizeof paths[0], "%s/%s", dir, name);
  return p;
}

static void put(const char *name, const char *text) {
  auto_file FILE *f = fopen(at(name), "w");
  assert_true(f && fputs(text, f) >= 0 && fflush(f) == 0);
}

static int setup(void **state) {
  (void)state;
  str_copy(dir, sizeof dir, "/tmp/tend-watch-XXXXXX");
  assert_non_null(mkdtemp(dir));
  loop = loop_new();
  stop = timer_new(loop, (loop_fn *)loop_stop, loop);
  watch = file_watch_new(loop, on_changed, NULL);
  told = 0;
  return 0;
}

static int teardown(void **state) {
  (void)state;
  char command[128];
  file_watch_free(watch);
  timer_free(stop);
  loop_free(loop);
  snprintf(command, sizeof command, "rm -rf %s", dir);
  return system(command);
}

static void see(const char *const *paths, size_t n) {
  assert_int_equal(file_watch_set(watch, paths, n), 0);
  file_watch_open(watch);
  assert_null(file_watch_blind(watch));
}

/* Whether it is told of, within that time. */
static bool heard(int64_t ns) {
  unsigned before = told;
  timer_after(stop, ns);
  loop_run(loop);
  return told > before;
}

#define SOON (5 * NS_PER_S)
#define NEVER (250 * NS_PER_MS)

static void test_ways_of_writing(void **state) {
  (void)state;
  put("a.lua", "1");
  see((const char *[]){at("a.lua")}, 1);
  put("a.lua", "22");
  assert_true(heard(SOON));
  put(".new", "333");
  rename(at(".new"), at("a.lua"));
  assert_true(heard(SOON));
  unlink(at("a.lua"));
  assert_true(heard(SOON));
  put("a.lua", "4444");
  assert_true(heard(SOON));
  assert_int_equal(told, 4);
}

/* Many changes at once are one; what comes and goes is none. */
static void test_together(void **state) {
  (void)state;
  put("a.lua", "1");
  put("b.lua", "1");
  see((const char *[]){at("a.lua"), at("b.lua"), dir}, 3);
  for (int i = 0; i < 20; i++) {
    put("a.lua", "22");
    put("b.lua", "22");
  }
  assert_true(heard(SOON));
  assert_false(heard(NEVER));
  assert_int_equal(told, 1);
  put("c.lua", "1");
  unlink(at("c.lua"));
  put("notes.txt", "1");
  put("a.lua~", "1");
  assert_false(heard(NEVER));
}

static void test_links(void **state) {
  (void)state;
  mkdir(at("..v1"), 0755);
  mkdir(at("..v2"), 0755);
  put("..v1/a.lua", "1");
  put("..v2/a.lua", "2");
  assert_int_equal(symlink("..v1", at("..data")), 0);
  assert_int_equal(symlink("..data/a.lua", at("a.lua")), 0);
  see((const char *[]){at("a.lua")}, 1);
  assert_int_equal(symlink("..v2", at("..data_tmp")), 0);
  rename(at("..data_tmp"), at("..data"));
  assert_true(heard(SOON));
  put("..v2/a.lua", "another"); /* the file behind it is seen, too */
  assert_true(heard(SOON));
}

/* A link that leads back to itself is nothing to wait for. */
static void test_circle(void **state) {
  (void)state;
  assert_int_equal(symlink("b", at("a")), 0);
  assert_int_equal(symlink("a", at("b")), 0);
  see((const char *[]){at("a/x.lua")}, 1);
  unlink(at("b"));
  mkdir(at("b"), 0755);
  put("b/x.lua", "1");
  assert_true(heard(SOON));
}

static void test_folders_come_and_go(void **state) {
  (void)state;
  see((const char *[]){at("one/two/a.lua")}, 1);
  mkdir(at("one"), 0755);
  assert_false(heard(NEVER));
  mkdir(at("one/two"), 0755);
  put("one/two/a.lua", "1");
  assert_true(heard(SOON));
  rename(at("one"), at("away"));
  assert_true(heard(SOON));
  rename(at("away"), at("one"));
  assert_true(heard(SOON));
  put("one/two/a.lua", "22");
  assert_true(heard(SOON));
}

/* What is still open for writing does not count yet. */
static void test_unwritten(void **state) {
  (void)state;
  see((const char *[]){at("a.lua")}, 1);
  FILE *f = fopen(at("a.lua"), "w");
  fputs("half", f);
  fflush(f);
  assert_false(heard(NEVER));
  fputs("whole", f);
  fclose(f);
  assert_true(heard(SOON));
}

/* What has changed between the look and the opening is told. */
static void test_before_it_was_open(void **state) {
  (void)state;
  put("a.lua", "1");
  assert_int_equal(file_watch_set(watch, (const char *[]){at("a.lua")}, 1), 0);
  put("a.lua", "22");
  file_watch_open(watch);
  assert_true(heard(SOON));
}

static void test_poll(void **state) {
  (void)state;
  put("a.lua", "1");
  assert_int_equal(file_watch_set(watch, (const char *[]){at("a.lua")}, 1), 0);
  file_watch_poll(watch);
  assert_int_equal(told, 0);
  uint64_t was = file_watch_look(watch);
  put("a.lua", "22");
  assert_true(file_watch_look(watch) != was);
  file_watch_poll(watch);
  file_watch_poll(watch);
  assert_int_equal(told, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_ways_of_writing, setup, teardown),
      cmocka_unit_test_setup_teardown(test_together, setup, teardown),
      cmocka_unit_test_setup_teardown(test_links, setup, teardown),
      cmocka_unit_test_setup_teardown(test_circle, setup, teardown),
      cmocka_unit_test_setup_teardown(test_folders_come_and_go, setup, teardown),
      cmocka_unit_test_setup_teardown(test_unwritten, setup, teardown),
      cmocka_unit_test_setup_teardown(test_before_it_was_open, setup, teardown),
      cmocka_unit_test_setup_teardown(test_poll, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
