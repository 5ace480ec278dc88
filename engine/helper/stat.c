/* tend helper stat PATH: what is there, and what the present user may do with it. Nothing there is an answer, too:
 * {"errno", "error"} in place of the facts. Symbolic links are followed, nothing is opened but a directory. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "helper/helper.h"

static const char *type_name(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "file";
    case S_IFDIR:
      return "directory";
    case S_IFSOCK:
      return "socket";
    case S_IFIFO:
      return "pipe";
    default:
      return "device";
  }
}

static bool may(const char *path, int how) { return access(path, how) == 0; }

static bool directory_empty(const char *path) {
  DIR *dir = opendir(path);
  if (!dir) return false;
  const struct dirent *e;
  do e = readdir(dir);
  while (e && (STR_EQ(e->d_name, ".") || STR_EQ(e->d_name, "..")));
  closedir(dir);
  return !e;
}

int helper_stat(int argc, char **argv) {
  const char *path;
  int code = helper_parse(argc, argv, &path, NULL, 0);
  if (code) return code;
  auto_buf struct buf out = {0};
  struct json j = JSON_INIT(&out);
  struct stat st;
  json_object(&j, NULL);
  if (stat(path, &st)) {
    int error = errno;
    json_int(&j, "errno", error);
    json_str(&j, "error", strerror(error));
  } else {
    bool directory = S_ISDIR(st.st_mode);
    struct statvfs fs;
    int enter = directory ? X_OK : 0; /* a directory is of no use to who cannot enter it */
    int64_t modified_ns = (int64_t)st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
    json_str(&j, "type", type_name(st.st_mode));
    json_int(&j, "size", st.st_size);
    json_int(&j, "mode", st.st_mode & 07777);
    json_int(&j, "uid", st.st_uid);
    json_int(&j, "gid", st.st_gid);
    json_num(&j, "age_s", (double)((clock_real_ns() - modified_ns) / NS_PER_MS) / 1000);
    json_bool(&j, "readable", may(path, R_OK | enter));
    json_bool(&j, "writable", may(path, W_OK | enter));
    json_bool(&j, "executable", may(path, X_OK));
    json_bool(&j, "read_only", statvfs(path, &fs) == 0 && (fs.f_flag & ST_RDONLY));
    json_bool(&j, "empty", directory ? directory_empty(path) : S_ISREG(st.st_mode) && st.st_size == 0);
  }
  json_object_end(&j);
  puts(buf_cstr(&out));
  return HELPER_OK;
}
