#include "base/stopreq.h"

#include <signal.h>
#include <stdbool.h>

enum stop_level stopreq_note(struct stopreq *s, int sig, int64_t now_ns) {
  if (sig != SIGTERM && sig != SIGINT && sig != SIGQUIT) return STOP_NONE;
  if (s->level == STOP_NOW) return STOP_NONE;
  bool repeat = s->level && sig == s->last_sig && now_ns - s->last_ns < STOP_REPEAT_NS;
  s->last_sig = sig;
  if (sig == SIGQUIT) {
    s->level = STOP_NOW;
  } else if (repeat) {
    return STOP_NONE;
  } else {
    s->level = (enum stop_level)(s->level + 1);
  }
  s->last_ns = now_ns;
  return s->level;
}
