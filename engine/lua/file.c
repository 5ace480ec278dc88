/* Script files: read, refused where they are no text, compiled. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/limits.h"
#include "base/str.h"
#include "lua/l.h"

/* Whatever goes into a plan is shown and written as JSON, so a text in another encoding is a mistake. */
static int check_text(const char *path, const char *text, size_t n, struct err *err) {
  int line = 1;
  for (size_t i = 0; i < n;) {
    if (!text[i]) return 0; /* told by who compiles it */
    size_t len = str_utf8_len(text + i, n - i);
    if (!len) return err_set(err, -EILSEQ, "%s:%d: is not UTF-8 (byte 0x%02x)", path, line, (unsigned char)text[i]);
    line += text[i] == '\n';
    i += len;
  }
  return 0;
}

int script_read(const char *path, struct buf *out, struct err *err) {
  /* a FIFO must not block the open */
  auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return err_errno(err, -errno, "%s: cannot open", path);
  struct stat st;
  if (fstat(fd, &st)) return err_errno(err, -errno, "%s", path);
  if (!S_ISREG(st.st_mode)) return err_set(err, -EINVAL, "%s: is no regular file", path);
  if (st.st_size > LIMIT_FLOW_FILE)
    return err_set(err, -EFBIG, "%s: has %lld bytes, a script has at most %d", path, (long long)st.st_size,
                   LIMIT_FLOW_FILE);
  size_t before = out->len;
  for (;;) {
    char *p = buf_room(out, 16384);
    if (!p) return err_set(err, -ENOMEM, "%s: no memory to read it", path);
    ssize_t n = read(fd, p, 16384);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return err_errno(err, -errno, "%s: cannot read", path);
    if (n == 0) break;
    out->len += (size_t)n;
    out->data[out->len] = 0;
    if (out->len - before > LIMIT_FLOW_FILE)
      return err_set(err, -EFBIG, "%s: has more than %d bytes", path, LIMIT_FLOW_FILE);
  }
  const char *text = buf_cstr(out) + before;
  if (out->len > before && text[0] == LUA_SIGNATURE[0]) return 0; /* refused for what it is */
  return check_text(path, text, out->len - before, err);
}

int script_source(struct vm *vm, const char *path, struct buf *out, struct err *err) {
  const struct source *given = vm->host.given ? sources_find(vm->host.given, path) : NULL;
  size_t before = out->len;
  int rc = 0;
  if (given)
    buf_add(out, given->text, given->n);
  else if (vm->host.given)
    rc = err_set(err, -ENOENT, "%s: is not among the texts that were kept", path);
  else
    rc = script_read(path, out, err);
  if (rc) return rc;
  const char *text = buf_cstr(out) + before;
  if (out->failed || sources_add(&vm->sources, path, text, out->len - before))
    return err_set(err, -ENOMEM, "%s: no memory to read it", path);
  return 0;
}

bool script_exists(struct vm *vm, const char *path) {
  if (vm->host.given) return sources_find(vm->host.given, path) != NULL;
  if (access(path, F_OK) == 0) return true;
  sources_add(&vm->missing, path, "", 0); /* without memory for it: its coming is not seen */
  return false;
}

int script_compile(lua_State *L, const char *text, size_t n, const char *name, struct err *err) {
  if (n && text[0] == LUA_SIGNATURE[0]) return err_set(err, -EINVAL, "%s: is compiled Lua; only text is loaded", name);
  if (n && memchr(text, 0, n)) return err_set(err, -EINVAL, "%s: has NUL bytes, so it is no Lua text", name);
  if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
    text += 3;
    n -= 3;
  }
  if (n && text[0] == '#') { /* "#!": the first line is for the kernel; the newline stays, so lines are right */
    const char *nl = memchr(text, '\n', n);
    size_t skip = nl ? (size_t)(nl - text) : n;
    text += skip;
    n -= skip;
  }
  char chunk[512];
  snprintf(chunk, sizeof chunk, "@%s", name);
  if (luaL_loadbufferx(L, n ? text : "", n, chunk, "t") == LUA_OK) {
    l_give_environment(L);
    return 0;
  }
  const char *why = lua_tostring(L, -1);
  bool in_table = strstr(why, "'}' expected") && !strstr(why, "<eof>"); /* the mistake that is made most */
  int rc = err_set(err, -EINVAL, "%s%s", why, in_table ? "; a comma may be missing before it" : "");
  lua_pop(L, 1);
  return rc;
}
