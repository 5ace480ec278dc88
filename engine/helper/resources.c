/* tend helper resources PATH [--connections]: what is there for this process and its like: {"cpus", "memory_mb",
 * "descriptors", "disk_mb"}; "errno" when PATH cannot be looked at. The container's limits count; what is not limited
 * is the machine's. With --connections also how many TCP connections the network namespace has: {"connections",
 * "established", "opening", "closing", "close_wait", "time_wait"}, or {"connections_errno"}. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/json.h"
#include "base/str.h"
#include "helper/connections.h"
#include "helper/helper.h"

enum { MB = 1024 * 1024 };

static double cpus(const struct cgroup *limits) {
  cpu_set_t set;
  double n = (double)sysconf(_SC_NPROCESSORS_ONLN);
  if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
  double limit = limits->cpu_limit_percent / 100;
  return limit > 0 && limit < n ? limit : n;
}

static double memory_mb(const struct cgroup *limits) {
  static const char key[] = "MemAvailable:";
  double available = 0;
  char line[128];
  FILE *f = fopen("/proc/meminfo", "re");
  while (f && fgets(line, sizeof line, f))
    if (strncmp(line, key, sizeof key - 1) == 0) available = strtod(line + sizeof key - 1, NULL) / 1024; /* kB */
  if (f) fclose(f);
  if (limits->memory_limit_bytes >= 0 && limits->memory_used_bytes >= 0) {
    double left = (double)(limits->memory_limit_bytes - limits->memory_used_bytes) / MB;
    if (left < available) available = left > 0 ? left : 0;
  }
  return available;
}

static void connections(struct json *j) {
  struct connections c;
  int rc = connections_count(&c);
  if (rc) {
    json_int(j, "connections_errno", -rc);
    return;
  }
  json_int(j, "connections", c.established + c.opening + c.closing + c.close_wait + c.time_wait);
  json_int(j, "established", c.established);
  json_int(j, "opening", c.opening);
  json_int(j, "closing", c.closing);
  json_int(j, "close_wait", c.close_wait);
  json_int(j, "time_wait", c.time_wait);
}

int helper_resources(int argc, char **argv) {
  const char *path;
  bool net = false;
  const struct helper_option options[] = {{"--connections", HELPER_FLAG, &net, 0}};
  int code = helper_parse(argc, argv, &path, options, ARRAY_LEN(options));
  if (code) return code;
  struct cgroup limits;
  struct rlimit files = {0};
  struct statvfs fs;
  auto_buf struct buf out = {0};
  struct json j = JSON_INIT(&out);
  cgroup_read("", &limits);
  getrlimit(RLIMIT_NOFILE, &files);
  json_object(&j, NULL);
  json_num(&j, "cpus", cpus(&limits));
  json_int(&j, "memory_mb", (int64_t)memory_mb(&limits));
  json_num(&j, "descriptors", files.rlim_cur == RLIM_INFINITY ? 1e15 : (double)files.rlim_cur);
  if (statvfs(path, &fs))
    json_int(&j, "errno", errno);
  else
    json_int(&j, "disk_mb", (int64_t)((double)fs.f_bavail * (double)fs.f_frsize / MB));
  if (net) connections(&j);
  json_object_end(&j);
  puts(buf_cstr(&out));
  return HELPER_OK;
}
