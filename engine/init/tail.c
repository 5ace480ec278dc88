/* The last output of each process, for `tend logs`. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/str.h"
#include "init/state.h"

static bool is(const struct tail *t, const char *name, uint32_t instance) {
  return t->instance == instance && STR_EQ(t->name, name);
}

struct tail *tail_get(struct init *in, const char *name, uint32_t instance) {
  struct tail **place = NULL;
  for (unsigned i = 0; i < LIMIT_INSTANCES; i++) {
    struct tail *t = in->tails[i];
    if (t && is(t, name, instance)) return t;
    if (!place && (!t || t->users == 0)) place = &in->tails[i];
    if (!t) break; /* slots are taken in order and never given back */
  }
  if (!place) return NULL;
  if (!*place) {
    struct tail *t = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (t == MAP_FAILED) return NULL;
    madvise(t, sizeof *t, MADV_DONTFORK);
    *place = t;
  }
  (*place)->end = 0;
  (*place)->instance = instance;
  str_copy((*place)->name, sizeof(*place)->name, name);
  return *place;
}

void tail_add(struct tail *t, const char *p, size_t n) {
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

static int write_tail(int fd, const struct tail *t) {
  if (t->end <= LIMIT_TAIL) return write_all(fd, t->data, (size_t)t->end);
  size_t at = t->end % LIMIT_TAIL;
  /* the oldest line lost its beginning */
  const char *line = memchr(t->data + at, '\n', LIMIT_TAIL - at);
  int r =
      write_all(fd, line ? line + 1 : t->data + at, line ? (size_t)(t->data + LIMIT_TAIL - line) - 1 : LIMIT_TAIL - at);
  return r < 0 ? r : write_all(fd, t->data, at);
}

int tail_memfd(struct init *in, const char *name, int instance) {
  int fd = memfd_create("tail", MFD_CLOEXEC);
  if (fd < 0) return -errno;
  for (unsigned i = 0; i < LIMIT_INSTANCES && in->tails[i]; i++) {
    const struct tail *t = in->tails[i];
    if (!STR_EQ(t->name, name) || (instance >= 0 && t->instance != (uint32_t)instance)) continue;
    int r = write_tail(fd, t);
    if (r < 0) {
      close(fd);
      return r;
    }
  }
  return fd;
}
