/* tend helper process WHAT: the living process whose number is in the file WHAT, which has a "/", or whose name is
 * WHAT, the one with the lowest number: {"pid", "name"}; pid 0 when the file holds no number, no name when it does not
 * live; {"errno"} when the file cannot be read. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/json.h"
#include "base/str.h"
#include "helper/helper.h"

/* The name of a living process; a zombie is dead. */
static bool name_of(int64_t pid, char *name, size_t size) {
  char path[64], text[256];
  snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
  auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (n <= 0) return false;
  text[n] = 0;
  char *open_at = strchr(text, '('), *end = strrchr(text, ')');
  if (!open_at || !end || end[1] != ' ' || strchr("ZXx", end[2])) return false;
  *end = 0;
  return str_copy(name, size, open_at + 1);
}

static int64_t find(const char *wanted, char *name, size_t size) {
  int64_t best = 0, pid;
  DIR *dir = opendir("/proc");
  if (!dir) return 0;
  for (const struct dirent *e; (e = readdir(dir));)
    if (str_int(e->d_name, 1, INT32_MAX, &pid) == 0 && (!best || pid < best) && name_of(pid, name, size) &&
        STR_EQ(name, wanted))
      best = pid;
  closedir(dir);
  return best && name_of(best, name, size) ? best : 0;
}

static int read_number(const char *path, int64_t *pid) {
  char text[32];
  auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (n < 0) return errno;
  text[n] = 0;
  const char *number = text + strspn(text, " \t"); /* some programs pad it */
  text[(size_t)(number - text) + strcspn(number, " \t\r\n")] = 0;
  if (str_int(number, 1, INT32_MAX, pid)) *pid = 0;
  return 0;
}

int helper_process(int argc, char **argv) {
  const char *what;
  char name[64] = "";
  int64_t pid = 0;
  int code = helper_parse(argc, argv, &what, NULL, 0), error = 0;
  if (code) return code;
  bool alive = false;
  if (strchr(what, '/')) {
    error = read_number(what, &pid);
    alive = pid && name_of(pid, name, sizeof name);
  } else {
    pid = find(what, name, sizeof name);
    alive = pid;
  }
  auto_buf struct buf out = {0};
  struct json j = JSON_INIT(&out);
  json_object(&j, NULL);
  if (error) json_int(&j, "errno", error);
  json_int(&j, "pid", pid);
  if (alive) json_str(&j, "name", name);
  json_object_end(&j);
  puts(buf_cstr(&out));
  return HELPER_OK;
}
