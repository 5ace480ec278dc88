/* Operations called from inside, for scripts that act on behalf of a client: the door is the same. */
#include <errno.h>
#include <stdlib.h>

#include "loop/control_inner.h"

int control_call(struct control *c, const struct control_request *q, control_said_fn *said, void *arg,
                 struct control_reply **call) {
  struct control_reply *r = calloc(1, sizeof *r);
  if (!r) return -ENOMEM;
  *r = (struct control_reply){.loop = c->loop, .said = said, .said_arg = arg};
  *call = r;
  if (control_arg_bool(q, "follow", false))
    control_fail(r, "unavailable", "what goes on without end is for connections");
  else
    control_dispatch(c, NULL, q, r);
  return 0;
}

void control_forget(struct control_reply *call) {
  call->said = NULL;
  if (call->end) reply_end_later(call);
}

bool control_changes(const struct control *c, const char *name, const cJSON *args) {
  enum right right;
  return control_right(c, name, args, &right) && right == RIGHT_OPERATE;
}
