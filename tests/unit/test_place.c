/* Where the state directory and the companions of a program are looked for, and sockets whose path is long. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/place.h"

static void assert_beside(const char *self, unsigned i, const char *wanted) {
  char out[PATH_MAX];
  assert_true(place_beside(self, i, "tend-guard", out));
  assert_string_equal(out, wanted);
}

static void test_beside(void **state) {
  (void)state;
  assert_beside("/usr/bin/tend", 0, "/usr/bin/tend-guard");
  assert_beside("/usr/bin/tend", 1, "/usr/bin/../lib/tend/tend-guard");
  assert_beside("/tend", 0, "/tend-guard");
  assert_beside("build/tend", 0, "build/tend-guard");
  assert_beside("/a.b/", 0, "/a.b/tend-guard");
}

/* What cannot be answered leaves what was there. */
static void test_beside_nothing(void **state) {
  (void)state;
  char out[PATH_MAX] = "as it was";
  assert_false(place_beside("/usr/bin/tend", 2, "tend-guard", out)); /* there are two */
  assert_false(place_beside("", 0, "tend-guard", out));              /* not known where the program is */
  assert_false(place_beside("tend", 0, "tend-guard", out));
  assert_string_equal(out, "as it was");
}

/* The longest path that fits, with its end, and the next one. */
static void test_beside_long(void **state) {
  (void)state;
  char self[PATH_MAX + 8], out[PATH_MAX] = "as it was";
  memset(self, 'd', sizeof self);
  self[0] = '/';
  size_t folder = PATH_MAX - 1 - strlen("x"); /* "/ddd…/" before the name */
  self[folder - 1] = '/';
  self[folder] = 0;
  assert_true(place_beside(self, 0, "x", out));
  assert_int_equal(strlen(out), PATH_MAX - 1);
  assert_memory_equal(out, self, folder);
  assert_string_equal(out + folder, "x");

  snprintf(out, sizeof out, "as it was");
  assert_false(place_beside(self, 0, "xy", out));
  assert_false(place_beside(self, 1, "x", out));
  assert_string_equal(out, "as it was");
}

static void test_companion(void **state) {
  (void)state;
  char out[PATH_MAX], wanted[PATH_MAX + 8];
  const char *self = place_self();
  assert_int_equal(self[0], '/');
  assert_int_equal(access(self, X_OK), 0);
  assert_ptr_equal(place_self(), self);
  snprintf(wanted, sizeof wanted, "%.*sx", (int)(strrchr(self, '/') + 1 - self), self);
  assert_true(place_companion(0, "x", out));
  assert_string_equal(out, wanted);
  assert_false(place_companion(2, "x", out));
}

static void assert_candidates(const char *runtime, const char *const *wanted) {
  if (runtime)
    assert_int_equal(setenv("XDG_RUNTIME_DIR", runtime, 1), 0);
  else
    assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
  char out[PATH_MAX];
  unsigned i = 0;
  for (; wanted[i]; i++) {
    assert_true(place_candidate(i, out));
    assert_string_equal(out, wanted[i]);
  }
  assert_false(place_candidate(i, out));
}

static void test_candidates(void **state) {
  (void)state;
  char tmp[64], shm[64];
  snprintf(tmp, sizeof tmp, "/tmp/tend-%u", (unsigned)geteuid());
  snprintf(shm, sizeof shm, "/dev/shm/tend-%u", (unsigned)geteuid());
  assert_candidates("/run/user/7", (const char *const[]){"/run/tend", "/run/user/7/tend", tmp, shm, NULL});
  assert_candidates(NULL, (const char *const[]){"/run/tend", tmp, shm, NULL});
  assert_candidates("not/absolute", (const char *const[]){"/run/tend", tmp, shm, NULL});
  assert_candidates("", (const char *const[]){"/run/tend", tmp, shm, NULL});
}

/* A directory whose path is longer than a socket's address can hold; removed at the end. */
static void test_socket_long_path(void **state) {
  (void)state;
  char top[] = "/tmp/tend-place-XXXXXX", path[256], before[PATH_MAX], after[PATH_MAX];
  assert_non_null(mkdtemp(top));
  snprintf(path, sizeof path, "%s/%0128d", top, 0);
  assert_int_equal(mkdir(path, 0700), 0);
  auto_close int dir = place_open_dir(AT_FDCWD, path);
  assert_true(dir >= 0);
  assert_non_null(getcwd(before, sizeof before));

  struct err err = ERR_INIT;
  auto_close int server = place_listen(dir, path, PLACE_SOCKET, &err);
  assert_true(server >= 0);
  auto_close int client = place_connect(dir, path, PLACE_SOCKET, &err);
  assert_true(client >= 0);
  auto_close int there = accept(server, NULL, NULL);
  assert_true(there >= 0);
  struct stat st;
  assert_int_equal(fstatat(dir, PLACE_SOCKET, &st, 0), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  assert_non_null(getcwd(after, sizeof after));
  assert_string_equal(after, before);

  assert_int_equal(place_connect(dir, path, "nobody", &err), -ENOENT);
  assert_non_null(strstr(err.msg, "cannot connect to "));
  assert_non_null(strstr(err.msg, "/nobody"));
  assert_int_equal(unlinkat(dir, PLACE_SOCKET, 0), 0);
  assert_int_equal(rmdir(path), 0);
  assert_int_equal(rmdir(top), 0);
}

static void test_open_dir_no_link(void **state) {
  (void)state;
  char top[] = "/tmp/tend-place-XXXXXX", link[64];
  assert_non_null(mkdtemp(top));
  snprintf(link, sizeof link, "%s/link", top);
  assert_int_equal(symlink(top, link), 0);
  assert_int_equal(place_open_dir(AT_FDCWD, link), -ENOTDIR);
  assert_int_equal(unlink(link), 0);
  assert_int_equal(rmdir(top), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_beside),           cmocka_unit_test(test_beside_nothing),
      cmocka_unit_test(test_beside_long),      cmocka_unit_test(test_companion),
      cmocka_unit_test(test_candidates),       cmocka_unit_test(test_socket_long_path),
      cmocka_unit_test(test_open_dir_no_link),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
