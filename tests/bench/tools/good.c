/* good FIFO: the command of command checks: tells 'C' and ends well. */
#include "bare.h"
#include "record.h"

#include <linux/fcntl.h>

static int bare_main(int argc, char **argv, char **envp) {
  (void)envp;
  struct record r = {.ns = bare_now(), .pid = (int32_t)CALL(getpid, 0, 0, 0, 0, 0), .kind = 'C'};
  if (argc < 2) return 64;
  long fifo = CALL(openat, AT_FDCWD, argv[1], 1 /* O_WRONLY */, 0, 0);
  CALL(write, fifo, &r, sizeof r, 0, 0);
  return 0;
}
