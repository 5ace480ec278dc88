/* Looks at what can hang in the kernel, taken by a child (`tend helper looks`) that stays for as long as there are any:
 * a thousand looks a second are no thousand processes. It ends a few seconds after the last one. A look that hangs
 * keeps the child it has for itself; those that wait behind it get another one.
 */
#ifndef TEND_PROBES_LOOKER_H
#define TEND_PROBES_LOOKER_H

#include "base/err.h"
#include "loop/children.h"
#include "loop/loop.h"

struct looker;
struct look;

/* answer: what the action printed, NUL-terminated, valid during the call; NULL when there is none: problem says why. */
typedef void look_fn(void *arg, const char *answer, size_t n, const char *problem);

struct looker *looker_new(struct loop *loop, struct children *children); /* NULL: no memory */
void looker_free(struct looker *l); /* NULL is allowed; no callback comes any more */

/* option may be NULL. done is called once, from the loop, however long it takes. NULL with err. */
struct look *look_start(struct looker *l, const char *action, const char *what, const char *option, look_fn *done,
                        void *arg, struct err *err);
void look_cancel(struct look *look); /* done is not called */

#endif
