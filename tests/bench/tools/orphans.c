/* orphans burst|trickle N FIFO: a child under an init that makes orphans for it. It tells 'S' when it is there; on
 * SIGUSR1 burst makes N that wait, tells 'R'; on the next SIGUSR1 they end; it tells 'Z' when all have (the init may be
 * stopped meanwhile), and 'G' when none is left to be seen. trickle makes N one by one, each gone before the next, and
 * tells 'G' at the end. */
#include "bare.h"
#include "record.h"

#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/prctl.h>

enum { MOST = 32768, USR1 = 10 };

static long fifo;
static volatile int32_t *pids; /* shared with those that make orphans */

static void tell(int kind) {
  struct record r = {.ns = bare_now(), .pid = (int32_t)CALL(getpid, 0, 0, 0, 0, 0), .kind = kind};
  CALL(write, fifo, &r, sizeof r, 0, 0);
}

static long fork_one(void) { return CALL(clone, BARE_CHLD, 0, 0, 0, 0); }

static void nap(long ns) {
  struct __kernel_timespec t = {.tv_nsec = ns};
  CALL(nanosleep, &t, 0, 0, 0, 0);
}

static void wait_gone(int32_t pid, long nap_ns) {
  while (CALL(kill, pid, 0, 0, 0, 0) == 0)
    if (nap_ns)
      nap(nap_ns);
    else
      CALL(sched_yield, 0, 0, 0, 0, 0);
}

static void wait_usr1(void) {
  unsigned long set = bare_bit(USR1);
  while (CALL(rt_sigtimedwait, &set, 0, 0, 8, 0) != USR1) continue;
}

static void burst(long n) {
  int hold[2], done[2];
  char byte;
  tell('S');
  wait_usr1();
  CALL(pipe2, hold, 0, 0, 0, 0);
  CALL(pipe2, done, 0, 0, 0, 0);
  long maker = fork_one();
  if (maker == 0) {
    CALL(close, hold[1], 0, 0, 0, 0);
    for (long i = 0; i < n; i++) {
      long pid = fork_one();
      if (pid == 0) {
        CALL(read, hold[0], &byte, 1, 0, 0);
        bare_exit(0);
      }
      pids[i] = (int32_t)pid;
    }
    bare_exit(0);
  }
  CALL(close, done[1], 0, 0, 0, 0);
  CALL(wait4, maker, 0, 0, 0, 0);
  tell('R');
  wait_usr1();
  CALL(close, hold[1], 0, 0, 0, 0);
  CALL(read, done[0], &byte, 1, 0, 0); /* the last of them has closed it */
  nap(50 * 1000000);
  tell('Z');
  for (long i = 0; i < n; i++) wait_gone(pids[i], 50000);
  tell('G');
}

static void trickle(long n) {
  tell('S');
  wait_usr1();
  for (long i = 0; i < n; i++) {
    long maker = fork_one();
    if (maker == 0) {
      long pid = fork_one();
      if (pid == 0) bare_exit(0);
      pids[0] = (int32_t)pid;
      bare_exit(0);
    }
    CALL(wait4, maker, 0, 0, 0, 0);
    wait_gone(pids[0], 0);
  }
  tell('G');
}

static int bare_main(int argc, char **argv, char **envp) {
  (void)envp;
  if (argc < 4) return 64;
  long n = bare_number(argv[2]);
  unsigned long set = bare_bit(USR1);
  if (n < 1 || n > MOST) return 64;
  CALL(prctl, PR_SET_NAME, "stamp", 0, 0, 0);
  CALL(rt_sigprocmask, BARE_BLOCK, &set, 0, 8, 0);
  fifo = CALL(openat, AT_FDCWD, argv[3], 1 /* O_WRONLY */, 0, 0);
  pids = (int32_t *)CALL(mmap, 0, MOST * sizeof *pids, 3 /* read, write */, MAP_SHARED | MAP_ANONYMOUS, -1);
  if (argv[1][0] == 'b')
    burst(n);
  else
    trickle(n);
  for (;;) CALL(ppoll, 0, 0, 0, 0, 0);
}
