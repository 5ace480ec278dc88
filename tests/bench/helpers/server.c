/* server MILLISECONDS FIFO: listens on a free port of 127.0.0.1 and tells 'P' with the port in place of a pid; takes
 * every connection, answers a request that many milliseconds after it came with an HTTP 200, and closes. On SIGUSR1 it
 * tells 'N' with the number of connections taken so far. One process, no bound on who waits but DESCRIPTORS. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../tools/record.h"

enum { DESCRIPTORS = 4096 };

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
static int fifo, delay_ms;
static struct {
  int fd;
  int64_t due_ns;
} line[DESCRIPTORS]; /* all wait equally long, so the first is always the next */
static unsigned first, last;

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void tell(int kind, int32_t number) {
  struct record r = {.ns = now_ns(), .pid = number, .kind = kind};
  (void)!write(fifo, &r, sizeof r);
}

static void reply(int fd) {
  (void)!write(fd, answer, sizeof answer - 1);
  shutdown(fd, SHUT_WR);
  close(fd);
}

static void take(int ep, int fd) {
  char buf[4096];
  ssize_t n = read(fd, buf, sizeof buf);
  epoll_ctl(ep, EPOLL_CTL_DEL, fd, NULL);
  if (n <= 0) {
    close(fd);
  } else if (delay_ms == 0) {
    reply(fd);
  } else {
    line[last % DESCRIPTORS].fd = fd;
    line[last++ % DESCRIPTORS].due_ns = now_ns() + (int64_t)delay_ms * 1000000;
  }
}

int main(int argc, char **argv) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof a;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), ep = epoll_create1(0), taken = 0;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, NULL);
  signal(SIGPIPE, SIG_IGN);
  int signals = signalfd(-1, &set, SFD_NONBLOCK);
  if (argc < 3) return 64;
  delay_ms = (int)strtol(argv[1], NULL, 10);
  fifo = open(argv[2], O_WRONLY);
  if (bind(listener, (struct sockaddr *)&a, size) || listen(listener, 1024) ||
      getsockname(listener, (struct sockaddr *)&a, &size))
    return 71;
  epoll_ctl(ep, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
  epoll_ctl(ep, EPOLL_CTL_ADD, signals, &(struct epoll_event){.events = EPOLLIN, .data.fd = signals});
  tell('P', ntohs(a.sin_port));
  for (;;) {
    struct epoll_event events[64];
    int wait_ms = -1;
    if (first != last) {
      int64_t left = line[first % DESCRIPTORS].due_ns - now_ns();
      wait_ms = left <= 0 ? 0 : (int)(left / 1000000);
    }
    int n = epoll_wait(ep, events, 64, wait_ms);
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd;
      if (fd == signals) {
        struct signalfd_siginfo si;
        if (read(signals, &si, sizeof si) > 0) tell('N', taken);
      } else if (fd != listener) {
        take(ep, fd);
      } else {
        for (int c; (c = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0; taken++)
          epoll_ctl(ep, EPOLL_CTL_ADD, c, &(struct epoll_event){.events = EPOLLIN, .data.fd = c});
      }
    }
    for (; first != last && line[first % DESCRIPTORS].due_ns <= now_ns(); first++) reply(line[first % DESCRIPTORS].fd);
  }
}
