#include "loop/spawn_blob.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/scratch.h"
#include "base/str.h"

extern char **environ;

enum { GROUPS_MAX = 1024, NSS_BYTES = 65536 };

static int find_group(const char *name, uint32_t *gid, struct err *err) {
  int64_t v;
  if (str_int(name, 0, UINT32_MAX - 1, &v) == 0) {
    *gid = (uint32_t)v;
    return 0;
  }
  auto_free char *text = malloc(NSS_BYTES);
  struct group g;
  struct group *found = NULL;
  if (text) getgrnam_r(name, &g, text, NSS_BYTES, &found);
  if (!found) return err_set(err, -EINVAL, "user: there is no group \"%s\"", name);
  *gid = g.gr_gid;
  return 0;
}

int spawn_user(const char *user, uint32_t *uid, uint32_t *gid, uint32_t *groups, unsigned *n, struct err *err) {
  char name[256];
  const char *colon = strchr(user, ':');
  size_t len = colon ? (size_t)(colon - user) : strlen(user);
  if (len == 0 || len >= sizeof name || (colon && !colon[1]))
    return err_set(err, -EINVAL, "user: expected \"name\", \"uid\", \"name:group\", got \"%.200s\"", user);
  memcpy(name, user, len);
  name[len] = 0;
  auto_free char *text = malloc(NSS_BYTES);
  if (!text) return err_set(err, -ENOMEM, "user: no memory");
  struct passwd p;
  struct passwd *found = NULL;
  int64_t v;
  bool numeric = str_int(name, 0, UINT32_MAX - 1, &v) == 0;
  if (numeric)
    getpwuid_r((uid_t)v, &p, text, NSS_BYTES, &found);
  else
    getpwnam_r(name, &p, text, NSS_BYTES, &found);
  if (!found && !numeric) return err_set(err, -EINVAL, "user: there is no user \"%s\"", name);
  uint32_t id = found ? p.pw_uid : (uint32_t)v;
  uint32_t group = found ? p.pw_gid : 0;
  unsigned room = *n;
  *n = 0;
  if (colon) {
    int r = find_group(colon + 1, &group, err);
    if (r < 0) return r;
  } else if (found) {
    int count = (int)room;
    *n = getgrouplist(p.pw_name, p.pw_gid, groups, &count) >= 0 ? (unsigned)count : room;
  }
  if (*n == 0 && room > 0) groups[(*n)++] = group;
  *uid = id;
  *gid = group;
  return 0;
}

static size_t count(char *const *list) {
  size_t n = 0;
  while (list[n]) n++;
  return n;
}

static const char *lookup(char *const *env, const char *key) {
  size_t n = strlen(key);
  for (; *env; env++)
    if (strncmp(*env, key, n) == 0 && (*env)[n] == '=') return *env + n + 1;
  return NULL;
}

/* A blob that is being written: its slots lie in front of its strings. */
struct layout {
  struct buf *out;
  size_t slots; /* where they begin */
  size_t at;    /* the next one */
};

static void add_slot(struct layout *l, uint64_t v) {
  uintptr_t slot = (uintptr_t)v;
  if (!l->out->failed) memcpy(l->out->data + l->slots + l->at++ * sizeof slot, &slot, sizeof slot);
}

/* Its offset. */
static size_t add_string(struct layout *l, const char *s) {
  size_t offset = l->out->len;
  buf_add(l->out, s, strlen(s) + 1);
  return offset;
}

static void add_arguments(struct layout *l, char *const *list) {
  for (; *list; list++) add_slot(l, add_string(l, *list));
  add_slot(l, 0);
}

/* Variables that are tend's own go as their number: there may be thousands of them, for each process. */
static void add_environment(struct layout *l, char *const *list) {
  size_t own = 0;
  for (; *list; list++) {
    size_t i = own;
    while (environ[i] && environ[i] != *list) i++;
    if (environ[i]) own = i + 1;
    add_slot(l, environ[i] ? PROTO_ENVIRON | i : add_string(l, *list));
  }
  add_slot(l, 0);
}

/* As execvpe looks: the name itself where it has a slash, else below each directory of PATH. */
static void add_candidates(struct layout *l, const char *name, const char *path) {
  if (strchr(name, '/') || !*name) {
    add_slot(l, add_string(l, name));
    add_slot(l, 0);
    return;
  }
  for (const char *dir = path;; dir++) {
    const char *end = strchrnul(dir, ':');
    add_slot(l, l->out->len);
    buf_add(l->out, end > dir ? dir : ".", end > dir ? (size_t)(end - dir) : 1);
    buf_char(l->out, '/');
    add_string(l, name);
    dir = end;
    if (!*dir) break;
  }
  add_slot(l, 0);
}

static size_t candidates_of(const char *name, const char *path) {
  if (strchr(name, '/') || !*name) return 1;
  size_t n = 1;
  for (; *path; path++) n += *path == ':';
  return n;
}

static void add_zeros(struct buf *out, size_t n) {
  char *p = buf_room(out, n);
  if (!p) return;
  memset(p, 0, n);
  out->len += n;
}

int spawn_blob(const struct child_spec *spec, struct proto_spawn *m, struct buf *out, struct err *err) {
  auto_free uint32_t *groups = NULL;
  unsigned ngroups = 0;
  if (spec->user) {
    groups = calloc(GROUPS_MAX, sizeof *groups);
    if (!groups) return err_set(err, -ENOMEM, "user: no memory");
    ngroups = GROUPS_MAX;
    int r = spawn_user(spec->user, &m->uid, &m->gid, groups, &ngroups, err);
    if (r < 0) return r;
  }
  char *const *env = spec->envp ? spec->envp : environ;
  const char *path = lookup(env, "PATH");
  if (!path) path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  struct proto_blob head = {.argc = (uint32_t)count(spec->argv),
                            .envc = (uint32_t)count(env),
                            .ncandidates = (uint32_t)candidates_of(spec->argv[0], path),
                            .ngroups = ngroups};
  out->max = LIMIT_SPAWN_BLOB;
  add_zeros(out, sizeof head);
  struct layout l = {.out = out, .slots = out->len, .at = 1};
  add_zeros(out, ((size_t)head.argc + head.envc + head.ncandidates + 4) * sizeof(uintptr_t));
  buf_add(out, groups, ngroups * sizeof *groups);
  add_arguments(&l, spec->argv);
  add_environment(&l, env);
  add_candidates(&l, spec->argv[0], path);
  if (spec->cwd) head.cwd = (uint32_t)add_string(&l, spec->cwd);
  if (out->failed) return err_set(err, -E2BIG, "arguments and environment of %s are larger than 8 MiB", m->name);
  head.size = (uint32_t)out->len;
  memcpy(out->data, &head, sizeof head);
  return 0;
}

int spawn_seal(const struct buf *blob, int *out, struct err *err) {
  auto_close int fd = scratch_open("spawn");
  int rc = fd < 0 ? fd : 0;
  for (size_t done = 0; rc == 0 && done < blob->len;) {
    ssize_t r = write(fd, blob->data + done, blob->len - done);
    if (r < 0)
      rc = -errno;
    else
      done += (size_t)r;
  }
  if (rc == 0) rc = scratch_seal(fd);
  if (rc) return err_errno(err, rc, "cannot hand a command to init");
  *out = take_fd(&fd);
  return 0;
}
