/* lines N line|block FIFO: a child that, told by SIGUSR1, writes N lines of 100 bytes to its standard output, each with
 * its number, a line or 64 KiB at a time. Then it stays, so that what its supervisor used can still be read. */
#include "bare.h"
#include "record.h"

#include <linux/fcntl.h>
#include <linux/prctl.h>

enum { LINE = 100, BLOCK = 65536 / LINE * LINE, USR1 = 10 };

static char block[BLOCK];

static void write_all(const char *from, long size) {
  while (size > 0) {
    long n = CALL(write, 1, from, size, 0, 0);
    if (n <= 0) bare_exit(74);
    from += n;
    size -= n;
  }
}

static int bare_main(int argc, char **argv, char **envp) {
  (void)envp;
  if (argc < 4) return 64;
  long n = bare_number(argv[1]), size = argv[2][0] == 'l' ? LINE : BLOCK, used = 0;
  unsigned long set = bare_bit(USR1);
  CALL(prctl, PR_SET_NAME, "stamp", 0, 0, 0);
  CALL(rt_sigprocmask, BARE_BLOCK, &set, 0, 8, 0);
  long fifo = CALL(openat, AT_FDCWD, argv[3], 1 /* O_WRONLY */, 0, 0);
  struct record r = {.ns = bare_now(), .pid = (int32_t)CALL(getpid, 0, 0, 0, 0, 0), .kind = 'S'};
  for (long i = 0; i < BLOCK; i++) block[i] = i % LINE == LINE - 1 ? '\n' : (char)('a' + i % LINE % 26);
  CALL(write, fifo, &r, sizeof r, 0, 0);
  while (CALL(rt_sigtimedwait, &set, 0, 0, 8, 0) != USR1) continue;
  for (long i = 0; i < n; i++) {
    char *line = block + used;
    long number = i;
    line[0] = '#';
    for (int d = 10; d > 0; d--, number /= 10) line[d] = (char)('0' + number % 10);
    line[11] = ' ';
    used += LINE;
    if (used < size && i + 1 < n) continue;
    write_all(block, used);
    used = 0;
  }
  for (;;) CALL(ppoll, 0, 0, 0, 0, 0);
}
