/* The event path: the one way in which anything is told. Redacts, keeps in the ring, writes the log line to
 * init's pipe, feeds subscribers (control clients, the journal).
 *
 * A line is written at the end of the loop's turn, CRITICAL ones at once. Writing never blocks: what the pipe does not
 * take waits, LIMIT_LOG_PIPE bytes at most; beyond that whole lines are dropped and counted, and a notice says how many
 * as soon as there is room.
 */
#ifndef TEND_LOOP_SINK_H
#define TEND_LOOP_SINK_H

#include "core/event.h"
#include "loop/loop.h"

struct keep;
struct settings;
struct sink;

struct sink_options {
  int fd;           /* init's log pipe, non-blocking; the sink's from now on */
  enum level level; /* lines below it are not written (the ring keeps INFO and above whatever it is) */
  bool pretty, colour;
  struct event_source who;
};

struct sink *sink_new(struct loop *loop, const struct sink_options *options);
void sink_free(struct sink *s);
/* Settings that come in later (options->fd -1: as before); secrets of `settings` are replaced by *** in every line from
 * now on. */
void sink_configure(struct sink *s, const struct sink_options *options, const struct settings *settings);

/* The level of the lines that are written. One that is set here stays, whatever sink_configure says later. */
enum level sink_level(const struct sink *s);
void sink_set_level(struct sink *s, enum level level);
/* From now on events are kept for a next engine: their numbers and, as far as they are short, themselves. What the one
 * before has left comes first, before any other event. */
void sink_keep(struct sink *s, struct keep *keep);
void sink_revive(struct sink *s, struct keep *keep);

/* Called before bytes go to init's pipe. */
void sink_before_write(struct sink *s, loop_fn *fn, void *arg);

/* What to tell; zero for what there is not. details: text of a JSON object, copied. */
struct sink_event {
  enum level level;
  const char *message;
  const char *details;
  bool built;            /* details came from json_object and the like: need no reading */
  const char *component; /* NULL: the kind's */
  const char *name;      /* NULL: the kind's */
  bool timed;            /* duration_ns is meant */
  int64_t duration_ns;
};
void sink_emit(struct sink *s, enum event_kind kind, const struct sink_event *e);

/* Between these two, which nest, events are only taken note of: they are told, with the time at which they were
 * emitted, at the last release, at once after a CRITICAL one, or before anybody looks at the ring. So words do not keep
 * what they are about waiting. */
void sink_hold(struct sink *s);
void sink_release(struct sink *s);

/* The short way for an event with a message only. */
void sink_say(struct sink *s, enum event_kind kind, enum level level, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

const struct event_ring *sink_ring(struct sink *s);
const struct event_source *sink_who(const struct sink *s);
uint64_t sink_dropped(const struct sink *s); /* lines lost because the log's reader was slow */

/* Writes what waits, for timeout_ns at most: for the end, when the loop does not run any more. */
void sink_flush(struct sink *s, int64_t timeout_ns);

/* Each new event that the ring keeps, until removed; -ENOMEM. Callbacks may emit and (un)subscribe. */
typedef void sink_fn(void *arg, const struct event *e);
int sink_subscribe(struct sink *s, sink_fn *fn, void *arg);
void sink_unsubscribe(struct sink *s, sink_fn *fn, void *arg);

#endif
