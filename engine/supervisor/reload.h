/* Reloads: settings and policies as they are on disk by now, in place of those in force, while everything runs.
 *
 * A new generation is made aside and checked whole; then what differs is swapped in one moment, or all of it is refused
 * and what was in force stays. For a while after a swap (CONTAINER_RELOAD_PROBATION_SECONDS) the generation before is
 * kept: a check that turns unhealthy, or a script that fails, brings it back.
 * Whoever asks while one is under way is answered by the next one; many wishes are one. A NULL reload does nothing.
 */
#ifndef TEND_SUPERVISOR_RELOAD_H
#define TEND_SUPERVISOR_RELOAD_H

#include "base/err.h"
#include "base/json.h"
#include "supervisor/generation.h"

struct control_reply;
struct control_request;
struct keep_culprit;
struct health_news;
struct reload;
struct supervisor;

enum reload_trigger { RELOAD_SIGNAL, RELOAD_OPERATOR, RELOAD_WATCH, RELOAD_TRIGGERS };

/* NULL: no memory. */
struct reload *reload_new(struct supervisor *s, struct generation *first, const struct generations *make,
                          struct err *err);
void reload_free(struct reload *r);
void reload_end(struct reload *r); /* nothing is watched any more */
/* An engine that takes over: texts that have ended the one before while they were loaded (culprit, else NULL) are
 * refused until they change. */
void reload_revive(struct reload *r, const struct keep_culprit *culprit);
void reload_begin(struct reload *r); /* the start has had its moment: the files are watched from now on */

void reload_ask(struct reload *r, enum reload_trigger trigger);
/* `tend reload` */
void supervisor_reload(void *supervisor, const struct control_request *q, struct control_reply *reply);

void reload_follow(struct reload *r);                               /* after each change of the machine */
void reload_news(struct reload *r, const struct health_news *news); /* of each result of a check */
void reload_poll(struct reload *r);                                 /* now and then */

/* "policy": which generation is in force, since when, what became of the last reload. */
void reload_json(struct reload *r, struct json *j, const char *key);
struct generation *reload_in_force(const struct reload *r);
/* Why the last one was refused, where what is on disk is not in force; else NULL. */
const char *reload_trouble(const struct reload *r);

#endif
