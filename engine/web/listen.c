/* The listening socket. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clean.h"
#include "web/inner.h"

enum { BACKLOG = 1024 };

static int try_address(const struct tend_address *a, bool both) {
  int on = 1;
  int off = 0;
  auto_close int fd = socket(a->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (a->addr.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, both ? &off : &on, sizeof on) < 0)
    return -errno;
  if (bind(fd, (const struct sockaddr *)&a->addr, a->len) < 0 || listen(fd, BACKLOG) < 0) return -errno;
  return take_fd(&fd);
}

static struct tend_address everywhere(int family, int port) {
  struct tend_address a = {.len = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in)};
  if (family == AF_INET6)
    *(struct sockaddr_in6 *)&a.addr =
        (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = in6addr_any};
  else
    *(struct sockaddr_in *)&a.addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  return a;
}

int web_listen(const struct tend_address *list, size_t n, int port, struct err *err) {
  int rc = -EADDRNOTAVAIL;
  if (n == 0) {
    struct tend_address a = everywhere(AF_INET6, port);
    rc = try_address(&a, true);
    if (rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL) {
      a = everywhere(AF_INET, port);
      rc = try_address(&a, false);
    }
  }
  for (size_t i = 0; i < n && rc < 0; i++) rc = try_address(&list[i], false);
  if (rc < 0) err_set(err, rc, "%s", strerror(-rc));
  return rc;
}

void web_listening(int fd, char *text, size_t size, int *port) {
  struct tend_address a = {.len = sizeof a.addr};
  if (getsockname(fd, (struct sockaddr *)&a.addr, &a.len) < 0) a.addr.ss_family = AF_UNSPEC;
  resolve_format(&a, text, size);
  *port = a.addr.ss_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)&a.addr)->sin6_port)
                                       : ntohs(((const struct sockaddr_in *)&a.addr)->sin_port);
}
