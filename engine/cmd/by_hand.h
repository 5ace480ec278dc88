/* What an operator has changed by hand at the prompt: values of settings, fields of checks, dependencies, processes and
 * remedies. They lie over what the files say at each reload, until they are taken back, the files say the same, or
 * tend ends. A change is a reload: it is checked whole and refused whole.
 */
#ifndef TEND_CMD_BY_HAND_H
#define TEND_CMD_BY_HAND_H

#include "core/settings.h"
#include "loop/control.h"

struct by_hand;
struct keep;

/* keep: where it is put for an engine after a crash, and taken from; NULL: nowhere. NULL: no memory. */
struct by_hand *by_hand_new(const struct settings *settings, struct keep *keep);
void by_hand_free(struct by_hand *h); /* NULL is allowed */
/* The operations "set", "change", "undo", "by-hand"; arg is the by_hand. A change asks control for a reload. */
extern const struct control_op by_hand_ops[];
void by_hand_serve(struct by_hand *h, struct control *control);

/* Over settings that are being made anew, and over a flow before it is read into a plan. NULL for h is allowed. */
void by_hand_settings(const struct by_hand *h, struct settings *s);
void by_hand_flow(struct by_hand *h, cJSON *flow);

#endif
