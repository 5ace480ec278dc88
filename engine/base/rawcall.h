/* System calls that touch nothing but registers: negative errno on failure, errno itself left alone. */
#ifndef TEND_BASE_RAWCALL_H
#define TEND_BASE_RAWCALL_H

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* AddressSanitizer's checks know nothing of a second stack. */
#if (defined(__x86_64__) || defined(__aarch64__)) && !defined(__SANITIZE_ADDRESS__)
#define RAWCALL_PURE 1
#else
#define RAWCALL_PURE 0
#endif

#if !RAWCALL_PURE || defined(__clang_analyzer__) /* which does not see what assembly writes to */
static inline long rawcall(long n, long a, long b, long c, long d, long e) {
  long r = syscall(n, a, b, c, d, e);
  return r < 0 ? -errno : r;
}
#elif defined(__x86_64__)
static inline long rawcall(long n, long a, long b, long c, long d, long e) {
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  long r;
  __asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
  return r;
}
#else
static inline long rawcall(long n, long a, long b, long c, long d, long e) {
  register long x8 __asm__("x8") = n;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
}
#endif

#define RAWCALL(name, a, b, c, d, e) rawcall(SYS_##name, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e))

#endif
