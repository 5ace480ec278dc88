/* The group that may look: its members get through folder and socket, and no further than a read-only client does. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/place.h"
#include "base/str.h"
#include "loop/control_inner.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

/* By /etc/group alone: other sources of groups may ask a network. */
static int find_group(const char *name, gid_t *out, struct err *err) {
  int64_t number;
  if (str_int(name, 0, UINT32_MAX - 1, &number) == 0) {
    *out = (gid_t)number;
    return 0;
  }
  auto_file FILE *f = fopen("/etc/group", "re");
  for (const struct group *g; f && (g = fgetgrent(f));) {
    if (!STR_EQ(g->gr_name, name)) continue;
    *out = g->gr_gid;
    return 0;
  }
  return err_set(err, -ENOENT, "group \"%s\" is not in /etc/group; give its number", name);
}

/* The directory above is looked through by clients; it tells the names of flows. */
static void open_above(int dir_fd) {
  auto_close int fd = openat(dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct stat st;
  if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid()) (void)!fchmod(fd, (st.st_mode & 07777) | 0055);
}

int control_group(struct control *c, const char *name, struct err *err) {
  gid_t gid = 0;
  int rc = find_group(name, &gid, err);
  if (rc) return rc;
  if (fchownat(c->dir_fd, PLACE_SOCKET, (uid_t)-1, gid, AT_SYMLINK_NOFOLLOW) || fchown(c->dir_fd, (uid_t)-1, gid))
    return err_errno(err, -errno, "the control socket cannot be given to group %s", name);
  if (fchmodat(c->dir_fd, PLACE_SOCKET, 0660, 0) || fchmod(c->dir_fd, 0750))
    return err_errno(err, -errno, "the control socket cannot be opened to group %s", name);
  open_above(c->dir_fd);
  c->group = gid;
  c->has_group = true;
  return 0;
}

bool group_has(const struct control *c, int fd, gid_t first) {
  if (!c->has_group) return false;
  if (first == c->group) return true;
  gid_t groups[1024];
  socklen_t n = sizeof groups;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &n)) return false;
  for (size_t i = 0; i < n / sizeof *groups; i++)
    if (groups[i] == c->group) return true;
  return false;
}
