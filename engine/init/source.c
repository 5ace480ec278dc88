/* Reading the children's output, each stream into a bounded buffer of its own. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "init/line.h"
#include "init/state.h"

enum { CHUNK_BYTES = 4 * 1024 * 1024 };

/* Some at a time: address space costs nothing, a call for each process does. */
char *buffer_new(size_t n) {
  static char *next;
  static size_t left;
  if (left < n) {
    char *p = mmap(NULL, CHUNK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return NULL;
    next = p;
    left = CHUNK_BYTES;
  }
  left -= n;
  return (next += n) - n;
}

static struct source *first_free(struct init *in) {
  if (in->free_sources || in->nsources == SOURCES_MAX) return in->free_sources;
  struct source *s = &in->sources[in->nsources];
  s->buf = buffer_new(SOURCE_BYTES);
  if (!s->buf) return NULL;
  in->nsources++;
  return in->free_sources = s;
}

struct source *source_open(struct init *in, int fd, uint8_t stream, struct tail *tail) {
  struct source *s = first_free(in);
  if (!s) return NULL;
  s->fd = fd;
  s->stream = stream;
  s->tail = tail;
  s->armed = s->mid = s->skip = false;
  s->start = s->end = 0;
  s->dropped = 0;
  s->dropped_ns = 0;
  s->part = 0;
  s->last_ns = in->now_ns;
  source_arm(in, s);
  if (!s->armed) {
    s->fd = -1;
    return NULL;
  }
  in->free_sources = s->next;
  s->next = NULL;
  s->used = true;
  if (tail) tail->users++;
  return s;
}

/* Reads go on while there is room, so that a slow reader of ours makes the child wait. Not watched at all
 * otherwise: a closed pipe is told whatever one asks for. */
void source_arm(struct init *in, struct source *s) {
  bool want = s->fd >= 0 && (s->end - s->start < SOURCE_BYTES || (s->tail && in->output.overflow == OUTPUT_DROP));
  if (want == s->armed) return;
  if (!want)
    watch_remove(in, s->fd);
  else if (watch_add(in, s->fd, EPOLLIN, TAG_SOURCE, (unsigned)(s - in->sources)) != 0)
    return;
  s->armed = want;
}

void source_tell_dropped(struct init *in, struct source *s) {
  if (!s->dropped || !s->tail) return; /* of the engine nothing is dropped */
  char details[LIMIT_NAME * 6 + 96];
  struct buf out = {.data = details, .cap = sizeof details, .max = sizeof details - 1};
  struct json j = JSON_INIT(&out);
  json_object(&j, NULL);
  json_str(&j, "process", s->tail->name);
  json_int(&j, "instance", s->tail->instance);
  json_str(&j, "stream", s->stream == 2 ? "stderr" : "stdout");
  json_int(&j, "lines", (int64_t)s->dropped);
  json_object_end(&j);
  output_notice(in, "WARNING", "the reader of the output was too slow; its oldest lines were dropped", details);
  s->dropped = 0;
  s->dropped_ns = in->now_ns;
}

void source_consume(struct init *in, struct source *s, size_t n) {
  s->start += n;
  if (s->start == s->end) s->start = s->end = 0;
  /* once the reader has caught up, and once a second at most */
  if (s->start == s->end && (s->fd < 0 || in->now_ns >= s->dropped_ns + NS_PER_S)) source_tell_dropped(in, s);
  source_arm(in, s);
}

/* Makes room by dropping the oldest lines, but for the one that is being written. */
static void drop_oldest(struct source *s) {
  size_t from = s->start;
  if (s->mid) {
    const char *end = memchr(s->buf + from, '\n', s->end - from);
    if (!end) {
      /* the line goes on after what is lost; it is ended here, and its rest skipped */
      s->buf[s->start] = '\n';
      s->end = s->start + 1;
      s->skip = true;
      s->dropped++;
      return;
    }
    from = (size_t)(end - s->buf) + 1;
  }
  size_t n = line_drop(s->buf + from, s->end - from, SOURCE_BYTES / 4, &s->dropped);
  if (n == 0) return;
  if (s->buf[from + n - 1] != '\n') s->skip = true;
  memmove(s->buf + from, s->buf + from + n, s->end - from - n);
  s->end -= n;
}

static void add(struct source *s, size_t n) {
  char *p = s->buf + s->end;
  if (s->skip) {
    const char *end = memchr(p, '\n', n);
    size_t gone = end ? (size_t)(end - p) + 1 : n;
    s->skip = !end;
    memmove(p, p + gone, n - gone);
    n -= gone;
  }
  s->end += n;
}

bool source_read(struct init *in, struct source *s) {
  if (s->fd < 0) return false;
  if (s->end == SOURCE_BYTES && s->start > 0) {
    memmove(s->buf, s->buf + s->start, s->end - s->start);
    s->end -= s->start;
    s->start = 0;
  }
  if (s->end == SOURCE_BYTES && s->tail && in->output.overflow == OUTPUT_DROP) drop_oldest(s);
  size_t room = SOURCE_BYTES - s->end;
  if (room == 0) {
    source_arm(in, s);
    return false;
  }
  ssize_t n = read(s->fd, s->buf + s->end, room < LIMIT_LINE ? room : LIMIT_LINE);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (n <= 0) {
    /* whoever had it is about to end, or has: the engine need not wait for that while pipes are closed */
    if (s->tail && !in->exiting) hear(in);
    source_close(in, s);
    return false;
  }
  if (s->tail) tail_add(s->tail, s->buf + s->end, (size_t)n, in->now_ns);
  s->last_ns = in->now_ns;
  if (s->tail && n < PIPE_BUF) in->little = true;
  add(s, (size_t)n);
  output_kick(in, s);
  source_arm(in, s);
  return true;
}

void source_close(struct init *in, struct source *s) {
  if (s->fd < 0) return;
  if (s->armed) watch_remove(in, s->fd);
  s->armed = false;
  close(s->fd);
  s->fd = -1;
  if (s->start == s->end) source_tell_dropped(in, s);
  /* an event that was cut off by the engine's death is no line of JSON */
  if (!s->tail) s->end = s->start + line_ready(s->buf + s->start, s->end - s->start, SIZE_MAX, s->mid, false);
  output_kick(in, s);
}

void source_release(struct init *in, struct source *s) {
  if (!s->used || s->fd >= 0 || s->start != s->end || s->queued) return;
  if (s->to && s->to->owner == s) s->to->owner = NULL;
  s->to = NULL;
  s->mid = false;
  s->used = false;
  s->next = in->free_sources;
  in->free_sources = s;
  if (s->tail) s->tail->users--;
}
