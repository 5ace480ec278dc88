/* The walk and the actions that use it, on hostile trees. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clean.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/tree.h"
#include "helper/helper.h"

static char root[64], outside[64];

static const char *in(const char *folder, const char *name) {
  static char paths[8][512];
  static unsigned next;
  char *p = paths[next++ % 8];
  snprintf(p, sizeof paths[0], "%s/%s", folder, name);
  return p;
}

static void put(const char *path, size_t size, time_t age) {
  auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  assert_true(fd >= 0);
  assert_int_equal(ftruncate(fd, (off_t)size), 0);
  const struct timespec t[2] = {{.tv_sec = time(NULL) - age}, {.tv_sec = time(NULL) - age}};
  assert_int_equal(futimens(fd, t), 0);
}

static bool there(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0;
}

static int setup(void **state) {
  (void)state;
  str_copy(root, sizeof root, "/tmp/tend-tree-XXXXXX");
  str_copy(outside, sizeof outside, "/tmp/tend-outside-XXXXXX");
  if (!mkdtemp(root) || !mkdtemp(outside)) return -1;
  put(in(outside, "keep.tmp"), 10, 0);
  tree_without_openat2 = false;
  return 0;
}

static int teardown(void **state) {
  (void)state;
  char command[200]; /* rm goes by descriptors; nftw by paths, which get long in a deep tree */
  snprintf(command, sizeof command, "rm -rf '%s' '%s'", root, outside);
  return system(command);
}

/* Runs `tend helper` in a child, so that its output can be read; returns the exit code. */
static int helper(char *const *words, struct buf *out) {
  char *argv[16] = {"helper"};
  int argc = 1, p[2], status;
  while (*words) argv[argc++] = *words++;
  assert_int_equal(pipe(p), 0);
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    dup2(p[1], 1);
    dup2(p[1], 2);
    close(p[0]);
    int code = helper_main(argc, argv);
    fflush(NULL);
    _exit(code);
  }
  close(p[1]);
  ssize_t n;
  while ((n = read(p[0], buf_room(out, 4096), 4096)) > 0) out->len += (size_t)n;
  buf_char(out, '\0');
  close(p[0]);
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
#define HELPER(out, ...) helper((char *[]){__VA_ARGS__, NULL}, out)

static void test_clean_removes_what_matches(void **state) {
  (void)state;
  auto_buf struct buf out = {0};
  mkdir(in(root, "d"), 0755);
  put(in(root, "a.tmp"), 100, 100);
  put(in(root, "d/b.part"), 50, 100);
  put(in(root, "d/new.tmp"), 50, 0);
  put(in(root, "data.csv"), 50, 100);
  assert_int_equal(HELPER(&out, "clean", root, "--pattern", "*.tmp", "--pattern", "*.part", "--older-than-s", "60"), 0);
  assert_non_null(strstr(out.data, "{\"removed\": 2, \"bytes\": 150"));
  assert_false(there(in(root, "a.tmp")));
  assert_false(there(in(root, "d/b.part")));
  assert_true(there(in(root, "d/new.tmp")));
  assert_true(there(in(root, "data.csv")));
}

static void test_clean_dry_run(void **state) {
  (void)state;
  auto_buf struct buf out = {0};
  put(in(root, "odd\n\"name\\\xff.tmp"), 1, 0);
  put(in(root, "-rf.tmp"), 1, 0);
  assert_int_equal(HELPER(&out, "clean", root, "--dry-run"), 0);
  assert_non_null(strstr(out.data, "\"would_remove\": 2"));
  assert_non_null(strstr(out.data, "odd\\n\\\"name\\\\"));
  assert_true(there(in(root, "-rf.tmp")));
  buf_clear(&out);
  assert_int_equal(HELPER(&out, "clean", root), 0);
  assert_non_null(strstr(out.data, "\"removed\": 2"));
}

static void test_clean_limits(void **state) {
  (void)state;
  auto_buf struct buf out = {0};
  char name[32];
  for (int i = 0; i < 10; i++) {
    snprintf(name, sizeof name, "%d.tmp", i);
    put(in(root, name), 1, 0);
  }
  put(in(root, "big.tmp"), 3 << 20, 0);
  assert_int_equal(HELPER(&out, "clean", root, "--max-files", "4", "--max-mb", "2"), 0);
  assert_non_null(strstr(out.data, "\"removed\": 4"));
  assert_non_null(strstr(out.data, "\"limit_reached\": true"));
  assert_true(there(in(root, "big.tmp")));
}

static void clean_stays_inside(void) {
  auto_buf struct buf out = {0};
  mkdir(in(root, "d"), 0755);
  assert_int_equal(symlink(outside, in(root, "d/link")), 0);
  assert_int_equal(symlink(in(outside, "keep.tmp"), in(root, "link.tmp")), 0);
  assert_int_equal(symlink("..", in(root, "d/up")), 0);
  assert_int_equal(mkfifo(in(root, "fifo.tmp"), 0644), 0);
  put(in(root, "d/a.tmp"), 1, 0);
  assert_int_equal(HELPER(&out, "clean", root), 0);
  assert_false(there(in(root, "d/a.tmp")));
  assert_true(there(in(outside, "keep.tmp")));
  assert_true(there(in(root, "fifo.tmp")));
  assert_true(there(in(root, "link.tmp")));
}

static void test_clean_follows_no_link(void **state) {
  (void)state;
  clean_stays_inside();
}

static void test_clean_follows_no_link_by_steps(void **state) {
  (void)state;
  tree_without_openat2 = true;
  clean_stays_inside();
}

static void test_enter(void **state) {
  (void)state;
  assert_int_equal(symlink(outside, in(root, "link")), 0);
  put(in(root, "file"), 1, 0);
  mkdir(in(root, "d"), 0755);
  auto_close int fd = tree_open(root, NULL);
  assert_true(fd >= 0);
  for (int steps = 0; steps < 2; steps++) {
    tree_without_openat2 = steps;
    assert_int_equal(tree_enter(fd, "link"), -ENOTDIR);
    assert_int_equal(tree_enter(fd, "file"), -ENOTDIR);
    assert_int_equal(tree_enter(fd, "none"), -ENOENT);
    assert_int_equal(tree_enter(fd, ".."), -EINVAL);
    assert_int_equal(tree_enter(fd, "d/../.."), -EINVAL);
    auto_close int d = tree_enter(fd, "d");
    assert_true(d >= 0);
  }
}

static void test_ours(void **state) {
  (void)state;
  mkdir(in(root, "d"), 0755);
  mkdir(in(root, "d/e"), 0755);
  assert_int_equal(symlink("/etc", in(root, "etc")), 0);
  assert_int_equal(symlink("d", in(root, "link")), 0);
  const struct {
    char path[160];
    int code; /* 0: opened */
  } cases[] = {{"/", -EPERM},
               {"//", -EPERM},
               {"/etc", -EPERM},
               {"/etc/", -EPERM},
               {"/tmp/../etc/alternatives", -EPERM},
               {"/tmp", -EPERM},
               {"/./tmp", -EPERM},
               {"/usr/lib", -EPERM},
               {"etc", -EINVAL},
               {"/tmp/none/at/all", -ENOENT},
               {"R/d/e", 0},
               {"R/./d//e/", 0},
               {"R/link/e", 0},
               {"R/d/../d/e", 0},
               {"R/etc/alternatives", -EPERM},
               {"R/link", -ELOOP},
               {"R/etc", -ELOOP}};
  for (int steps = 0; steps < 2; steps++)
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
      tree_without_openat2 = steps;
      const char *path = cases[i].path;
      if (path[0] == 'R') path = in(root, path + 2);
      struct err err = ERR_INIT;
      auto_close int fd = tree_open_ours(path, &err);
      if (cases[i].code)
        assert_int_equal(fd, cases[i].code);
      else
        assert_true(fd >= 0);
    }
}

/* Somebody swaps a folder for a link to the outside, over and over, while the walk runs. */
static atomic_bool swapping;
static char swap_d[80], swap_e[80];
static void *swap(void *arg) {
  (void)arg;
  while (atomic_load(&swapping)) {
    rename(swap_d, swap_e);
    (void)!symlink(outside, swap_d);
    sched_yield();
    unlink(swap_d);
    rename(swap_e, swap_d);
  }
  return NULL;
}

static void test_clean_under_swaps(void **state) {
  (void)state;
  mkdir(in(root, "d"), 0755);
  for (int i = 0; i < 40; i++) {
    char name[32];
    snprintf(name, sizeof name, "d/%d", i);
    mkdir(in(root, name), 0755);
  }
  snprintf(swap_d, sizeof swap_d, "%s/d", root);
  snprintf(swap_e, sizeof swap_e, "%s/e", root);
  for (int steps = 0; steps < 2; steps++) {
    tree_without_openat2 = steps;
    atomic_store(&swapping, true);
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, swap, NULL), 0);
    for (int i = 0; i < 8; i++) {
      auto_buf struct buf out = {0};
      HELPER(&out, "clean", root, "--pattern", "*");
      assert_true(there(in(outside, "keep.tmp")));
    }
    atomic_store(&swapping, false);
    pthread_join(t, NULL);
  }
}

static void test_mount_is_not_crossed(void **state) {
  (void)state;
  mkdir(in(root, "m"), 0755);
  if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
      mount(outside, in(root, "m"), NULL, MS_BIND, NULL)) {
    print_message("# a bind mount is not permitted here\n");
    skip();
  }
  for (int steps = 0; steps < 2; steps++) {
    tree_without_openat2 = steps;
    auto_buf struct buf out = {0};
    assert_int_equal(HELPER(&out, "clean", root), HELPER_FAILED);
    assert_non_null(strstr(out.data, "\"problems\": 1"));
    assert_true(there(in(outside, "keep.tmp")));
  }
  umount2(in(root, "m"), MNT_DETACH);
}

static void test_deep_and_wide(void **state) {
  (void)state;
  auto_close int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (int i = 0; i < 2000; i++) {
    assert_int_equal(mkdirat(fd, "d", 0755), 0);
    int next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (i == LIMIT_TREE_DEPTH - 1) close(openat(next, "inside.tmp", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    if (i == LIMIT_TREE_DEPTH) close(openat(next, "outside.tmp", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    close(fd);
    fd = next;
  }
  char name[64];
  for (int i = 0; i < 10000; i++) {
    snprintf(name, sizeof name, "%d.tmp", i);
    int f = open(in(root, name), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    close(f);
  }
  auto_buf struct buf out = {0};
  assert_int_equal(HELPER(&out, "clean", root), HELPER_FAILED);
  assert_non_null(strstr(out.data, "\"removed\": 10001"));
  assert_non_null(strstr(out.data, "\"problems\": 1"));
}

static void test_roots(void **state) {
  (void)state;
  const char *const bad[] = {"/",        "/tmp",     "/etc",     "/usr/lib", "/proc/sys",
                             "/var/log", "/var/lib", "/dev/shm", "/root",    NULL};
  for (const char *const *b = bad; *b; b++) {
    auto_buf struct buf out = {0};
    if (access(*b, R_OK | X_OK) != 0) continue; /* not there, or not for this user */
    assert_int_equal(HELPER(&out, "clean", (char *)*b, "--dry-run"), HELPER_FAILED);
    assert_non_null(strstr(out.data, "refused"));
  }
  setenv("HOME", root, 1);
  auto_buf struct buf out = {0};
  assert_int_equal(HELPER(&out, "clean", root), HELPER_FAILED);
  assert_non_null(strstr(out.data, "it is a home"));
  unsetenv("HOME");
  buf_clear(&out);
  assert_int_equal(symlink(outside, in(root, "link")), 0);
  assert_int_equal(HELPER(&out, "clean", (char *)in(root, "link")), HELPER_FAILED);
  assert_non_null(strstr(out.data, "is a symbolic link"));
  buf_clear(&out);
  assert_int_equal(HELPER(&out, "clean", "relative"), HELPER_FAILED);
  assert_non_null(strstr(out.data, "absolute path"));
  buf_clear(&out);
  assert_int_equal(HELPER(&out, "clean", (char *)in(root, "none")), HELPER_FAILED);
  assert_non_null(strstr(out.data, "No such file"));
}

static void test_rotate(void **state) {
  (void)state;
  auto_buf struct buf out = {0};
  put(in(root, "a.log"), 2 << 20, 0);
  put(in(root, "a.log.1"), 11, 0);
  put(in(root, "a.log.2"), 12, 0);
  put(in(root, "a.log.3"), 13, 0);
  put(in(root, "small.log"), 10, 0);
  put(in(root, "small.log.1"), 10, 1000);
  put(in(root, "other.1"), 10, 1000);
  assert_int_equal(HELPER(&out, "rotate", root, "--max-mb", "1", "--keep", "2", "--max-age-s", "500"), 0);
  assert_non_null(strstr(out.data, "{\"rotated\": 1, \"removed\": 2"));
  struct stat st;
  assert_false(there(in(root, "a.log")));
  assert_int_equal(stat(in(root, "a.log.1"), &st), 0);
  assert_int_equal(st.st_size, 2 << 20);
  assert_int_equal(stat(in(root, "a.log.2"), &st), 0);
  assert_int_equal(st.st_size, 11);
  assert_false(there(in(root, "a.log.3")));
  assert_true(there(in(root, "small.log")));
  assert_false(there(in(root, "small.log.1")));
  assert_true(there(in(root, "other.1")));
}

static void test_sync_and_usage(void **state) {
  (void)state;
  auto_buf struct buf out = {0};
  assert_int_equal(HELPER(&out, "sync", root), 0);
  assert_int_equal(HELPER(&out, "sync"), HELPER_USAGE);
  assert_int_equal(HELPER(&out, "sync", root, "--nope"), HELPER_USAGE);
  assert_int_equal(HELPER(&out, "clean", root, "--max-files", "x"), HELPER_USAGE);
  assert_int_equal(HELPER(&out, "clean", root, "--max-files"), HELPER_USAGE);
  buf_clear(&out);
  assert_int_equal(HELPER(&out, "claen", root), HELPER_USAGE);
  assert_non_null(strstr(out.data, "nearest: clean"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_clean_removes_what_matches),
      TEST(test_clean_dry_run),
      TEST(test_clean_limits),
      TEST(test_clean_follows_no_link),
      TEST(test_clean_follows_no_link_by_steps),
      TEST(test_enter),
      TEST(test_ours),
      TEST(test_clean_under_swaps),
      TEST(test_deep_and_wide),
      TEST(test_roots),
      TEST(test_rotate),
      TEST(test_sync_and_usage),
      TEST(test_mount_is_not_crossed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
