#include "loop/spawn_blob.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clean.h"
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

/* The strings of a blob and the offsets that the slots will hold. */
struct layout {
  struct buf text;
  size_t base; /* where the text begins in the blob */
  uintptr_t *slots;
  size_t at;
};

static uintptr_t add_string(struct layout *l, const char *s, size_t n) {
  uintptr_t offset = l->base + l->text.len;
  buf_add(&l->text, s, n);
  buf_char(&l->text, 0);
  return offset;
}

static void add_list(struct layout *l, char *const *list) {
  for (; *list; list++) l->slots[l->at++] = add_string(l, *list, strlen(*list));
  l->slots[l->at++] = 0;
}

/* As execvpe looks: the name itself where it has a slash, else below each directory of PATH. */
static void add_candidates(struct layout *l, const char *name, const char *path) {
  if (strchr(name, '/') || !*name) {
    l->slots[l->at++] = add_string(l, name, strlen(name));
    l->slots[l->at++] = 0;
    return;
  }
  for (const char *dir = path;; dir++) {
    const char *end = strchrnul(dir, ':');
    l->slots[l->at++] = l->base + l->text.len;
    buf_add(&l->text, end > dir ? dir : ".", end > dir ? (size_t)(end - dir) : 1);
    buf_char(&l->text, '/');
    add_string(l, name, strlen(name));
    dir = end;
    if (!*dir) break;
  }
  l->slots[l->at++] = 0;
}

static size_t candidates_of(const char *name, const char *path) {
  if (strchr(name, '/') || !*name) return 1;
  size_t n = 1;
  for (; *path; path++) n += *path == ':';
  return n;
}

static int seal(const struct proto_blob *head, const struct layout *l, size_t slots, const uint32_t *groups, int *out) {
  auto_close int fd = memfd_create("spawn", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return -errno;
  struct {
    const void *p;
    size_t n;
  } parts[] = {{head, sizeof *head},
               {l->slots, slots * sizeof *l->slots},
               {groups, head->ngroups * sizeof *groups},
               {l->text.data, l->text.len}};
  for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
    const char *p = parts[i].p;
    for (size_t n = parts[i].n; n;) {
      ssize_t r = write(fd, p, n);
      if (r < 0) return -errno;
      p += r;
      n -= (size_t)r;
    }
  }
  if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) return -errno;
  *out = take_fd(&fd);
  return 0;
}

int spawn_blob(const struct child_spec *spec, struct proto_spawn *m, int *fd, struct err *err) {
  uint32_t groups[GROUPS_MAX];
  unsigned ngroups = 0;
  if (spec->user) {
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
  size_t slots = (size_t)head.argc + head.envc + head.ncandidates + 4;
  auto_free uintptr_t *slot = calloc(slots, sizeof *slot);
  if (!slot) return err_set(err, -ENOMEM, "no memory to start %s", m->name);
  struct layout l = {.base = sizeof head + slots * sizeof *slot + ngroups * sizeof *groups, .slots = slot, .at = 1};
  l.text.max = LIMIT_SPAWN_BLOB - 1;
  add_list(&l, spec->argv);
  add_list(&l, env);
  add_candidates(&l, spec->argv[0], path);
  if (spec->cwd) head.cwd = (uint32_t)add_string(&l, spec->cwd, strlen(spec->cwd));
  int r = l.text.failed || l.base + l.text.len > LIMIT_SPAWN_BLOB ? -E2BIG : 0;
  head.size = (uint32_t)(l.base + l.text.len);
  if (r == 0) r = seal(&head, &l, slots, groups, fd);
  buf_free(&l.text);
  if (r == -E2BIG) return err_set(err, r, "arguments and environment of %s are larger than 8 MiB", m->name);
  return r < 0 ? err_errno(err, r, "cannot hand the command of %s to init", m->name) : 0;
}
