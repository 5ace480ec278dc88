/* base/keep: records outlive whoever put them, whole or not at all. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/keep.h"

static const void *get(struct keep *k, const char *name, size_t *n) { return keep_get(k, name, n); }

static void is_read_by_the_next_one(void **state) {
  (void)state;
  struct keep *k = keep_map();
  size_t n = 0;
  keep_begin(k);
  assert_null(get(k, "a", &n));
  assert_int_equal(keep_put(k, "a", "one", 4), 0);
  assert_int_equal(keep_put(k, "a", "two", 4), 0);
  assert_int_equal(keep_put(k, "b", "much longer than before", 24), 0);
  assert_int_equal(keep_put(k, "a", "much longer than before", 24), 0);
  keep_begin(k); /* dies before it commits */
  assert_string_equal(get(k, "a", &n), "much longer than before");
  assert_int_equal(n, 24);
  assert_int_equal(keep_put(k, "a", "three", 6), 0);
  keep_begin(k);
  assert_string_equal(get(k, "a", &n), "much longer than before");
  assert_string_equal(get(k, "b", &n), "much longer than before");
  assert_null(keep_get_sized(k, "b", 23));
  assert_int_equal(keep_put(k, "a", "three", 6), 0);
  keep_commit(k);
  keep_begin(k);
  assert_string_equal(get(k, "a", &n), "three");
  assert_null(get(k, "b", &n));
}

static void refuses_what_has_no_room(void **state) {
  (void)state;
  struct keep *k = keep_map();
  static char much[(size_t)LIMIT_KEEP_MB << 20];
  size_t n;
  keep_begin(k);
  assert_int_equal(keep_put(k, "a", "one", 4), 0);
  assert_true(keep_put(k, "a", much, sizeof much) < 0);
  keep_begin(k);
  assert_string_equal(get(k, "a", &n), "one");
}

/* A record with a handle: put by size, and plain memory beside it. */
static void is_opened_once(void **state) {
  (void)state;
  struct keep *k = keep_map();
  size_t n = 0;
  keep_begin(k);
  struct keep_record *r = keep_open(k, "a", 20, 12);
  assert_non_null(r);
  char *plain = keep_plain(r);
  for (int i = 0; i < 12; i++) assert_int_equal(plain[i], 0);
  memcpy(plain, "plain memory", 12);
  assert_null(get(k, "a", &n));
  keep_fill(r, "the longest of all.", 20);
  keep_fill(r, "short", 6);
  keep_fill(r, "longer than there is room", 26);
  assert_ptr_equal(keep_open(k, "a", 20, 12), r);
  assert_int_equal(keep_put(k, "b", "other", 6), 0);
  keep_begin(k);
  assert_string_equal(get(k, "a", &n), "short");
  assert_int_equal(n, 6);
  assert_memory_equal(keep_get_plain(k, "a", 12), "plain memory", 12);
  assert_null(keep_get_plain(k, "a", 17));
  assert_null(keep_get_plain(k, "b", 1));
  assert_null(keep_get_plain(k, "c", 0));
  r = keep_open(k, "a", 20, 12);
  assert_ptr_equal(keep_open(k, "a", 8, 8), r);
  assert_int_equal(keep_put_room(k, "room", "one", 4, 300), 0);
  char *room = keep_plain(keep_open(k, "room", 300, 0));
  assert_int_equal(keep_put(k, "room", "much longer than before", 24), 0);
  assert_ptr_equal(keep_plain(keep_open(k, "room", 300, 0)), room);
  struct keep_record *larger = keep_open(k, "a", 200, 12);
  keep_fill(larger, "larger", 7);
  keep_commit(k);
  assert_null(keep_get_plain(k, "a", 12));
  keep_begin(k);
  assert_string_equal(get(k, "a", &n), "larger");
  assert_null(keep_open(k, "much", (size_t)LIMIT_KEEP_MB << 20, 0));
  assert_null(keep_open(k, "much", 8, 1 << 16));
}

/* No bytes: it is as if it had never been put, and takes no room. */
static void forgets_what_is_empty(void **state) {
  (void)state;
  struct keep *k = keep_map();
  size_t n = 0;
  keep_begin(k);
  assert_int_equal(keep_put(k, "a", NULL, 0), 0);
  assert_int_equal(keep_put_once(k, "b", "one", 4), 0);
  assert_int_equal(keep_put_once(k, "c", "one", 4), 0);
  assert_int_equal(keep_put_once(k, "b", NULL, 0), 0);
  keep_begin(k);
  assert_null(get(k, "a", &n));
  assert_null(get(k, "b", &n));
  assert_string_equal(get(k, "c", &n), "one");
}

/* Killed at any moment: what is found is one of the texts, and never older than what was put for certain. */
static void survives_a_kill(void **state) {
  (void)state;
  struct keep *k = keep_map();
  for (int i = 0; i < 40; i++) {
    pid_t pid = fork();
    if (pid == 0) {
      char text[2000];
      keep_begin(k);
      struct keep_record *r = i % 2 ? keep_open(k, "text", sizeof text, 0) : NULL;
      for (unsigned round = 0;; round++) {
        memset(text, 'a' + (int)(round % 26), sizeof text);
        if (r)
          keep_fill(r, text, sizeof text);
        else
          keep_put(k, "text", text, sizeof text);
        keep_commit(k);
      }
    }
    usleep(300 + (useconds_t)i * 100);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    size_t n = 0;
    keep_begin(k);
    const char *found = get(k, "text", &n);
    if (!found) continue; /* not even the first one */
    assert_int_equal(n, 2000);
    for (size_t b = 1; b < n; b++) assert_int_equal(found[b], found[0]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(is_read_by_the_next_one), cmocka_unit_test(is_opened_once),
      cmocka_unit_test(forgets_what_is_empty),   cmocka_unit_test(refuses_what_has_no_room),
      cmocka_unit_test(survives_a_kill),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
