/* The last output of each process, for `tend logs`. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/scratch.h"
#include "base/str.h"
#include "init/state.h"

static bool is(const struct tail *t, const char *name, uint32_t instance) {
  return t->instance == instance && STR_EQ(t->name, name);
}

static uint32_t hash(const char *name, uint32_t instance) {
  uint32_t h = instance;
  for (; *name; name++) h = h * 31 + (unsigned char)*name;
  return h;
}

struct tail *tail_get(struct init *in, const char *name, uint32_t instance) {
  uint32_t h = hash(name, instance);
  for (unsigned i = 0; i < in->ntails; i++) { /* slots are taken in order and never given back */
    if (in->tail_names[i] == h && is(&in->tails[i], name, instance)) {
      in->tails[i].last_ns = in->now_ns;
      return &in->tails[i];
    }
  }
  unsigned i = 0;
  if (in->ntails < LIMIT_INSTANCES)
    i = in->ntails;
  else
    while (i < in->ntails && in->tails[i].users) i++;
  if (i == LIMIT_INSTANCES) return NULL;
  struct tail *t = &in->tails[i];
  if (!t->data) t->data = buffer_new(LIMIT_TAIL);
  if (!t->data) return NULL;
  if (i == in->ntails) in->ntails++;
  in->tail_names[i] = h;
  t->end = 0;
  t->last_ns = in->now_ns;
  t->instance = instance;
  str_copy(t->name, sizeof t->name, name);
  return t;
}

void tail_add(struct tail *t, const char *p, size_t n, int64_t now_ns) {
  t->last_ns = now_ns;
  if (n > LIMIT_TAIL) {
    t->end += n - LIMIT_TAIL;
    p += n - LIMIT_TAIL;
    n = LIMIT_TAIL;
  }
  size_t at = t->end % LIMIT_TAIL;
  size_t first = n < LIMIT_TAIL - at ? n : LIMIT_TAIL - at;
  memcpy(t->data + at, p, first);
  memcpy(t->data, p + first, n - first);
  t->end += n;
}

static int write_all(int fd, const char *p, size_t n) {
  while (n) {
    ssize_t r = write(fd, p, n);
    if (r < 0) return -errno;
    p += r;
    n -= (size_t)r;
  }
  return 0;
}

static int write_tail(int fd, const struct tail *t, uint64_t since) {
  uint64_t oldest = t->end > LIMIT_TAIL ? t->end - LIMIT_TAIL : 0;
  uint64_t from = since > oldest ? since : oldest;
  if (from >= t->end) return 0;
  size_t at = from % LIMIT_TAIL;
  size_t n = (size_t)(t->end - from);
  size_t first = n < LIMIT_TAIL - at ? n : LIMIT_TAIL - at;
  const char *p = t->data + at;
  size_t skip = 0;
  if (from == oldest && oldest > 0) {
    /* the oldest line lost its beginning */
    const char *line = memchr(p, '\n', first);
    skip = line ? (size_t)(line - p) + 1 : 0;
  }
  int r = write_all(fd, p + skip, first - skip);
  return r < 0 ? r : write_all(fd, t->data, n - first);
}

int tail_memfd(struct init *in, const char *name, int instance, uint64_t since, uint64_t *end) {
  int fd = scratch_open("tail");
  if (fd < 0) return fd;
  for (unsigned i = 0; i < in->ntails; i++) {
    const struct tail *t = &in->tails[i];
    if (!STR_EQ(t->name, name) || (instance >= 0 && t->instance != (uint32_t)instance)) continue;
    /* where the count of the one that asks is from before a process of that name was new, it gets all */
    int r = write_tail(fd, t, instance >= 0 && since <= t->end ? since : 0);
    *end = t->end;
    if (r < 0) {
      close(fd);
      return r;
    }
  }
  return fd;
}

int64_t tail_silent_ns(const struct init *in, const char *name, int instance) {
  int64_t least = -1;
  for (unsigned i = 0; i < in->ntails; i++) {
    const struct tail *t = &in->tails[i];
    if (!STR_EQ(t->name, name) || (instance >= 0 && t->instance != (uint32_t)instance)) continue;
    int64_t silent = in->now_ns > t->last_ns ? in->now_ns - t->last_ns : 0;
    if (least < 0 || silent < least) least = silent;
  }
  return least;
}
