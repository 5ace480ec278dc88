/* From plan and settings to what the machine is told: what the flow says of a process wins over the settings. Pure. */
#ifndef TEND_CORE_CONFIGURE_H
#define TEND_CORE_CONFIGURE_H

#include "core/machine.h"
#include "core/plan.h"
#include "core/settings.h"

/* Owns what config points to. The plan must outlive it (names, rules, order). */
struct lifecycle {
  struct machine_config config;
  struct machine_process *process;
  struct lifecycle_how *how;      /* of all processes, what is alike mostly once */
  struct restart_rule *tty_rules; /* main's, with one before them */
};

/* simple: run --mode simple. tty: run --tty, where an end by INT is a good one. NULL: no memory. */
struct lifecycle *lifecycle_new(const struct plan *plan, const struct settings *settings, bool simple, bool tty);
void lifecycle_free(struct lifecycle *l); /* NULL is allowed */

#endif
