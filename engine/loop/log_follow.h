/* `tend logs PROCESS --follow`: what an instance has written lately, then what it writes, in parts {"text"}; where the
 * client was too slow, {"lost": bytes} first. Asks init a few times a second for as long as the client stays. */
#ifndef TEND_LOOP_LOG_FOLLOW_H
#define TEND_LOOP_LOG_FOLLOW_H

#include "loop/children.h"
#include "loop/control.h"
#include "loop/loop.h"

/* Takes the reply over. */
void log_follow(struct loop *loop, struct children *children, const char *name, unsigned instance,
                struct control_reply *reply);

#endif
