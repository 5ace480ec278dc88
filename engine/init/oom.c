/* The kernel's count of out-of-memory kills in our cgroup, v2 or v1. Kept open: reading it costs one call. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/str.h"
#include "init/state.h"

static int open_at(const char *root, const char *group, const char *file) {
  char path[PATH_MAX];
  int n = snprintf(path, sizeof path, "%s%s/%s", root, STR_EQ(group, "/") ? "" : group, file);
  return n < (int)sizeof path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

/* "0::/path" is v2; "7:memory:/path" is v1. In a container the path may be the host's: then the root is ours. */
void oom_open(struct init *in) {
  in->oom_fd = -1;
  char text[4096];
  int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return;
  text[n] = 0;
  char *next;
  for (char *line = text; line && *line && in->oom_fd < 0; line = next) {
    next = strchr(line, '\n');
    if (next) *next++ = 0;
    char *kind = strchr(line, ':');
    char *path = kind ? strchr(kind + 1, ':') : NULL;
    if (!path) continue;
    *path++ = 0;
    bool v2 = kind[1] == 0;
    if (!v2 && !STR_EQ(kind + 1, "memory")) continue;
    const char *root = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    const char *file = v2 ? "memory.events" : "memory.oom_control";
    in->oom_fd = open_at(root, path, file);
    if (in->oom_fd < 0) in->oom_fd = open_at(root, "/", file);
  }
}

uint64_t oom_count(const struct init *in) {
  char text[512];
  if (in->oom_fd < 0) return 0;
  ssize_t n = pread(in->oom_fd, text, sizeof text - 1, 0);
  if (n <= 0) return 0;
  text[n] = 0;
  const char *key = "oom_kill ";
  const char *at = strncmp(text, key, strlen(key)) == 0 ? text : strstr(text, "\noom_kill ");
  if (!at) return 0;
  return strtoull(strchr(at, ' '), NULL, 10);
}
