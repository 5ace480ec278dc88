/* floor N COMMAND ARG...: the least that a supervisor can be. N children by fork and exec; one that ends is started
 * again; orphans are reaped; on SIGTERM all get SIGTERM, and it ends when all are gone. */
#include "bare.h"

#define MOST 4096

static int32_t children[MOST];

static int32_t start(char **argv, char **envp) {
  long pid = CALL(clone, BARE_CHLD, 0, 0, 0, 0);
  if (pid != 0) return (int32_t)pid;
  unsigned long none = 0;
  CALL(rt_sigprocmask, BARE_SETMASK, &none, 0, 8, 0);
  CALL(execve, argv[0], argv, envp, 0, 0);
  bare_exit(127);
  return 0;
}

static int bare_main(int argc, char **argv, char **envp) {
  if (argc < 3) return 64;
  long n = bare_number(argv[1]), left = n;
  unsigned long set = bare_bit(BARE_TERM) | bare_bit(BARE_CHLD);
  int stopping = 0;
  if (n < 1 || n > MOST) return 64;
  CALL(rt_sigprocmask, BARE_BLOCK, &set, 0, 8, 0);
  for (long i = 0; i < n; i++) children[i] = start(argv + 2, envp);
  while (left > 0) {
    if (CALL(rt_sigtimedwait, &set, 0, 0, 8, 0) == BARE_TERM && !stopping) {
      stopping = 1;
      for (long i = 0; i < n; i++)
        if (children[i] > 0) CALL(kill, children[i], BARE_TERM, 0, 0, 0);
    }
    long pid;
    while ((pid = CALL(wait4, -1, 0, 1 /* WNOHANG */, 0, 0)) > 0)
      for (long i = 0; i < n; i++) {
        if (children[i] != pid) continue;
        children[i] = stopping ? 0 : start(argv + 2, envp);
        left -= stopping;
        break;
      }
  }
  return 0;
}
