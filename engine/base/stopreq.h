/* How repeated stop signals add up; the same rule in init (alone) and for what it tells the engine.
 *
 * TERM and INT: the first begins the stop; the same again within a second counts once; a later second one
 * forces after 2 s (level 2); a third forces at once (level 3). QUIT is level 3 at once.
 */
#ifndef TEND_BASE_STOPREQ_H
#define TEND_BASE_STOPREQ_H

#include <stdint.h>

enum stop_level { STOP_NONE, STOP_BEGIN, STOP_SOON, STOP_NOW };

#define STOP_SOON_NS (2 * INT64_C(1000000000))
#define STOP_REPEAT_NS INT64_C(1000000000)

struct stopreq {
  enum stop_level level;
  int last_sig;
  int64_t last_ns;
};

/* Returns the new level, or STOP_NONE where this signal adds nothing (a repeat, or no stop signal). */
enum stop_level stopreq_note(struct stopreq *s, int sig, int64_t now_ns);

#endif
