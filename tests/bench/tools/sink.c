/* sink N FIFO: reads what comes to its standard input and looks at the number after the first '#' of each line. When it
 * has seen N of them it tells 'E' with, in place of a pid, how many did not come in their turn. */
#include "bare.h"
#include "record.h"

#include <linux/fcntl.h>

enum { DIGITS = 10 };

static char buffer[1 << 20];

static int bare_main(int argc, char **argv, char **envp) {
  (void)envp;
  if (argc < 3) return 64;
  long most = bare_number(argv[1]), seen = 0, wrong = 0, number = 0, n;
  int digits = -1; /* of this line's number: -1 before its '#', DIGITS when it is complete */
  long fifo = CALL(openat, AT_FDCWD, argv[2], 1 /* O_WRONLY */, 0, 0);
  while ((n = CALL(read, 0, buffer, sizeof buffer, 0, 0)) > 0) {
    for (const char *p = buffer, *end = buffer + n; p < end; p++) {
      if (*p == '\n') {
        digits = -1;
      } else if (digits < 0 && *p == '#') {
        digits = 0;
        number = 0;
      } else if (digits >= 0 && digits < DIGITS) {
        number = number * 10 + (*p - '0');
        if (++digits == DIGITS) {
          wrong += number != seen;
          seen++;
        }
      }
    }
    if (seen < most) continue;
    struct record r = {.ns = bare_now(), .pid = (int32_t)wrong, .kind = 'E'};
    CALL(write, fifo, &r, sizeof r, 0, 0);
    seen = 0;
  }
  return 0;
}
