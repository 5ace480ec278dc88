/* tend helper connect PATH: connects to a Unix stream socket and closes. {"errno": 0}, or what connect said. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/str.h"
#include "helper/helper.h"

int helper_connect(int argc, char **argv) {
  const char *path;
  int code = helper_parse(argc, argv, &path, NULL, 0);
  if (code) return code;
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  int error = 0;
  auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    error = errno;
  else if (!str_copy(to.sun_path, sizeof to.sun_path, path))
    error = ENAMETOOLONG;
  else if (connect(fd, (const struct sockaddr *)&to, sizeof to))
    error = errno;
  printf("{\"errno\": %d}\n", error);
  return HELPER_OK;
}
