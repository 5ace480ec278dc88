/* Nameless files: with memfd_create, and where the system refuses it. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/scratch.h"
#include "base/str.h"

static bool holds_text(int fd) {
  char text[8] = "";
  return write(fd, "hello", 5) == 5 && pread(fd, text, 5, 0) == 5 && STR_EQ(text, "hello");
}

static void test_memfd(void **state) {
  (void)state;
  int fd = scratch_open("x");
  assert_true(fd >= 0);
  assert_true(holds_text(fd));
  assert_false(scratch_is_sealed(fd));
  assert_int_equal(scratch_seal(fd), 0);
  assert_true(scratch_is_sealed(fd));
  assert_int_equal(write(fd, "x", 1), -1);
  assert_int_equal(ftruncate(fd, 0), -1);
  assert_int_equal(scratch_seal(fd), 0);
  close(fd);
}

static bool refuse_memfd(void) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {.len = ARRAY_LEN(code), .filter = code};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void test_without_memfd(void **state) {
  (void)state;
  pid_t pid = fork();
  if (pid == 0) {
    if (!refuse_memfd()) _exit(77);
    int fd = scratch_open("x");
    struct stat st;
    bool good = fd >= 0 && holds_text(fd) && fstat(fd, &st) == 0 && st.st_nlink == 0 && (st.st_mode & 077) == 0 &&
                fcntl(fd, F_GETFD) == FD_CLOEXEC && scratch_seal(fd) == 0 && scratch_is_sealed(fd);
    _exit(good ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
    print_message("no seccomp here\n");
    skip();
  }
  assert_int_equal(status, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_memfd),
      cmocka_unit_test(test_without_memfd),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
