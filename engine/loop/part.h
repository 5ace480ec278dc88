/* Loads parts: shared objects that speak include/tend/part.h. A part is loaded once and stays.
 *
 * Tend's own lie beside the program: DIR/parts of the program's own folder (a checkout's build/), else
 * ../lib/tend/parts from it (installed). Those of others are probes/NAME.so in the directories of scripts; since they
 * become a piece of tend, each, and the folder it is in, must belong to root or to tend's user and must not be writable
 * by anybody else.
 */
#ifndef TEND_LOOP_PART_H
#define TEND_LOOP_PART_H

#include "base/err.h"
#include "tend/part.h"

/* Another folder than the default, for tests; NULL: the default. */
void part_set_dir(const char *dir);
/* The directories of scripts, colons between; copied. NULL: none. */
void part_set_scripts(const char *dirs);
/* The folder where parts are looked for; "" when the program's place is unknown. */
const char *part_dir(void);

/* NULL with err, which names the file and what to do. -ENOENT: there is none of that name. */
const struct tend_part *part_load(const char *name, struct err *err);
/* Its file can be read, or it is loaded. */
bool part_there(const char *name);
/* One that is loaded already; else NULL. */
const struct tend_part *part_find(const char *name);

#endif
