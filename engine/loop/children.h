/* The engine's side of the channel to init: init owns and reaps every child, the engine names them by
 * number. A number is chosen here, grows, and is never used twice.
 *
 * Callbacks come from the loop, never from inside the call that caused them. For each spawn: either
 * `failed` once, or `started` once and later `exited` once. After children_forget no callback comes.
 */
#ifndef TEND_LOOP_CHILDREN_H
#define TEND_LOOP_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/proto.h"
#include "loop/loop.h"

struct children;

enum child_kind {
  CHILD_PROCESS, /* of the plan: output goes out through init; outlives the engine */
  CHILD_HELPER,  /* a command check or a file helper: output comes to the engine, capped; dies with it */
};

struct child_spec {
  enum child_kind kind;
  const char *name;  /* process name (label of its output) or what the helper is for */
  unsigned instance; /* 0-based */
  char *const *argv; /* argv[0] "tend" means the running binary */
  char *const *envp; /* the whole environment; NULL: tend's own, unchanged */
  const char *cwd;   /* NULL: tend's */
  const char *user;  /* name or uid, optionally ":group"; NULL: no change. Resolved before the fork */
  bool no_new_privs;
  bool finishes;     /* helper: at tend's end it has a moment to end by itself */
  bool own_stdin;    /* gets tend's standard input unless that is a terminal; else /dev/null */
  bool tty;          /* run --tty: tend's session, the terminal, its foreground group */
  const void *input; /* helper: bytes for its standard input, then end of file; NULL: /dev/null */
  size_t input_len;
  int input_fd; /* helper, in place of input: > 0: a duplicate becomes its standard input; 0: none */
};

struct child_exit {
  int status; /* as of wait(2) */
  struct rusage usage;
  bool oom;              /* killed while the cgroup's oom_kill counter moved */
  bool group_left;       /* others of its process group are still there (a helper's are killed by init) */
  bool nobody_left;      /* a stop that init has taken is under way, and a sweep would find nobody */
  const struct buf *out; /* helper: standard output and error together, capped; NULL for a process */
  bool out_cut;          /* there was more */
};

struct child_ops { /* any may be NULL */
  void (*started)(void *arg, uint32_t child, pid_t pid);
  void (*failed)(void *arg, uint32_t child, enum spawn_stage stage, int error); /* error: positive errno */
  void (*exited)(void *arg, uint32_t child, const struct child_exit *exit);
  void (*said)(void *arg, uint32_t child, const struct buf *out); /* helper: all that it has put out by now */
};

enum kill_scope {
  KILL_MAIN,  /* the process alone */
  KILL_GROUP, /* its whole process group, also after the leader's end */
};

/* fd: the engine's end of the channel, owned from now on. */
struct children *children_new(struct loop *loop, int fd);
void children_free(struct children *c);

/* Returns the child's number, 0 with err when it could not even be asked for. */
uint32_t children_spawn(struct children *c, const struct child_spec *spec, const struct child_ops *ops, void *arg,
                        struct err *err);
/* An engine that takes over: the children of the one before are init's as they were. Before any spawn. */
void children_revive(struct children *c, uint32_t last_number);
/* One of these is ours: its further callbacks come here. 0 or -ENOMEM. */
int children_adopt(struct children *c, uint32_t child, const struct child_ops *ops, void *arg);
/* How many messages about children were heard; what the engine before has left counts as one. */
uint32_t children_heard(const struct children *c);
/* init is given a timer; it ends an engine that lets it come. */
int children_alive(struct children *c, int timer_fd);

void children_kill(struct children *c, uint32_t child, int sig, enum kill_scope scope);
/* From now on its callbacks get another argument. */
void children_rebind(struct children *c, uint32_t child, void *arg);
/* No more callbacks for this child; a helper is killed too. */
void children_forget(struct children *c, uint32_t child);
/* How many were forgotten and are still there: what hangs in the kernel cannot be killed. */
unsigned children_lingering(const struct children *c);

/* Signals every descendant that is no live process of the plan, no engine, no helper, and no descendant of such:
 * daemonised ones, orphans, rests of groups; as PID 1 all others of the namespace. done gets how many are
 * there once signalled (ask again with sig 0; with KILL until none is left, as orphans arrive one by one). */
typedef void children_swept_fn(void *arg, unsigned left);
void children_sweep(struct children *c, int sig, children_swept_fn *done, void *arg);

/* What init must know to act alone and to write. The output goes out before the next message, or now: before anything
 * that depends on it, and that is what is written to init's log pipe too. */
void children_output(struct children *c, const struct proto_output *output);
void children_output_now(struct children *c);
void children_plan(struct children *c, const struct proto_plan *plan);

/* Ends and starts may come many at once: fn is called when those that came together have been told. */
void children_on_told(struct children *c, loop_fn *fn, void *arg);

/* A signal that init has taken. level: see base/stopreq.h; begun: init has already sent the first stop
 * signals of the plan. For HUP and others that concern the engine: level 0. */
typedef void children_signal_fn(void *arg, int sig, int level, bool begun);
void children_on_signal(struct children *c, children_signal_fn *fn, void *arg);

/* The last lines of a process (all instances when instance < 0); text is valid during the call. */
typedef void children_tail_fn(void *arg, const char *text, size_t n);
void children_tail(struct children *c, const char *name, int instance, children_tail_fn *done, void *arg);

/* What one instance has put out beyond its first `since` bytes (what is no longer kept is left out); end is what to
 * ask with next. */
typedef void children_follow_fn(void *arg, const char *text, size_t n, uint64_t end);
void children_tail_since(struct children *c, const char *name, unsigned instance, uint64_t since,
                         children_follow_fn *done, void *arg);

/* For how long a process has put out nothing: of one instance, or (below 0) of the one that spoke last. -1: no process
 * of that name has been started. */
typedef void children_silent_fn(void *arg, int64_t silent_ns);
void children_silent(struct children *c, const char *name, int instance, children_silent_fn *done, void *arg);
/* The requests of that callback and argument are not answered any more. */
void children_ask_cancel(struct children *c, void *arg);

/* Keeps a descriptor by name over the engine's life (a duplicate; the caller's stays its own). fd -1 drops it. */
int children_keep(struct children *c, const char *name, int fd);

/* The last word: init writes out what is left and ends with this code. It waits for the reader of the output as long as
 * it takes, but only a moment where the end was asked for, or where what is too much is dropped. */
void children_exit(struct children *c, int code, bool asked);

#endif
