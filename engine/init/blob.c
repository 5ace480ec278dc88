/* What a request carries, checked, and its offsets turned into pointers. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/scratch.h"
#include "init/state.h"

static size_t environment_size(void) {
  static size_t n;
  if (!n)
    while (environ[n]) n++;
  return n;
}

/* An offset, a variable of our own environment, or nothing. */
static bool locate(char **slot, const struct blob *b) {
  uint64_t v = (uint64_t)(uintptr_t)*slot;
  if (v & PROTO_ENVIRON) {
    v &= ~PROTO_ENVIRON;
    if (v >= environment_size()) return false;
    *slot = environ[v];
  } else {
    if (v >= b->size) return false;
    *slot = v ? b->base + v : NULL;
  }
  return true;
}

static int place(struct blob *b) {
  if (b->size < sizeof *b->head || b->size > LIMIT_SPAWN_BLOB) return -E2BIG;
  const struct proto_blob *h = b->head = (const struct proto_blob *)b->base;
  uint64_t slots = (uint64_t)1 + h->argc + 1 + h->envc + 1 + h->ncandidates + 1;
  uint64_t fixed = sizeof *h + slots * sizeof(char *) + (uint64_t)h->ngroups * sizeof(gid_t);
  if (h->size != b->size || h->argc == 0 || h->ncandidates == 0 || fixed >= b->size || h->cwd >= b->size ||
      b->base[b->size - 1] != 0)
    return -EINVAL;
  char **slot = (char **)(b->base + sizeof *h);
  for (uint64_t i = 0; i < slots; i++)
    if (!locate(&slot[i], b)) return -EINVAL;
  b->argv = slot + 1;
  b->envp = b->argv + h->argc + 1;
  b->candidates = b->envp + h->envc + 1;
  b->groups = (const gid_t *)(b->candidates + h->ncandidates + 1);
  return 0;
}

int blob_read(struct blob *b, char *bytes, size_t n) {
  *b = (struct blob){.base = bytes, .size = n};
  return place(b);
}

int blob_map(struct blob *b, int fd) {
  struct stat st;
  if (fstat(fd, &st) != 0 || !scratch_is_sealed(fd)) return -EINVAL;
  if (st.st_size <= 0 || st.st_size > LIMIT_SPAWN_BLOB) return -E2BIG;
  char *p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  if (p == MAP_FAILED) return -ENOMEM;
  *b = (struct blob){.base = p, .size = (size_t)st.st_size, .mapped = true};
  return place(b);
}

void blob_free(struct blob *b) {
  if (b->mapped) munmap(b->base, b->size);
  *b = (struct blob){0};
}
