/* What init and the engine say to each other: one SOCK_SEQPACKET, one message a packet, same binary on both
 * ends (the engine is forked from init), so structs go as they are.
 */
#ifndef TEND_BASE_PROTO_H
#define TEND_BASE_PROTO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

/* Where a spawn failed, in the order in which it happens. */
enum spawn_stage {
  SPAWN_LIMIT, /* a bound of tend's own */
  SPAWN_MEMORY,
  SPAWN_PIPE,
  SPAWN_FORK,
  SPAWN_SESSION,
  SPAWN_STDIO,
  SPAWN_CWD,
  SPAWN_USER,
  SPAWN_EXEC,
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
  int64_t grace_ns;    /* from the stop signal to SIGKILL, all levels together */
  uint16_t n;          /* children that follow */
  struct proto_plan_child children[LIMIT_INSTANCES];
};

#endif
