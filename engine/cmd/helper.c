/* tend helper: what the engine runs in a child of its own. Not for people, so not in the help. */
#include "helper/helper.h"

#include "cmd/cmd.h"

int cmd_helper(int argc, char **argv) { return helper_main(argc, argv); }
