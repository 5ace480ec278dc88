/* run --tty: the main process has the terminal, as a shell's foreground job has it. All signals are blocked here, so
 * that TTOU stops nobody. */
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/state.h"

void tty_open(struct init *in) {
  in->tty_fd = -1;
  in->stdin_tty = isatty(0);
  int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  in->had_terminal = fd >= 0;
  if (!in->opt.tty) {
    if (fd >= 0) close(fd);
    return;
  }
  for (int i = 0; i < 3 && in->tty_fd < 0; i++)
    if (isatty(i)) in->tty_fd = fcntl(i, F_DUPFD_CLOEXEC, 3);
  if (in->tty_fd < 0)
    in->tty_fd = fd;
  else if (fd >= 0)
    close(fd);
  if (in->tty_fd < 0) return;
  /* a container's first process may have got the terminal without its session having it */
  if (!in->had_terminal && getsid(0) == in->pid) ioctl(in->tty_fd, TIOCSCTTY, 0);
  tcgetattr(in->tty_fd, &in->tty_mode);
}

void tty_take_back(struct init *in) {
  if (in->tty_fd < 0 || !in->tty_group) return;
  in->tty_group = 0;
  tcsetpgrp(in->tty_fd, in->terminal_group);
  tcsetattr(in->tty_fd, TCSANOW, &in->tty_mode);
}

/* Ctrl-Z stopped main: whoever started tend gets the terminal, and sees tend stopped; where there is nobody who could
 * continue it, main goes on. */
void tty_main_stopped(struct init *in) {
  if (!in->tty_group) return;
  siginfo_t si = {0};
  if (waitid(P_PID, (id_t)in->tty_group, &si, WSTOPPED | WNOHANG) != 0 || si.si_pid == 0) return;
  if (in->pid1 || getsid(0) == in->guard) {
    kill(-in->tty_group, SIGCONT);
    return;
  }
  in->tty_stopped = true;
  tcsetpgrp(in->tty_fd, in->terminal_group);
  kill(-in->terminal_group, SIGSTOP);
}

void tty_continue(struct init *in) {
  if (!in->tty_group || !in->tty_stopped) return;
  in->tty_stopped = false;
  if (tcgetpgrp(in->tty_fd) == in->terminal_group) tcsetpgrp(in->tty_fd, in->tty_group);
  kill(-in->tty_group, SIGCONT);
}
