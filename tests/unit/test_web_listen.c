/* loop/web_listen: where the HTTP server listens, with and without IPv6. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "web/inner.h"

static void everywhere(void **state) {
  (void)state;
  struct err err = ERR_INIT;
  char text[96];
  int port = 0, same;
  int fd = web_listen(NULL, 0, 0, &err);
  assert_true(fd >= 0);
  web_listening(fd, text, sizeof text, &port);
  assert_true(port > 0);
  assert_non_null(strchr(text, ':'));
  /* in use: told, and nothing left behind */
  assert_int_equal(web_listen(NULL, 0, port, &err), -EADDRINUSE);
  assert_string_equal(err.msg, strerror(EADDRINUSE));
  close(fd);
  fd = web_listen(NULL, 0, port, &err);
  assert_true(fd >= 0);
  web_listening(fd, text, sizeof text, &same);
  assert_int_equal(same, port);
  close(fd);
}

static void the_first_that_can_be_had(void **state) {
  (void)state;
  struct err err = ERR_INIT;
  struct tend_address list[2] = {{.len = sizeof(struct sockaddr_in)}, {.len = sizeof(struct sockaddr_in)}};
  struct sockaddr_in other = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xcb007101)}; /* 203.0.113.1: not ours */
  struct sockaddr_in mine = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  memcpy(&list[0].addr, &other, sizeof other);
  memcpy(&list[1].addr, &mine, sizeof mine);
  assert_int_equal(web_listen(list, 1, 0, &err), -EADDRNOTAVAIL);
  int fd = web_listen(list, 2, 0, &err);
  assert_true(fd >= 0);
  char text[96];
  int port;
  web_listening(fd, text, sizeof text, &port);
  assert_non_null(strstr(text, "127.0.0.1:"));
  close(fd);
}

/* 0: listens on 0.0.0.0; else how it failed. */
static int without_ipv6(void) {
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) return 77;
  if (socket(AF_INET6, SOCK_STREAM, 0) >= 0) return 1;
  struct err err = ERR_INIT;
  char text[96];
  int port;
  int fd = web_listen(NULL, 0, 0, &err);
  if (fd < 0) return 2;
  web_listening(fd, text, sizeof text, &port);
  return strncmp(text, "0.0.0.0:", 8) == 0 && port > 0 ? 0 : 3;
}

static void falls_back_to_ipv4(void **state) {
  (void)state;
  pid_t pid = fork();
  if (pid == 0) _exit(without_ipv6());
  int status = -1;
  waitpid(pid, &status, 0);
  assert_true(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) skip();
  assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(everywhere),
      cmocka_unit_test(the_first_that_can_be_had),
      cmocka_unit_test(falls_back_to_ipv4),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
