/* What init and the engine say to each other: one SOCK_SEQPACKET, one message a packet, same binary on both
 * ends (the engine is forked from init), so structs go as they are.
 */
#ifndef TEND_BASE_PROTO_H
#define TEND_BASE_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include "base/limits.h"

/* Where a spawn failed, in the order in which it happens. */
enum spawn_stage {
#define X(id, name, doc, look) SPAWN_##id,
#include "base/stage.def"
#undef X
};

enum output_format { OUTPUT_RAW, OUTPUT_LABEL, OUTPUT_JSON };
enum output_overflow { OUTPUT_WAIT, OUTPUT_DROP };

/* How init writes; the identity is for output events. */
struct proto_output {
  enum output_format format;
  enum output_overflow overflow;
  int log_fd; /* 1 or 2: where event lines go */
  char container_id[256];
  char flow[LIMIT_NAME];
};

/* The stop order of one live child. */
struct proto_plan_child {
  uint32_t child;
  uint16_t level; /* 0 is stopped first */
  uint8_t signal;
  bool group; /* the stop signal goes to the group */
};

/* What init needs to obey without the engine. Sent whenever it changes. */
struct proto_plan {
  uint32_t main_child; /* 0: none; forwarded signals go to it, its status becomes tend's in the worst case */
  bool immediate;      /* no drain and no hook: init begins the stop itself */
  bool stopped_is_0;   /* modes daemon and server: main ended by its stop signal, when a stop was asked for, gives 0 */
  int64_t grace_ns;    /* from the stop signal to SIGKILL, all levels together */
  uint16_t n;          /* children that follow */
  struct proto_plan_child children[LIMIT_INSTANCES];
};

enum proto_type {
  /* to init */
  PROTO_SPAWN = 1, /* proto_spawn, then its blob; descriptors: a large blob, helper output, helper input, where there
                    * are such */
  PROTO_KILL,
  PROTO_SWEEP,
  PROTO_PLAN,
  PROTO_OUTPUT,
  PROTO_TAIL,
  PROTO_KEEP,  /* with the descriptor; without one the name is dropped */
  PROTO_ACK,   /* a signal was taken note of */
  PROTO_ALIVE, /* with a timer that comes when the engine is late; see init/revive.c */
  PROTO_EXIT,
  /* to the engine */
  PROTO_STARTED,
  PROTO_FAILED,
  PROTO_EXITED,
  PROTO_SIGNALED,
  PROTO_SWEPT,
  PROTO_TAIL_REPLY, /* with a memfd that holds the text */
};

/* Each message begins with it. */
struct proto_head {
  uint32_t type;  /* enum proto_type */
  uint32_t child; /* the child's number; a request's number in SWEEP, TAIL and their answers */
};

enum { PROTO_FDS = 3 }; /* descriptors of one message at most */

enum proto_spawn_flags {
  PROTO_HELPER = 1,       /* dies with the engine; its output is the engine's */
  PROTO_NO_NEW_PRIVS = 2, /* no privilege by exec from here on */
  PROTO_STDIN = 4,        /* gets tend's standard input unless that is a terminal */
  PROTO_TTY = 8,          /* the terminal's foreground group */
  PROTO_USER = 16,        /* uid, gid and groups are set */
  PROTO_SELF = 32,        /* the running binary */
  PROTO_INPUT = 64,       /* helper: a descriptor for its standard input came along */
  PROTO_OWN = 128,        /* one of tend's own helpers: the helper program, which starts nobody */
  PROTO_FINISHES = 256,   /* helper: is not killed before it has had a moment to end by itself */
};

struct proto_spawn {
  struct proto_head head;
  uint32_t flags;
  uint32_t instance;
  uint32_t uid, gid;
  uint32_t blob; /* its bytes, behind this struct; 0: it comes as a sealed memfd */
  uint32_t none;
  char name[LIMIT_NAME];
};

/* The head of a spawn's blob: counts, then `slots` of offsets from the blob's start (uintptr_t, 0 for NULL), then
 * groups (uint32_t), then strings. Slots: one free, argv, NULL, environment, NULL, candidates for exec in order, NULL.
 * A slot with PROTO_ENVIRON is the number of a variable of tend's own environment, which both ends have. */
#define PROTO_ENVIRON (UINT64_C(1) << 63)
struct proto_blob {
  uint32_t size;
  uint32_t argc, envc, ncandidates, ngroups;
  uint32_t cwd; /* offset, 0: tend's */
};

struct proto_kill {
  struct proto_head head;
  int32_t sig;
  bool group;
};

struct proto_sweep {
  struct proto_head head;
  int32_t sig; /* 0: count only */
};

struct proto_swept {
  struct proto_head head;
  uint32_t left;
};

struct proto_tail {
  struct proto_head head;
  int32_t instance; /* below 0: all */
  uint64_t since;   /* bytes that are known already; of one instance */
  uint8_t no_text;  /* only since when it is silent */
  char name[LIMIT_NAME];
};

struct proto_tail_reply {
  struct proto_head head;
  uint64_t end;      /* bytes ever; of one instance */
  int64_t silent_ns; /* since its start or its last byte; of several the least; -1: there is none of that name */
};

struct proto_keep {
  struct proto_head head;
  char name[LIMIT_NAME];
};

struct proto_exit {
  struct proto_head head;
  int32_t code;
  uint8_t asked; /* somebody waits for the end: the reader of the output gets a moment only */
};

struct proto_started {
  struct proto_head head;
  int32_t pid;
};

struct proto_failed {
  struct proto_head head;
  int32_t stage; /* enum spawn_stage */
  int32_t error;
};

struct proto_exited {
  struct proto_head head;
  int32_t status; /* as of wait(2) */
  bool oom;
  bool group_left;  /* others of its process group are still there */
  bool nobody_left; /* a stop is under way, and a sweep would find nobody */
  struct rusage usage;
};

struct proto_signaled {
  struct proto_head head;
  int32_t sig;
  int32_t level;
  bool begun;
};

struct proto_plan_msg {
  struct proto_head head;
  struct proto_plan plan; /* cut after the last child */
};

struct proto_output_msg {
  struct proto_head head;
  struct proto_output output;
};

#endif
