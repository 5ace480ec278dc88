/* The commands that ask a running engine: one for all, which looks at its own name. */
#include "client/client.h"

#include "base/str.h"
#include "cmd/cmd.h"

int cmd_client(int argc, char **argv) {
  for (int i = 1; i < argc && !STR_EQ(argv[i], "--"); i++)
    if (STR_EQ(argv[i], "--help") || STR_EQ(argv[i], "-h")) return cmd_help(2, (char *[]){argv[i], argv[0], NULL});
  return client_main(argc, argv);
}
