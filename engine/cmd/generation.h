/* Makes generations for the supervisor: settings, flow and plan from the command line, the environment and the files as
 * they are at that time, beside the one that is in force. */
#ifndef TEND_CMD_GENERATION_H
#define TEND_CMD_GENERATION_H

#include "cmd/load.h"
#include "supervisor/generation.h"

struct maker;

struct maker_options {
  const struct options *options;
  struct load *first;      /* the one that the engine has begun with; its names of folders must live as long */
  struct vm_host *host;    /* for all; its scheduler is made when there is none */
  struct by_hand *by_hand; /* over what the files say; NULL: nothing */
  /* `l` is in force from now on. */
  void (*activated)(void *arg, struct load *l);
  void *arg;
};

struct maker *maker_new(const struct maker_options *options); /* NULL: no memory */
void maker_free(struct maker *m);                             /* NULL is allowed; generations are the supervisor's */

/* The first one, and how to make others: valid as long as the maker. */
struct generation *maker_first(struct maker *m);
const struct generations *maker_generations(const struct maker *m);

#endif
