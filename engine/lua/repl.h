/* The engine's side of `tend repl`: chunks of Lua that a control client sends run as tasks, with what they print sent
 * back as it comes.
 *
 * A session lives as long as the client that opened it; its globals are its own, over the policies' globals. It runs in
 * the policies' generation, where it sees what they see. A read-only or dry session, and one where no policies are
 * loaded, has a generation of its own, so that not even a table of a policy changes. A chunk has a deadline, a CPU
 * budget, and bounds for memory and output; it ends with its client.
 */
#ifndef TEND_LUA_REPL_H
#define TEND_LUA_REPL_H

#include "loop/control.h"
#include "lua/vm.h"

struct repl;

struct repl_options {
  struct vm_host host;     /* for generations of its own */
  struct vm *live;         /* the policies' generation; NULL: none */
  struct control *control; /* operations of the operator's functions go through it; NULL: there is no engine around */
};

struct repl *repl_new(const struct repl_options *options); /* NULL: no memory */
void repl_free(struct repl *r);                            /* before the vm, the scheduler and the control */
/* The policies were loaded anew: what runs in the old generation goes on there, the next chunk of a session runs in the
 * new one, where its plain globals are carried to. Before the old one is freed. */
void repl_use(struct repl *r, struct vm *live);

/* "repl" (opens a session), "eval", "complete", for control_add; arg is the repl. */
extern const struct control_op repl_ops[];

#endif
