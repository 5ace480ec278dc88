/* What init knows, and what its files offer each other. One static instance, handed through. */
#ifndef TEND_INIT_STATE_H
#define TEND_INIT_STATE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <termios.h>

#include "base/keep.h"
#include "base/proto.h"
#include "base/stopreq.h"
#include "guard/guard.h"
#include "init/init.h"
#include "init/launch.h"

enum {
  SOURCE_BYTES = 2 * LIMIT_LINE,
  STAGE_BYTES = 8 * LIMIT_JSON_PART, /* one part in JSON: each byte may become six */
  SOURCES_MAX = 2 * LIMIT_CHILDREN,
  SIGNALS_MAX = 16, /* waiting for a slow engine */
  PID_CHAINS = 1024,
  REVIVE_DEATHS = 3, /* in a minute: the next engine is a safe one; so many of these: none */
};

/* A spawned child, from its request until its end is told and its group is empty. */
struct child {
  uint32_t number;       /* the engine's; 0: a free slot */
  pid_t pid;             /* 0 once reaped */
  pid_t first_pid;       /* to be told, also when it is reaped already */
  pid_t group;           /* its process group, 0 when nothing is left of it */
  int status_fd;         /* the exec's result, -1 once known */
  struct launch *launch; /* in use until then */
  uint32_t flags;        /* enum proto_spawn_flags */
  uint16_t next_of_pid;  /* in its chain: an index plus 1, 0 at the end */
  bool started;          /* executed */
  bool tell_start;       /* STARTED or FAILED has still to be sent */
  bool tell_exit;        /* EXITED has still to be sent */
  bool failed;           /* stage and error say why */
  bool stop_sent;        /* got its stop signal from init */
  bool killed;           /* got SIGKILL from init */
  bool untold;           /* what it did was told to nobody: there was no engine */
  uint32_t told;         /* the number of the last message about it */
  uint32_t instance;
  char name[LIMIT_NAME];
  uint64_t oom_before;
  int32_t stage, error;
  struct proto_exited exited;
};

/* The last output of a process, by name and instance; outlives its runs. */
struct tail {
  char name[LIMIT_NAME];
  uint32_t instance;
  unsigned users;  /* sources that are open */
  uint64_t end;    /* bytes ever */
  char *data;      /* LIMIT_TAIL bytes, no page of it there before the first output */
  int64_t last_ns; /* of its start or its last byte, whichever came later */
};

/* One stream of output on its way: what was read and not yet written is in buf[start..end). */
struct source {
  int fd;         /* -1 after the end of file */
  uint8_t stream; /* 1, 2; 0: the engine's event lines */
  bool used;
  bool armed;          /* epoll watches it */
  bool queued;         /* in its writer's queue */
  bool mid;            /* a part of a line was written */
  bool skip;           /* the rest of the present line is dropped */
  struct tail *tail;   /* NULL for the engine's */
  struct writer *to;   /* the writer whose queue or stream it holds */
  struct source *next; /* in that queue, or of the free ones */
  int64_t last_ns;     /* when bytes came last */
  int64_t dropped_ns;  /* when that was told last */
  uint64_t dropped;    /* lines */
  uint32_t part;       /* JSON: parts of the present line so far */
  size_t start, end;
  char *buf; /* SOURCE_BYTES, no page of it there before the first output */
};

enum writer_kind { WRITER_PIPE, WRITER_SMALL, WRITER_SOCKET, WRITER_TTY, WRITER_FILE };

/* One of tend's own outputs. */
struct writer {
  int fd;
  enum writer_kind kind;
  bool dead;            /* its reader is gone */
  bool waiting;         /* for epoll to say that it takes bytes */
  bool full;            /* its disk is */
  bool open_line;       /* the last byte written was no newline */
  struct source *owner; /* in the middle of a line */
  struct source *first, *last;
  uint64_t discarded; /* bytes that nobody could read */
  size_t stage_start, stage_end;
  char stage[STAGE_BYTES];
};

struct kept {
  char name[LIMIT_NAME];
  int fd;
};

/* What a process needs of pipes, made while nobody waits; -1 throughout: there are none. */
struct pipes {
  int status[2], out[2], err[2];
};
#define NO_PIPES \
  (struct pipes) { \
    {-1, -1}, {-1, -1}, { -1, -1 } \
  }

enum alone_phase { ALONE_LEVELS, ALONE_KILLED, ALONE_TERM, ALONE_KILL, ALONE_DONE };

enum end_phase { END_KILL, END_ENGINE, END_DRAIN };

/* Acting without the engine. */
struct alone {
  bool active;
  bool stopping;
  bool had_main; /* main lived when it began */
  enum alone_phase phase;
  int64_t due_ns;   /* of the phase */
  int64_t again_ns; /* when to look again */
};

/* What becomes of an engine that ended. */
struct revive {
  int64_t due_ns;                   /* the next one is made then; TIME_NEVER: no */
  int64_t deaths_ns[REVIVE_DEATHS]; /* the last ones, newest first; 0: none */
  int64_t begun_ns;                 /* the present one */
  bool over;                        /* no further one comes */
  bool safe;
  unsigned safe_deaths;
  int status;
  bool suspect, hung; /* it did not wake up at its time; and was killed for it */
  int64_t suspect_ns;
};

struct init {
  struct init_options opt;
  init_engine_fn *engine_main;
  void *engine_arg;
  struct keep *keep; /* NULL: no new engine can go on */
  uint32_t told;     /* messages about children to the present engine */
  struct revive revive;
  int alive_fd; /* the engine's timer, -1: none yet */
  pid_t pid;
  pid_t guard; /* 0: none, as PID 1 */
  bool pid1;
  int epoll_fd, signal_fd, null_fd;
  int self_fd, helper_fd; /* programs; -1: none */
  const char *self_path;  /* "": by descriptor only */
  int children_fd;        /* tells whose parent we are; 0: not open, below: cannot be */
  struct rlimit nofile;   /* as it was, for children */
  bool hup_ignored, had_terminal, stdin_tty;
  int tty_fd;           /* -1: none */
  pid_t tty_group;      /* main's, while it has the terminal */
  bool tty_stopped;     /* and was stopped by it */
  pid_t terminal_group; /* whoever started tend knows it by this one */
  struct termios tty_mode;
  int oom_fd;

  int channel;           /* -1: closed */
  bool channel_waiting;  /* for epoll to say that it takes messages; nothing is read meanwhile */
  bool tell;             /* some child has something to be told */
  uint32_t signal_count; /* numbers what the engine has to acknowledge */
  pid_t engine;          /* 0 once reaped */
  bool engine_ended;
  int engine_status;

  struct pipes ready;
  bool ready_due;       /* make them when what is more urgent is done */
  unsigned top;         /* slots of children in use are below it */
  unsigned first_free;  /* none is free below it */
  uint32_t last_number; /* the engine's grow */
  unsigned company;     /* live ones that are said to have it */
  unsigned ntails;      /* slots of tails ever used */
  unsigned nsources;
  struct source *free_sources;
  struct source *log;
  int log_fd; /* the pipe's other end, also for init's own events */
  uint64_t notices_lost;
  bool one_writer;   /* the two are the same */
  bool again;        /* something can be written without waiting for an event */
  bool little;       /* a few bytes came in this turn */
  int64_t little_ns; /* when they did last */

  struct proto_output output;

  struct stopreq stop;
  int64_t stop_due_ns; /* TIME_NEVER: no bound yet */
  int64_t ack_due_ns;  /* the engine must have spoken by then */
  struct proto_signaled signals[SIGNALS_MAX];
  unsigned nsignals;
  bool stop_begun;
  bool stop_fresh; /* asked for in this turn */
  bool main_known;
  int main_status;
  bool main_killed, main_stopped; /* by init; asked to stop by init */

  struct alone alone;
  bool reap_due;
  bool nobody_left;       /* the engine has just been told */
  int64_t settled_due_ns; /* what a stop needs is made ready then */
  bool settled;
  uint64_t orphans;
  bool exiting, asked;
  enum end_phase end;
  int64_t end_due_ns, look_ns, finish_due_ns;
  bool look;   /* somebody has ended: look again at once */
  bool let_go; /* the engine has nothing more to say: its end is waited for by who is above init */
  int code;
  int64_t engine_due_ns; /* the engine must be gone by then */
  int64_t drain_due_ns;
  int64_t now_ns;

  /* what is large is last: of most of it nothing is ever touched, and each page that is costs at the start */
  uint16_t pids[PID_CHAINS]; /* the live ones by pid: an index plus 1, 0: none */
  struct child children[LIMIT_CHILDREN];
  struct tail tails[LIMIT_INSTANCES];
  uint32_t tail_names[LIMIT_INSTANCES]; /* of each a hash of name and instance */
  struct source sources[SOURCES_MAX];
  struct proto_plan plan;
  struct kept kept[LIMIT_KEPT];
  struct writer writers[2]; /* tend's standard output and error */
};

/* What epoll tells: a kind and an index. */
enum tag { TAG_SIGNAL, TAG_CHANNEL, TAG_STATUS, TAG_SOURCE, TAG_WRITER, TAG_ALIVE };
int watch_add(struct init *in, int fd, uint32_t events, enum tag tag, unsigned index);
void watch_remove(struct init *in, int fd);
void hear(struct init *in); /* signals; of ends the engine is told at once */

/* end.c: writing out what is left, then the exit */
void end_begin(struct init *in);
bool end_turn(struct init *in); /* true: all is done */
int64_t end_due(const struct init *in);
void end_orphaned(struct init *in); /* the guard was killed */

/* init.c: what init does and the guard does not; tend's code */
int init_rest(struct init *in);

/* guard.c: the guard, with init below it; tend's code when all is over, or -errno */
#define GUARD_SIGNAL SIGRTMAX
#define SETTLED_NS (100 * NS_PER_MS) /* after which a start is taken to be over */
int guard_run(struct init *in);

/* engine.c */
/* Sanitizers and coverage report at the end of a process. */
#if defined(__SANITIZE_ADDRESS__) || defined(COVERED)
#define EXITS_REPORT 1
#else
#define EXITS_REPORT 0
#endif
int engine_start(struct init *in);
void engine_gone(struct init *in, int status);
/* inherit: called in the new process, which has all that init has; closes what is not the engine's. NULL: the first. */
struct revival;
int engine_fork(struct init *in, int log[2], struct revival *(*inherit)(struct init *in, int channel));

/* revive.c */
bool revive_plan(struct init *in, int status); /* a new engine will come; false: no */
void revive_turn(struct init *in);
int64_t revive_due(const struct init *in);
void revive_watch(struct init *in, int fd); /* the engine's timer, which is init's from now on */
void revive_silent(struct init *in);        /* and has come */

/* channel.c */
void channel_warm(void); /* touches what the first request will write */
void channel_read(struct init *in);
void channel_flush(struct init *in); /* sends what has to be told */
void channel_writable(struct init *in);
void channel_finish(struct init *in);
void channel_close(struct init *in);
void channel_failed(struct init *in, const struct child *c); /* one that found no place in the table */
void channel_signal(struct init *in, int sig, int level, bool begun);
void channel_again(struct init *in); /* a new engine has read what init knows of the children */

/* child.c */
struct child *child_new(struct init *in, uint32_t number);
struct child *child_find(struct init *in, uint32_t number);
struct child *child_of_pid(struct init *in, pid_t pid);
void child_born(struct init *in, struct child *c, pid_t pid);
void child_reaped(struct init *in, struct child *c);
/* A helper that may have started others, which end with it; tend's own start nobody. */
bool child_has_company(const struct child *c);
bool child_live(const struct child *c);       /* not reaped */
bool child_is_process(const struct child *c); /* live and no helper */
bool child_group_left(const struct child *c); /* its group has members and is still the same */
void child_kill(struct init *in, struct child *c, int sig, bool group);
void child_release(struct init *in, struct child *c); /* frees the slot when nothing more is to be told or signalled */

/* spawn.c */
/* The blob follows m, or is a memfd. */
void spawn_child(struct init *in, struct proto_spawn *m, size_t blob_bytes, int blob_fd, int out_fd, int in_fd);
void spawn_status(struct init *in, struct child *c);
void spawn_warm(struct init *in);                   /* touches what the first start will write */
void spawn_prepare(struct init *in);                /* makes pipes ready where there are few children */
void spawn_unprepare(struct init *in);              /* before a fork that would keep them */
void spawn_ended(struct init *in, struct child *c); /* it was reaped */
bool spawn_over(struct init *in, struct child *c);  /* its exec is known, now or before */

/* blob.c: checked, and its slots made pointers; the bytes stay where they are. -errno */
int blob_read(struct blob *b, char *bytes, size_t n);
int blob_map(struct blob *b, int fd);
void blob_free(struct blob *b);

/* reap.c */
void reap_all(struct init *in);

/* signals.c */
void signals_block(struct init *in);
int signals_open(struct init *in);
void signals_read(struct init *in);

/* oom.c */
void oom_open(struct init *in);
uint64_t oom_count(const struct init *in);

/* tty.c */
void tty_open(struct init *in);
void tty_take_back(struct init *in);
void tty_main_stopped(struct init *in);
void tty_continue(struct init *in);

/* tail.c */
struct tail *tail_get(struct init *in, const char *name, uint32_t instance); /* -> NULL: no memory */
void tail_add(struct tail *t, const char *p, size_t n, int64_t now_ns);
int64_t tail_silent_ns(const struct init *in, const char *name, int instance); /* -1: none of that name */
/* The text after the first `since` bytes in a nameless file, or -errno; *end: bytes ever. */
int tail_memfd(struct init *in, const char *name, int instance, uint64_t since, uint64_t *end);

/* source.c */
char *buffer_new(size_t n); /* untouched memory, for ever; NULL: none */
/* Takes fd, which does not block, on success. */
struct source *source_open(struct init *in, int fd, uint8_t stream, struct tail *tail);
bool source_read(struct init *in, struct source *s); /* true: bytes came, there may be more */
void source_arm(struct init *in, struct source *s);
void source_close(struct init *in, struct source *s); /* end of file: what is left is written */
void source_consume(struct init *in, struct source *s, size_t n);
void source_tell_dropped(struct init *in, struct source *s);
void source_release(struct init *in,
                    struct source *s); /* gives it back when it has ended and is empty; its memory is kept */

/* writer.c */
void writer_open(struct writer *w, int fd);
ssize_t writer_write(struct writer *w, const char *p, size_t n); /* bytes, -EAGAIN, or another -errno: it is dead */

/* output.c */
void output_open(struct init *in);
void output_kick(struct init *in, struct source *s); /* bytes came, or its end */
void output_pump(struct init *in, struct writer *w);
void output_writable(struct init *in, struct writer *w);
void output_turn(struct init *in);
int64_t output_due(const struct init *in);
bool output_empty(struct init *in); /* nothing is left to write */
void output_drain(struct init *in); /* the end: what is there is read, then the sources count as ended */
/* An event of init's own on the log stream; details: text of a JSON object. */
void output_notice(struct init *in, const char *level, const char *message, const char *details);
void output_event(struct init *in, const char *level, const char *component, const char *event, const char *message,
                  const char *details);

/* format.c */
/* Fill the writer's stage from the n bytes of s that are ready; return how many of them they used. */
size_t format_label(struct writer *w, struct source *s, size_t n);
size_t format_json(struct init *in, struct writer *w, struct source *s, size_t n);
/* An event line of init's own; the bytes written, 0 where there is no room. */
size_t format_event(struct init *in, char *to, size_t size, const char *level, const char *component, const char *event,
                    const char *message, const char *details);

/* stop.c, alone.c */
void stop_signal(struct init *in, struct child *c); /* its stop signal, then CONT */
bool stop_level(struct init *in, int *level);       /* the lowest level that lives; false: none */
void stop_send(struct init *in, int level);
void stop_kill(struct init *in, bool all); /* the processes and their groups; all: helpers too */
void alone_begin(struct init *in);
void alone_end(struct init *in); /* the engine is back */
void alone_turn(struct init *in);
int64_t alone_due(const struct init *in);

/* sweep.c */
void sweep_prepare(struct init *in); /* opens what the first sweep needs */
unsigned sweep_signal(struct init *in, int sig);

#endif
