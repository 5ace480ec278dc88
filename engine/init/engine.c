/* The engine: forked from init without exec, and what is done when it ends. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/exits.h"
#include "base/str.h"
#include "init/line.h"
#include "init/state.h"

static struct revival *revival;

struct revival *init_revival(void) {
  return revival;
}

static void close_inits(struct init *in) {
  if (in->signal_fd > 0) close(in->signal_fd);
  if (in->tty_fd >= 0) close(in->tty_fd);
  if (in->oom_fd >= 0) close(in->oom_fd);
  if (in->self_fd > 0) close(in->self_fd);
}

/* A session of its own, so that Ctrl-C reaches it by init alone; what somebody sends to every process of the
 * container is init's to interpret, not a reason to die. */
static void become_engine(struct init *in) {
  setsid();
  static const int ignored[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM, SIGXFSZ};
  for (size_t i = 0; i < ARRAY_LEN(ignored); i++) signal(ignored[i], SIG_IGN);
  if (in->guard) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != in->pid) _exit(EXIT_KILLED);
  }
  uint64_t none = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
}

/* What the engine allocates at its start, at one go: each page by itself would have a fault. */
static void warm_heap(void) {
  enum { BYTES = 112 * 1024 }; /* less than the heap has from its first use on */
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  char *first = malloc(1);
  // cppcheck-suppress uninitdata ; only its place is wanted
  madvise((void *)((uintptr_t)first / page * page), BYTES, MADV_POPULATE_WRITE); /* Linux 5.14 */
  free(first);
}

/* What libraries would tidy up the kernel does faster. */
static _Noreturn void leave(int code) {
#if EXITS_REPORT
  exit(code);
#else
  if (__fpending(stdout)) fflush(stdout); /* which writes to a page that is init's too */
  _exit(code);
#endif
}

int engine_fork(struct init *in, int log[2], struct revival *(*inherit)(struct init *in, int channel)) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) return -errno;
  spawn_unprepare(in);
  fflush(NULL);
  pid_t pid = _Fork(); /* one thread, and nobody who wants to be told: what fork() does beside costs pages */
  if (pid < 0) {
    int error = errno;
    close(pair[0]);
    close(pair[1]);
    return -error;
  }
  if (pid == 0) {
    if (inherit) {
      revival = inherit(in, pair[1]);
    } else {
      close(pair[0]);
      close(log[0]);
      close_inits(in);
    }
    become_engine(in);
    if (!in->opt.engine_is_main) dup2(in->null_fd, 0);
    close(in->null_fd);
    if (in->keep) keep_begin(in->keep);
    if (!inherit) warm_heap();
    int code = in->engine_main(pair[1], log[1], in->engine_arg);
    if (in->opt.engine_is_main) exit(code); /* it may have written by the C library */
    leave(code);
  }
  close(pair[1]);
  in->engine = pid;
  in->channel = pair[0];
  in->revive.begun_ns = in->now_ns;
  return 0;
}

int engine_start(struct init *in) {
  int log[2];
  if (pipe2(log, O_CLOEXEC | O_NONBLOCK) != 0) return -errno;
  int r = engine_fork(in, log, NULL);
  if (r < 0) return r;
  in->log_fd = log[1];
  for (int size = LIMIT_LOG_PIPE; size > 65536 && fcntl(log[1], F_SETPIPE_SZ, size) < 0; size /= 2) continue;
  in->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (in->epoll_fd < 0) return -errno;
  in->log = source_open(in, log[0], 0, NULL);
  return in->log && watch_add(in, in->channel, EPOLLIN, TAG_CHANNEL, 0) == 0 ? 0 : -ENOMEM;
}

/* What it had written is kept, but for a line that it could not end. */
static void keep_whole_lines(struct init *in) {
  struct source *s = in->log;
  while (source_read(in, s)) continue;
  bool all = s->end - s->start < SOURCE_BYTES; /* else a slow reader leaves the rest in the pipe for later */
  if (all && !s->mid) s->end = s->start + line_ready(s->buf + s->start, s->end - s->start, SIZE_MAX, false, false);
}

static void say(struct init *in, int status, bool again) {
  char details[96];
  if (WIFSIGNALED(status))
    snprintf(details, sizeof details, "{\"signal\": \"%s\"}", sigabbrev_np(WTERMSIG(status)));
  else
    snprintf(details, sizeof details, "{\"exit_code\": %d}", WEXITSTATUS(status));
  output_notice(in, "CRITICAL",
                again ? "the engine ended; a new one takes over, the processes go on"
                      : "the engine ended; init goes on alone: output, signals, reaping, a bounded stop",
                details);
}

void engine_gone(struct init *in, int status) {
  in->engine = 0;
  in->engine_due_ns = in->ack_due_ns = TIME_NEVER;
  channel_finish(in);
  keep_whole_lines(in);
  for (unsigned i = 0; i < in->top; i++) {
    struct child *c = &in->children[i];
    bool finishes = in->exiting && (c->flags & PROTO_FINISHES); /* end.c sees to it */
    if (child_live(c) && (c->flags & PROTO_HELPER) && !finishes) child_kill(in, c, SIGKILL, true);
  }
  if (in->exiting) return;
  int level;
  bool lone = !stop_level(in, &level);
  if (in->opt.engine_is_main || (lone && WIFEXITED(status) && !in->opt.revive)) {
    in->code = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SIGNALED + WTERMSIG(status);
    end_begin(in);
    return;
  }
  bool again = revive_plan(in, status);
  say(in, status, again);
  if (!again) alone_begin(in);
}
