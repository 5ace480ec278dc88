/* load get PORT PATH CONNECTIONS RATE SECONDS: that many GETs a second over so many connections that are kept, each at
 * its own time, whether the last was answered or not; rate 0: each when the one before it was answered. Says
 * "sent good bad p50 p99 max": times in microseconds from when a request was due to the end of its answer; bad is what
 * was not answered with 200 and its whole length, up to 2 s after the end. A connection that breaks is not made again.
 * load follow PORT PATH CLIENTS SECONDS: so many that read what comes. Says how many clients are left, and
 * the least and the most events that one of them got. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 128, HEAD = 2048 };

static struct connection {
  int fd; /* -1: broken */
  bool busy;
  int64_t due_ns;  /* of the request under way */
  long left;       /* of the body; -1: the head is not whole */
  unsigned n_head; /* bytes of the head so far */
  char head[HEAD];
  unsigned events;  /* follow: lines so far that begin with data: */
  unsigned matched; /* follow: bytes of that */
} conns[CONNECTIONS];

static int ep, n_conns;
static char request[512];
static unsigned long good;
static int64_t *times;

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void lost(struct connection *c) {
  close(c->fd);
  c->fd = -1;
}

static void ask(struct connection *c, int64_t due_ns) {
  c->busy = true;
  c->due_ns = due_ns;
  c->left = -1;
  c->n_head = 0;
  if (send(c->fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request)) lost(c);
}

/* Takes the head from what came; returns how many of the bytes were the head's, -1 when it is no answer to take. */
static ssize_t take_head(struct connection *c, const char *buf, size_t n) {
  unsigned before = c->n_head;
  if (n > HEAD - 1 - before) n = HEAD - 1 - before;
  memcpy(c->head + before, buf, n);
  c->n_head += (unsigned)n;
  c->head[c->n_head] = 0;
  char *end = strstr(c->head, "\r\n\r\n"), *length = strcasestr(c->head, "\r\nContent-Length:");
  if (!end) return c->n_head == HEAD - 1 ? -1 : (ssize_t)n;
  if (strncmp(c->head, "HTTP/1.1 200 ", 13) != 0 || !length || length > end) return -1;
  c->left = strtol(length + 17, NULL, 10);
  return end + 4 - c->head - before;
}

static void take_answer(struct connection *c) {
  static char buf[256 * 1024];
  ssize_t n = recv(c->fd, buf, sizeof buf, MSG_DONTWAIT), head = 0;
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n > 0 && c->left < 0) head = take_head(c, buf, (size_t)n);
  if (n <= 0 || head < 0 || !c->busy || (c->left >= 0 && n - head > c->left)) {
    lost(c);
    return;
  }
  if (c->left < 0 || (c->left -= n - head) > 0) return;
  times[good++] = now_ns() - c->due_ns;
  c->busy = false;
}

static void take_events(struct connection *c) {
  static const char data[] = "\ndata:";
  static char buf[64 * 1024];
  ssize_t n = recv(c->fd, buf, sizeof buf, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    lost(c);
    return;
  }
  for (ssize_t i = 0; i < n; i++) {
    c->matched = buf[i] == '\n' ? 1 : c->matched && buf[i] == data[c->matched] ? c->matched + 1 : 0;
    if (data[c->matched]) continue;
    c->events++;
    c->matched = 0;
  }
}

static void turn(int64_t until_ns, void (*take)(struct connection *c)) {
  struct epoll_event events[64];
  int64_t left = until_ns - now_ns();
  struct timespec t = {left > 0 ? left / 1000000000 : 0, left > 0 ? left % 1000000000 : 0};
  int n = epoll_pwait2(ep, events, 64, &t, NULL);
  for (int i = 0; i < n; i++) take(events[i].data.ptr);
}

static struct connection *idle(void) {
  for (int i = 0; i < n_conns; i++)
    if (conns[i].fd >= 0 && !conns[i].busy) return &conns[i];
  return NULL;
}

static int by_time(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static int get(long rate, double seconds) {
  unsigned long sent = 0, most = rate ? (unsigned long)(seconds * (double)rate) : 4000000;
  times = calloc(most, sizeof *times);
  if (!times) return 71;
  int64_t from = now_ns(), end = from + (int64_t)(seconds * 1e9), step = rate ? 1000000000 / rate : 0;
  for (int64_t now; (now = now_ns()) < end && sent < most;) {
    struct connection *c;
    while (sent < most && (!rate || from + (int64_t)sent * step <= now) && (c = idle()))
      ask(c, rate ? from + (int64_t)sent * step : now_ns()), sent++;
    int64_t next = rate && idle() ? from + (int64_t)sent * step : end;
    turn(next < end ? next : end, take_answer);
  }
  if (rate) sent = most; /* what had no connection in time was not answered either */
  for (int64_t stop = now_ns() + 2000000000; good < sent && now_ns() < stop;) {
    bool busy = false;
    for (int i = 0; i < n_conns; i++) busy |= conns[i].fd >= 0 && conns[i].busy;
    if (!busy) break;
    turn(stop, take_answer);
  }
  qsort(times, good, sizeof *times, by_time);
  printf("%lu %lu %lu", sent, good, sent - good);
  const double quantiles[] = {0.5, 0.99, 1};
  for (int i = 0; i < 3; i++)
    printf(" %.1f", good ? (double)times[(size_t)((double)(good - 1) * quantiles[i])] / 1e3 : 0);
  puts("");
  return 0;
}

static int follow(double seconds) {
  unsigned clients = 0, least = UINT32_MAX, most = 0;
  int64_t end = now_ns() + (int64_t)(seconds * 1e9);
  for (int i = 0; i < n_conns; i++) ask(&conns[i], 0);
  while (now_ns() < end) turn(end, take_events);
  for (int i = 0; i < n_conns; i++) {
    if (conns[i].fd < 0) continue;
    clients++;
    least = conns[i].events < least ? conns[i].events : least;
    most = conns[i].events > most ? conns[i].events : most;
  }
  printf("%u %u %u\n", clients, clients ? least : 0, most);
  return 0;
}

int main(int argc, char **argv) {
  bool getting = argc == 7 && strcmp(argv[1], "get") == 0;
  if (!getting && (argc != 6 || strcmp(argv[1], "follow") != 0)) return 64;
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  to.sin_port = htons((uint16_t)strtol(argv[2], NULL, 10));
  snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n\r\n", argv[3], argv[2]);
  n_conns = (int)strtol(argv[4], NULL, 10);
  if (n_conns < 1 || n_conns > CONNECTIONS) return 64;
  ep = epoll_create1(EPOLL_CLOEXEC);
  for (int i = 0; i < n_conns; i++) {
    struct connection *c = &conns[i];
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to)) {
      perror("load: connect");
      return 69;
    }
    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = c});
  }
  return getting ? get(strtol(argv[5], NULL, 10), strtod(argv[6], NULL)) : follow(strtod(argv[5], NULL));
}
