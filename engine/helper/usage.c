/* tend helper usage PATH [--also PATH]... [--descriptors]
 *
 * {"disks": [{"path", "used", "inodes", "free_mb", "total_mb"} …]}: of each path's file system the shares in use, 0 to
 * 1, as `df` counts them (what is reserved for root counts as used); {"path", "errno", "error"} where it cannot be
 * looked at; "inodes" is left out where the file system does not count them. With --descriptors also
 * {"descriptors": {"used", "most", "pid", "name"}}: of the process below tend that is nearest to its own limit of open
 * files; none when no process's descriptors may be seen. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/json.h"
#include "base/str.h"
#include "helper/helper.h"

enum { MB = 1024 * 1024 };

static void disk(struct json *j, const char *path) {
  struct statvfs fs;
  json_object(j, NULL);
  json_str(j, "path", path);
  if (statvfs(path, &fs)) {
    json_int(j, "errno", errno);
    json_str(j, "error", strerror(errno));
    json_object_end(j);
    return;
  }
  double used = (double)(fs.f_blocks - fs.f_bfree), left = (double)fs.f_bavail, block = (double)fs.f_frsize;
  json_num(j, "used", used + left > 0 ? used / (used + left) : 0);
  if (fs.f_files) json_num(j, "inodes", (double)(fs.f_files - fs.f_favail) / (double)fs.f_files);
  json_int(j, "free_mb", (int64_t)(left * block / MB));
  json_int(j, "total_mb", (int64_t)((double)fs.f_blocks * block / MB));
  json_object_end(j);
}

/* --- descriptors ------------------------------------------------------------------------------------------------- */

struct process {
  int pid, parent;
  char name[64];
};

struct processes {
  struct process *list;
  size_t n, cap;
};

static void clean_dir(DIR **d) {
  if (*d) closedir(*d);
}
#define auto_dir __attribute__((cleanup(clean_dir)))

/* "pid (name) state parent …"; the name may hold anything. */
static void add_process(struct processes *all, int pid) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  auto_file FILE *f = fopen(path, "re");
  size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
  text[n] = 0;
  char *open = strchr(text, '('), *close = strrchr(text, ')');
  if (!open || !close || close < open) return;
  if (all->n == all->cap) {
    size_t cap = all->cap ? 2 * all->cap : 256;
    struct process *list = realloc(all->list, cap * sizeof *list);
    if (!list) return;
    all->list = list;
    all->cap = cap;
  }
  struct process *p = &all->list[all->n++];
  *p = (struct process){.pid = pid};
  if (strlen(close) > 4) p->parent = (int)strtol(close + 4, NULL, 10); /* ") S 1 …" */
  *close = 0;
  str_copy(p->name, sizeof p->name, open + 1);
}

static const struct process *find(const struct processes *all, int pid) {
  for (size_t i = 0; i < all->n; i++)
    if (all->list[i].pid == pid) return &all->list[i];
  return NULL;
}

/* A child of the process that started this one, or below it; the chain is bounded in case it changes meanwhile. */
static bool ours(const struct processes *all, const struct process *p, int top) {
  for (size_t depth = 0; p && depth <= all->n; depth++) {
    if (p->pid == top || p->parent == top) return true;
    p = find(all, p->parent);
  }
  return false;
}

static int64_t count_open(int pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/fd", pid);
  auto_dir DIR *dir = opendir(path);
  if (!dir) return -1;
  int64_t n = 0;
  for (const struct dirent *d; (d = readdir(dir));) n += d->d_name[0] != '.';
  return n;
}

static void descriptors(struct json *j) {
  struct processes all = {0};
  auto_dir DIR *proc = opendir("/proc");
  int64_t pid;
  for (const struct dirent *d; proc && (d = readdir(proc));)
    if (str_int(d->d_name, 1, INT32_MAX, &pid) == 0) add_process(&all, (int)pid);
  const struct process *nearest = NULL;
  double share = -1;
  int64_t used = 0, most = 0;
  for (size_t i = 0; i < all.n; i++) {
    const struct process *p = &all.list[i];
    struct rlimit limit;
    if (p->pid == getpid() || !ours(&all, p, getppid())) continue;
    int64_t n = count_open(p->pid);
    if (n < 0 || prlimit(p->pid, RLIMIT_NOFILE, NULL, &limit) || limit.rlim_cur == RLIM_INFINITY || !limit.rlim_cur)
      continue;
    if ((double)n / (double)limit.rlim_cur <= share) continue;
    share = (double)n / (double)limit.rlim_cur;
    nearest = p;
    used = n;
    most = (int64_t)limit.rlim_cur;
  }
  if (nearest) {
    json_object(j, "descriptors");
    json_int(j, "used", used);
    json_int(j, "most", most);
    json_int(j, "pid", nearest->pid);
    json_str(j, "name", nearest->name);
    json_object_end(j);
  }
  free(all.list);
}

int helper_usage(int argc, char **argv) {
  const char *path;
  struct helper_texts also = {0};
  bool open_files = false;
  const struct helper_option options[] = {{"--also", HELPER_TEXTS, &also, 0},
                                          {"--descriptors", HELPER_FLAG, &open_files, 0}};
  int code = helper_parse(argc, argv, &path, options, ARRAY_LEN(options));
  if (code) return code;
  auto_buf struct buf out = {0};
  struct json j = JSON_INIT(&out);
  json_object(&j, NULL);
  json_array(&j, "disks");
  disk(&j, path);
  for (size_t i = 0; i < also.n; i++) disk(&j, also.text[i]);
  json_array_end(&j);
  if (open_files) descriptors(&j);
  json_object_end(&j);
  puts(buf_cstr(&out));
  return HELPER_OK;
}
