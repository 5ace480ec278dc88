/* The init part: owns every child process, tend's standard output and error, and all signals. It is what the
 * kernel sees as tend (PID 1 in a container, else a subreaper); the engine is its first child.
 *
 * Nothing here allocates after the start but the mmap of a process's slot; nothing blocks but the wait for
 * events. It obeys without the engine: it reaps, copies output, forwards signals and carries out a bounded stop
 * from the last plan it was given.
 */
#ifndef TEND_INIT_INIT_H
#define TEND_INIT_INIT_H

#include <stdbool.h>
#include <sys/types.h>

struct keep;
struct revival;

struct init_options {
  bool tty;            /* run --tty: main may become the terminal's foreground group */
  bool engine_is_main; /* tend script: the engine's own end is the end of all, with its code */
  bool revive;         /* an engine that dies is followed by a new one */
};

/* Runs in the engine's process. channel_fd is for children_new; log_fd takes whole event lines (non-blocking,
 * LIMIT_LOG_PIPE bytes where the system allows). What it returns is the engine's exit status. */
typedef int init_engine_fn(int channel_fd, int log_fd, void *arg);

/* Takes over the calling process (which must have one thread) and returns tend's exit code when all has ended.
 * children_exit in the engine decides it; 128 + N or the workload's own code where init had to end alone; 70 when
 * the engine ended without a word and nothing ran; 71 when the engine could not be started. */
int init_run(const struct init_options *options, init_engine_fn *engine_main, void *arg);

/* The process that called init_run: tend's pid for the world. Also to be asked in the engine. */
pid_t init_pid(void);

/* In the engine: the memory that outlives it (NULL: none), and, where it takes over from one that ended, what of. */
struct keep *init_keep(void);
struct revival *init_revival(void);

#endif
