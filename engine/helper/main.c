/* The helper program: `tend helper ...` without the rest of tend, which init executes where it would execute itself;
 * and what the guard becomes. Small and static, because its start and its end are waited for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/exits.h"
#include "base/guard.h"
#include "helper/helper.h"

/* init's pid, where this is the guard; 0: it is a helper, with an environment like anybody's. */
static pid_t guarded(void) {
  size_t n = strlen(GUARD_VARIABLE "=");
  if (!environ[0] || environ[1] || strncmp(environ[0], GUARD_VARIABLE "=", n) != 0) return 0;
  return (pid_t)strtol(environ[0] + n, NULL, 10);
}

static int guard(pid_t init) {
  int code = guard_watch(init, NULL);
  if (code >= 0) _exit(code);
  fprintf(stderr, "tend-helper: " GUARD_VARIABLE " is set, but %d is no child of this process; unset it\n", (int)init);
  return EXIT_USAGE;
}

int main(int argc, char **argv) {
  prctl(PR_SET_NAME, "tend", 0, 0, 0); /* executed by descriptor it would have its number as its name */
  pid_t init = guarded();
  return init ? guard(init) : helper_main(argc - 1, argv + 1);
}
