/* tend helper sync PATH: what was written to the file system of that folder is on its disk when this ends well. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/tree.h"
#include "helper/helper.h"

int helper_sync(int argc, char **argv) {
  const char *path;
  int code = helper_parse(argc, argv, &path, NULL, 0);
  if (code) return code;
  struct err err = ERR_INIT;
  auto_close int root = tree_open(path, &err);
  if (root < 0) return helper_fail(argv[0], err.msg);
  if (syncfs(root)) {
    err_errno(&err, -errno, "%s", path);
    return helper_fail(argv[0], err.msg);
  }
  puts("{\"synced\": true}");
  return HELPER_OK;
}
