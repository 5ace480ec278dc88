/* Who is below a process: descendants that are no known child of it, nor below one. Direct children cannot be recycled,
 * since only their parent reaps them; deeper ones are held by a pidfd while their own parent is looked at again. As PID
 * 1 all other processes of the namespace count too. Needs a /proc that is the namespace's. */
#ifndef TEND_BASE_STRAYS_H
#define TEND_BASE_STRAYS_H

#include <stdbool.h>
#include <sys/types.h>

struct strays {
  pid_t self; /* the calling process */
  bool pid1;
  bool (*knows)(void *arg, pid_t pid); /* a direct child that is none; NULL: all of them are */
  void *arg;
  int children_fd; /* tells whose parent it is; 0: not open, below: cannot be */
};

/* What the first answer needs is opened. */
void strays_prepare(struct strays *s);

/* They get sig (0: none), and SIGCONT behind it; *left: how many there are. false: it cannot be told. */
bool strays_signal(struct strays *s, int sig, unsigned *left);

#endif
