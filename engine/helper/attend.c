/* tend helper attend
 *
 * Is there before it is needed: waits for its job on standard input, the words of another action and before them how
 * many these are, each with a NUL behind it, until the end of the input. It does that and tells how it ended (a NUL,
 * the exit code, a newline), so that nobody has to wait for its own end. Without a job it just ends. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "helper/helper.h"

enum { CHUNK = 4096, ROOM = 2 * CHUNK, WORDS_MAX = 4 + 2 * (LIMIT_PATTERNS + 8) };

static int read_job(struct buf *job) {
  for (;;) {
    char *to = buf_room(job, CHUNK);
    if (!to) return -ENOMEM;
    ssize_t n = read(STDIN_FILENO, to, CHUNK);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    if (n == 0) return 0;
    job->len += (size_t)n;
  }
}

/* Memory that any action will touch: nobody waits for it now. */
static void warm(void) {
  clock_real_ns();
  char *room = malloc(ROOM);
  if (room) explicit_bzero(room, ROOM);
  free(room);
}

int helper_attend(int argc, char **argv) {
  (void)argc;
  auto_buf struct buf job = {0};
  warm();
  int r = read_job(&job);
  if (r < 0) return helper_fail(argv[0], strerror(-r));
  if (!job.len) return HELPER_OK;
  char *words[WORDS_MAX + 1]; /* the count's place is that of the name */
  int n = 0;
  int64_t wanted;
  for (char *p = job.data, *end = p + job.len; p < end && n <= WORDS_MAX; p += strlen(p) + 1) words[n++] = p;
  if (job.data[job.len - 1] || str_int(words[0], 1, WORDS_MAX, &wanted) || wanted != n - 1)
    return helper_fail(argv[0], "half of a job is none");
  static char answer[CHUNK]; /* whoever waits for it does not wait for memory */
  setvbuf(stdout, answer, _IOFBF, sizeof answer);
  int code = helper_main(n, words);
  printf("%c%d\n", 0, code);
  fflush(stdout);
  sched_yield(); /* who has waited for that goes first */
  return code;
}
