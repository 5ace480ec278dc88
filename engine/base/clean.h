/* Cleanup attributes for locals: the resource is released when the variable goes out of scope. */
#ifndef TEND_BASE_CLEAN_H
#define TEND_BASE_CLEAN_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void clean_free(void *p) { free(*(void **)p); }
static inline void clean_close(const int *fd) {
  if (*fd >= 0) close(*fd);
}
static inline void clean_file(FILE **f) {
  if (*f) fclose(*f);
}

#define auto_free __attribute__((cleanup(clean_free)))
#define auto_close __attribute__((cleanup(clean_close)))
#define auto_file __attribute__((cleanup(clean_file)))

/* Hands a value out of a cleanup variable and leaves an empty one behind. */
static inline void *take_ptr_(void **p) {
  void *v = *p;
  *p = NULL;
  return v;
}
static inline int take_fd(int *fd) {
  int v = *fd;
  *fd = -1;
  return v;
}
#define take_ptr(p) ((__typeof__(p))take_ptr_((void **)&(p)))

#endif
