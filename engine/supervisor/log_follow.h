/* `tend logs --follow`: what processes have written lately, then what they write, in parts {"text"}, of several with
 * "process" and "instance"; where the client was too slow, {"lost": bytes} first. Asks init a few times a second for as
 * long as the client stays. */
#ifndef TEND_SUPERVISOR_LOG_FOLLOW_H
#define TEND_SUPERVISOR_LOG_FOLLOW_H

#include "loop/children.h"
#include "loop/control.h"
#include "loop/loop.h"

struct follow;

struct log_source {
  char name[LIMIT_NAME];
  unsigned instance;
};

/* All that follow; zero: none. */
struct log_follows {
  struct follow *first;
  void (*done)(void *arg); /* set: it is the end */
  void *arg;
};

/* Takes the reply over; the sources, at least one, are copied. */
void log_follow(struct log_follows *all, struct loop *loop, struct children *children, const struct log_source *sources,
                size_t n, struct control_reply *reply);
/* The processes have ended: each follower gets what is left, then done is called, once (at once where none follows). */
void log_follow_finish(struct log_follows *all, void (*done)(void *arg), void *arg);

#endif
