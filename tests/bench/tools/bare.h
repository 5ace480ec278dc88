/* The few system calls of the measuring programs, without libc: what they cost themselves is as near to nothing as it
 * gets. Results are the kernel's: negative errno on failure. A program defines bare_main(). */
#pragma once

#include <linux/time.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
static inline long bare_call(long n, long a, long b, long c, long d, long e) {
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = 0; /* the offset of mmap */
  long r;
  __asm__ volatile("syscall"
                   : "=a"(r)
                   : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return r;
}
__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n call bare_begin\n");
#elif defined(__aarch64__)
static inline long bare_call(long n, long a, long b, long c, long d, long e) {
  register long x8 __asm__("x8") = n;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = 0; /* the offset of mmap */
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
__asm__(".globl _start\n_start: mov x0, sp\n bl bare_begin\n");
#else
#error "the measuring programs know x86-64 and 64-bit ARM"
#endif

#define CALL(n, a, b, c, d, e) bare_call(SYS_##n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e))

enum { BARE_KILL = 9, BARE_TERM = 15, BARE_CHLD = 17, BARE_BLOCK = 0, BARE_SETMASK = 2 };

struct bare_action {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)(void);
  unsigned long mask;
};

static inline void bare_exit(int code) {
  for (;;) CALL(exit_group, code, 0, 0, 0, 0);
}

static inline int64_t bare_now(void) {
  struct __kernel_timespec t = {0};
  CALL(clock_gettime, CLOCK_MONOTONIC, &t, 0, 0, 0);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline unsigned long bare_bit(int sig) { return 1UL << (sig - 1); }

static inline long bare_number(const char *s) {
  long n = 0;
  for (; *s >= '0' && *s <= '9'; s++) n = n * 10 + (*s - '0');
  return n;
}

static int bare_main(int argc, char **argv, char **envp);

__attribute__((used, noreturn)) static void bare_begin(long *stack) {
  char **argv = (char **)(stack + 1);
  bare_exit(bare_main((int)stack[0], argv, argv + stack[0] + 1));
  __builtin_unreachable();
}
