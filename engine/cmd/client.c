/* The commands that ask a running engine: one for all, which looks at its own name. */
#include "client/client.h"

#include "cmd/cmd.h"

int cmd_client(int argc, char **argv) { return client_main(argc, argv); }
