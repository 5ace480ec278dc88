/* Writing to descriptors that are shared with others, without ever waiting in the kernel and without changing
 * their flags: O_NONBLOCK belongs to the open file, which the shell that started tend may share. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "init/state.h"

void writer_open(struct writer *w, int fd) {
  w->fd = fd;
  w->kind = WRITER_FILE;
  struct stat st;
  if (fstat(fd, &st) != 0) return;
  if (S_ISFIFO(st.st_mode)) {
    w->kind = WRITER_PIPE;
  } else if (S_ISSOCK(st.st_mode)) {
    w->kind = WRITER_SOCKET;
  } else if (isatty(fd)) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int own = open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (own < 0 && ttyname_r(fd, w->stage, sizeof w->stage) == 0)
      own = open(w->stage, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    w->kind = own >= 0 ? WRITER_TTY : WRITER_SMALL;
    if (own >= 0) w->fd = own;
  }
}

/* After POLLOUT a pipe has a page free, so as much as that is taken at once. */
static ssize_t write_small(int fd, const char *p, size_t n) {
  size_t done = 0;
  struct pollfd pfd = {.fd = fd, .events = POLLOUT};
  while (done < n && poll(&pfd, 1, 0) > 0) {
    ssize_t r = write(fd, p + done, n - done < PIPE_BUF ? n - done : PIPE_BUF);
    if (r < 0 && done == 0) return -1;
    if (r <= 0) break;
    done += (size_t)r;
  }
  if (done == 0) errno = EAGAIN;
  return done ? (ssize_t)done : -1;
}

static ssize_t write_once(struct writer *w, const char *p, size_t n) {
  struct iovec v = {.iov_base = (void *)(uintptr_t)p, .iov_len = n};
  switch (w->kind) {
    case WRITER_PIPE: {
      ssize_t r = pwritev2(w->fd, &v, 1, -1, RWF_NOWAIT);
      if (r >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL && errno != EPERM)) return r;
      w->kind = WRITER_SMALL;
      return write_small(w->fd, p, n);
    }
    case WRITER_SMALL:
      return write_small(w->fd, p, n);
    case WRITER_SOCKET:
      return send(w->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    case WRITER_TTY:
    case WRITER_FILE:
      break;
  }
  return write(w->fd, p, n);
}

ssize_t writer_write(struct writer *w, const char *p, size_t n) {
  ssize_t r = write_once(w, p, n);
  if (r > 0) return r;
  if (r == 0 || errno == EAGAIN || errno == EINTR || errno == ENOBUFS) return -EAGAIN;
  return -errno;
}
