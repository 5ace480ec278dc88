/* The guard's own program: without the C library, a page or two of memory, and an end that takes no time. */
#include <sys/prctl.h>

#include "base/exits.h"
#include "base/rawcall.h"
#include "guard/guard.h"

/* 0: it is not given. */
static pid_t guarded(char *const *environment) {
  const char *want = GUARD_VARIABLE "=", *p = environment[0];
  if (!p) return 0;
  for (; *want; want++, p++)
    if (*p != *want) return 0;
  pid_t pid = 0;
  for (; *p >= '0' && *p <= '9'; p++) pid = pid * 10 + (*p - '0');
  return pid;
}

static void say(const char *text) {
  unsigned long n = 0;
  while (text[n]) n++;
  RAWCALL(write, 2, text, n, 0, 0);
}

static int run(char *const *environment) {
  pid_t init = guarded(environment);
  if (init > 0) {
    /* executed by descriptor it would have its number as its name */
    if (environment[1]) RAWCALL(prctl, PR_SET_NAME, environment[1], 0, 0, 0);
    int code = guard_watch(init, NULL);
    if (code >= 0) return code;
  }
  say("tend-guard: this is a part of tend run, which starts it; start that\n");
  return EXIT_USAGE;
}

/* words: what the kernel has put on the stack, a count of arguments, these, NULL, the environment, NULL. */
__attribute__((used, noreturn)) void guard_begin(long *words);
void guard_begin(long *words) {
  int code = run((char *const *)(words + words[0] + 2));
  for (;;) RAWCALL(exit_group, code, 0, 0, 0, 0);
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call guard_begin\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start: mov x29, #0\n mov x30, #0\n mov x0, sp\n bl guard_begin\n");
#endif
