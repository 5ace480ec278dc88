/* tend helper resources PATH: what is there for this process and its like: {"cpus", "memory_mb", "descriptors",
 * "disk_mb"}; "errno" when PATH cannot be looked at. The container's limits count; what is not limited is the
 * machine's. */
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

int helper_resources(int argc, char **argv) {
  const char *path;
  int code = helper_parse(argc, argv, &path, NULL, 0);
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
  json_object_end(&j);
  puts(buf_cstr(&out));
  return HELPER_OK;
}
