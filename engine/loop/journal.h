/* events.jsonl: every event from INFO on, one JSON line each, in the log directory, rotated by size. The engine never
 * writes to a volume itself: a helper child (`tend helper journal`) does, fed over a pipe. What the pipe does not take
 * waits in a bounded queue (LIMIT_JOURNAL bytes); beyond that lines are dropped and counted. A helper that ends is
 * started again with back-off; its complaint is told once. */
#ifndef TEND_LOOP_JOURNAL_H
#define TEND_LOOP_JOURNAL_H

#include <stdint.h>

#include "base/err.h"
#include "loop/children.h"
#include "loop/loop.h"
#include "loop/sink.h"

struct journal;

struct journal_options {
  const char *dir;
  int64_t max_bytes; /* of one file; 0: 10 MB */
  unsigned keep;     /* old files: events.jsonl.1 … ; 0: 5 */
};

/* Subscribes to the sink; events that the ring holds already are written first. */
struct journal *journal_new(struct loop *loop, struct children *children, struct sink *sink,
                            const struct journal_options *options, struct err *err);
/* Everything that is queued goes to the helper, which then ends: done(arg) when it has, or at due_ns. Once. */
void journal_finish(struct journal *j, int64_t due_ns, loop_fn *done, void *arg);
/* At the very end: true when the helper has all that is queued; it ends by itself, and init gives it a moment for that.
 * false: it does not take it so fast, journal_finish is due. */
bool journal_hand_over(struct journal *j);
void journal_free(struct journal *j); /* without journal_finish, what waits is lost and the helper killed */
uint64_t journal_dropped(const struct journal *j);

typedef void journal_written_fn(void *arg, int rc, const struct err *err);

/* Writes a file through a helper (`tend helper write`): replaced atomically, or, in_place, the one that is there gets
 * another content. done gets 0 or a negative errno with the helper's message; never later than due_ns. Returns 0 or why
 * it could not start. */
struct journal_file {
  const char *path;
  const void *data;
  size_t n;
  bool in_place;
};
int journal_write_file(struct loop *loop, struct children *children, const struct journal_file *file, int64_t due_ns,
                       journal_written_fn *done, void *arg, struct err *err);

/* The same through the journal's helper, which is there already: for a file of one line in its folder. false: it
 * cannot, and nothing was done. */
bool journal_replace_file(struct journal *j, const struct journal_file *file, int64_t due_ns, journal_written_fn *done,
                          void *arg);

#endif
