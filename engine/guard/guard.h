/* What the guard does: beside init it hands signals on, and after it nobody is left. It begins in the memory that it
 * shares with init, where the C library is init's, and soon executes a program of its own, which has none. So nothing
 * here calls the library. */
#ifndef TEND_GUARD_GUARD_H
#define TEND_GUARD_GUARD_H

#include <sys/types.h>
#include <time.h>

#include "base/clock.h"

#define FINISH_NS (NS_PER_S / 2) /* for helpers that are to finish their work */

/* The environment of that program: the variable that holds init's pid, and then the name that the process had in a
 * list of processes, its end included. */
#define GUARD_VARIABLE "TEND_GUARD"
#define GUARD_NAME_BYTES 16

/* The program's arguments, as main was given them: so the guard is shown in a list of processes. NULL: none. */
extern char **guard_arguments;

/* Until init, a child, has ended, and all that it leaves; most: nothing but that much quiet is waited for, NULL: no
 * bound. All signals are blocked. -> tend's exit code; -EAGAIN: it was quiet; -ECHILD: init is no child. */
int guard_watch(pid_t init, const struct timespec *most);

#endif
