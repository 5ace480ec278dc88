/* The helper program: `tend helper ...` without the rest of tend, which init executes where it would execute itself.
 * Small and static, because its start and its end are waited for. */
#include <sys/prctl.h>

#include "helper/helper.h"

int main(int argc, char **argv) {
  prctl(PR_SET_NAME, "tend", 0, 0, 0); /* executed by descriptor it would have its number as its name */
  return helper_main(argc - 1, argv + 1);
}
