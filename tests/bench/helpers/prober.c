/* prober N tcp|http PORT FIFO, prober N command PROGRAM FIFO: the least that makes N checks a second, each at its own
 * time within it. A check is a new connection, for http also a request and an answer with status 200 read to its end,
 * or fork, exec and wait. It tells 'S' when it begins. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../tools/record.h"

enum { TCP, HTTP, COMMAND };

static const char request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
static int kind, ep;
static struct sockaddr_in to = {.sin_family = AF_INET};
static char *command[3];
static unsigned long good, bad;

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void begin(void) {
  if (kind == COMMAND) {
    sigset_t none;
    if (fork() != 0) return;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execv(command[0], command);
    _exit(127);
  }
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (connect(fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) bad++;
  epoll_ctl(ep, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLOUT, .data.fd = fd});
}

static void go_on(int fd, unsigned events) {
  char buf[4096];
  if (events & EPOLLOUT) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (kind == HTTP && !error && write(fd, request, sizeof request - 1) > 0) {
      epoll_ctl(ep, EPOLL_CTL_MOD, fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
      return;
    }
    if (error)
      bad++;
    else
      good++;
  } else {
    ssize_t n = read(fd, buf, sizeof buf);
    if (n > 0) {
      if (strncmp(buf, "HTTP/1.1 200", 12) == 0)
        good++;
      else
        bad++;
      return; /* until its end */
    }
  }
  close(fd);
}

int main(int argc, char **argv) {
  sigset_t set;
  if (argc < 6) return 64;
  long n = strtol(argv[2], NULL, 10);
  kind = *argv[3] == 't' ? TCP : *argv[3] == 'h' ? HTTP : COMMAND;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons((uint16_t)strtol(argv[4], NULL, 10));
  command[0] = argv[4];
  command[1] = argv[5];
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, NULL);
  signal(SIGPIPE, SIG_IGN);
  ep = epoll_create1(EPOLL_CLOEXEC);
  int signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  epoll_ctl(ep, EPOLL_CTL_ADD, signals, &(struct epoll_event){.events = EPOLLIN, .data.fd = signals});
  struct record r = {.ns = now_ns(), .pid = getpid(), .kind = 'S'};
  int fifo = open(argv[5], O_WRONLY | O_CLOEXEC);
  (void)!write(fifo, &r, sizeof r);
  int64_t together = *argv[1] == 'o' ? n : 1, step = 1000000000 * together / n, due = now_ns() + step;
  for (;;) {
    struct epoll_event events[16];
    int64_t left = due - now_ns();
    int got = epoll_wait(ep, events, 16, left <= 0 ? 0 : (int)((left + 999999) / 1000000));
    for (int i = 0; i < got; i++) {
      struct signalfd_siginfo si;
      int status;
      if (events[i].data.fd != signals) {
        go_on(events[i].data.fd, events[i].events);
        continue;
      }
      if (read(signals, &si, sizeof si) < 0) continue;
      while (waitpid(-1, &status, WNOHANG) > 0) good += status == 0;
    }
    for (; due <= now_ns(); due += step)
      for (int64_t i = 0; i < together; i++) begin();
  }
}
