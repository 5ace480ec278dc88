/* Which engine is meant. Looked for in --state-dir alone when that is given; else in CONTAINER_STATE_DIR; else in the
 * places where an engine puts its folder by itself (root: also in those of the others). A folder is trusted only when
 * its owner is the one who answers on its socket, and is ourselves unless we are root. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/place.h"
#include "base/str.h"
#include "client/client.h"

enum { ENGINES_MAX = 64 };

struct search {
  const char *flow; /* wanted; NULL: any */
  struct engine_place *found;
  size_t n;
  bool given;        /* the directory that is looked through was named */
  struct buf looked; /* where, for the message */
  struct err err;    /* why the last one that was there does not count */
};

static void read_pid(int dir, char out[16]) {
  snprintf(out, 16, "?");
  auto_close int fd = openat(dir, "lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  char text[16] = "";
  if (fd < 0 || read(fd, text, sizeof text - 1) <= 0) return;
  text[strspn(text, "0123456789")] = 0;
  if (*text) snprintf(out, 16, "%s", text);
}

/* given: whoever asks has named the directory, so it may be that of another user. */
static int connect_trusted(int dir, const char *path, bool given, struct err *err) {
  struct stat st;
  if (fstat(dir, &st)) return err_errno(err, -errno, "%s", path);
  if (!given && st.st_uid != geteuid() && geteuid() != 0)
    return err_set(err, -EPERM, "%s belongs to uid %u", path, (unsigned)st.st_uid);
  auto_close int fd = place_connect(dir, path, PLACE_SOCKET, err);
  if (fd < 0) return fd;
  struct ucred peer;
  socklen_t n = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n)) return err_errno(err, -errno, "%s", path);
  if (peer.uid != st.st_uid)
    return err_set(err, -EPERM, "%s is not trusted: uid %u owns it, uid %u answers", path, (unsigned)st.st_uid,
                   (unsigned)peer.uid);
  return take_fd(&fd);
}

static void try_folder(struct search *s, int root, const char *root_path, const char *flow) {
  if (s->n == ENGINES_MAX || strlen(flow) >= LIMIT_NAME) return;
  auto_close int dir = place_open_dir(root, flow);
  struct stat st;
  if (dir < 0 || fstatat(dir, PLACE_SOCKET, &st, AT_SYMLINK_NOFOLLOW)) return;
  struct engine_place *e = &s->found[s->n];
  str_copy(e->flow, sizeof e->flow, flow);
  int length = snprintf(e->path, sizeof e->path, "%s/%s", root_path, flow);
  if (length < 0 || (size_t)length >= sizeof e->path) return;
  e->fd = connect_trusted(dir, e->path, s->given, &s->err);
  if (e->fd < 0) return;
  read_pid(dir, e->pid);
  s->n++;
}

/* owner: whose the directory must be, -1: anybody's. */
static void search_root(struct search *s, const char *path, bool follow, int64_t owner) {
  buf_fmt(&s->looked, "%s%s", s->looked.len ? ", " : "", path);
  int root = follow ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : place_open_dir(AT_FDCWD, path);
  if (root < 0) {
    int error = follow ? errno : -root;
    if (error != ENOENT) err_errno(&s->err, -error, "%s", path);
    return;
  }
  DIR *d = fdopendir(root);
  if (!d) {
    close(root);
    return;
  }
  struct stat st;
  bool ours = owner < 0 || (fstat(root, &st) == 0 && st.st_uid == owner);
  if (!ours) err_set(&s->err, -EPERM, "%s belongs to another user", path);
  for (const struct dirent *e; ours && (e = readdir(d));)
    if (e->d_name[0] != '.' && (!s->flow || STR_EQ(s->flow, e->d_name))) try_folder(s, root, path, e->d_name);
  closedir(d);
}

/* What other users' engines have made where everybody may write. */
static void search_others(struct search *s, const char *place) {
  DIR *d = opendir(place);
  if (!d) return;
  for (const struct dirent *e; (e = readdir(d));) {
    int64_t uid;
    if (!str_starts(e->d_name, "tend-") || str_int(e->d_name + 5, 1, UINT32_MAX, &uid)) continue;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", place, e->d_name);
    search_root(s, path, false, uid);
  }
  closedir(d);
}

static void search_all(struct search *s, const char *state_dir) {
  s->given = true;
  if (state_dir) {
    search_root(s, state_dir, true, -1);
    return;
  }
  const char *set = getenv("CONTAINER_STATE_DIR");
  if (set && *set) search_root(s, set, true, -1);
  s->given = false;
  if (s->n) return;
  char path[PATH_MAX];
  for (unsigned i = 0; place_candidate(i, path); i++) search_root(s, path, false, geteuid() ? (int64_t)geteuid() : -1);
  if (geteuid() != 0) return;
  search_others(s, "/tmp");
  search_others(s, "/dev/shm");
}

static void tell_none(const struct search *s) {
  fprintf(stderr, "tend: no engine%s%s%s is reachable (looked in %s)%s%s; %s\n", s->flow ? " of flow \"" : "",
          s->flow ? s->flow : "", s->flow ? "\"" : "", buf_cstr(&s->looked), s->err.code ? ": " : "", s->err.msg,
          s->err.code == -ECONNREFUSED ? "that one has ended, tend run starts another"
                                       : "tend run starts one, --state-dir says where one keeps its state");
}

static void tell_several(const struct search *s) {
  bool same = true;
  for (size_t i = 1; i < s->n; i++) same = same && STR_EQ(s->found[i].flow, s->found[0].flow);
  fprintf(stderr, "tend: several engines are running; say which with %s:\n", same ? "--state-dir" : "--flow-name");
  for (size_t i = 0; i < s->n; i++)
    fprintf(stderr, "  %-20s pid %-8s %s\n", s->found[i].flow, s->found[i].pid, s->found[i].path);
}

/* In a container the environment names the flow; it decides only where several engines run. */
static const struct engine_place *choose(const struct search *s) {
  if (s->n == 1) return &s->found[0];
  const char *name = getenv("CONTAINER_FLOW_NAME");
  const struct engine_place *one = NULL;
  for (size_t i = 0; name && i < s->n; i++) {
    if (!STR_EQ(s->found[i].flow, name)) continue;
    if (one) return NULL;
    one = &s->found[i];
  }
  return one;
}

int find_engine(const char *state_dir, const char *flow, bool tell, struct engine_place *out) {
  struct search s = {.flow = flow, .found = calloc(ENGINES_MAX, sizeof *s.found)};
  if (!s.found) {
    if (tell) fprintf(stderr, "tend: out of memory\n");
    return CLIENT_UNREACHABLE;
  }
  search_all(&s, state_dir);
  const struct engine_place *one = s.n ? choose(&s) : NULL;
  if (one)
    *out = *one;
  else if (tell && s.n)
    tell_several(&s);
  else if (tell)
    tell_none(&s);
  for (size_t i = 0; i < s.n; i++)
    if (&s.found[i] != one) close(s.found[i].fd);
  int code = one ? CLIENT_OK : s.n ? CLIENT_USAGE : CLIENT_UNREACHABLE;
  free(s.found);
  buf_free(&s.looked);
  return code;
}
