/* A helper that is started before its job is known, since its start takes longer than most jobs do. It has one job; its
 * answer comes before its end, which nobody waits for.
 *
 * An attendant is its owner's until attendant_free, at any time: without a job it ends by itself, in the middle of one
 * it is killed. */
#ifndef TEND_LOOP_ATTENDANT_H
#define TEND_LOOP_ATTENDANT_H

#include "loop/children.h"

struct attendant;

/* ok: it exited with 0; text: its last line, or why it could not do the job. */
typedef void attendant_done_fn(void *arg, bool ok, const char *text);

/* name: what it is for. NULL with err. */
struct attendant *attendant_new(struct children *children, const char *name, struct err *err);
void attendant_free(struct attendant *a); /* NULL is allowed */

/* argv: an action of `tend helper`, its path and its options. done is called once, from the loop. -errno: it cannot be
 * given a job, and another one may. */
int attendant_give(struct attendant *a, char *const *argv, attendant_done_fn *done, void *arg);

#endif
