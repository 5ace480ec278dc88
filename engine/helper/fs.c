/* tend helper fs OP PATH [OTHER] [--offset N] [--max N]: one operation of base/fileop.h for a script of the engine's;
 * what is to be written comes on standard input. Prints the result as it is; on failure one line: the errno's name in
 * lower case, then the message. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fileop.h"
#include "base/str.h"
#include "helper/helper.h"

static int read_all(int fd, struct buf *out) {
  for (;;) {
    char *p = buf_room(out, 65536);
    if (!p) return -ENOMEM;
    ssize_t n = read(fd, p, 65536);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    if (n == 0) return 0;
    out->len += (size_t)n;
  }
}

static int write_all(const struct buf *b) { return fwrite(buf_cstr(b), 1, b->len, stdout) == b->len ? 0 : -EIO; }

int helper_fs(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "tend helper fs: an operation and a path are missing\n");
    return HELPER_USAGE;
  }
  struct fileop f = {.op = argv[1], .path = argv[2]};
  for (int i = 3; i < argc; i++) {
    int64_t number = 0;
    bool offset = STR_EQ(argv[i], "--offset");
    if (!offset && !STR_EQ(argv[i], "--max")) {
      f.other = argv[i];
      continue;
    }
    if (i + 1 == argc || str_int(argv[++i], 0, INT64_MAX, &number)) {
      fprintf(stderr, "tend helper fs: a whole number is expected after %s\n", offset ? "--offset" : "--max");
      return HELPER_USAGE;
    }
    if (offset)
      f.offset = number;
    else
      f.max = (size_t)number;
  }
  auto_buf struct buf in = {0};
  auto_buf struct buf out = {0};
  struct err err = ERR_INIT;
  int rc = 0;
  if (STR_EQ(f.op, "write") || STR_EQ(f.op, "append")) rc = read_all(STDIN_FILENO, &in);
  if (rc) err_errno(&err, rc, "cannot read what to write");
  f.data = buf_cstr(&in);
  f.n = in.len;
  if (!rc) rc = fileop_run(&f, &out, &err);
  if (!rc) rc = write_all(&out);
  if (!rc) return HELPER_OK;
  const char *name = strerrorname_np(-rc);
  for (; name && *name; name++) putchar(tolower((unsigned char)*name));
  printf(" %s\n", err.msg);
  return HELPER_FAILED;
}
