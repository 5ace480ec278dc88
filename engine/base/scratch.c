#include "base/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "base/str.h"

enum { SEALS = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

int scratch_open(const char *name) {
  static const char *const places[] = {"/dev/shm", "/tmp", "/run"};
  int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd >= 0) return fd;
  int error = errno;
  for (size_t i = 0; i < ARRAY_LEN(places) && fd < 0; i++)
    fd = open(places[i], O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
  return fd < 0 ? -error : fd;
}

/* A file that is no memfd has a seal against seals from the start, or knows none. */
static bool can_be_sealed(int fd) {
  int seals = fcntl(fd, F_GET_SEALS);
  return seals >= 0 && !(seals & F_SEAL_SEAL);
}

int scratch_seal(int fd) { return can_be_sealed(fd) && fcntl(fd, F_ADD_SEALS, SEALS) ? -errno : 0; }

bool scratch_is_sealed(int fd) { return !can_be_sealed(fd); }
