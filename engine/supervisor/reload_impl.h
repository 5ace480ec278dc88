/* What the files of reloads share; nobody else includes it. */
#ifndef TEND_SUPERVISOR_RELOAD_IMPL_H
#define TEND_SUPERVISOR_RELOAD_IMPL_H

#include "core/plan_diff.h"
#include "loop/file_watch.h"
#include "supervisor/impl.h"

/* Who waits for the answer. */
struct reload_asker {
  struct control_reply *reply;
  bool dry;
  struct reload_asker *next;
};

/* Wishes that one reload fulfils. */
struct reload_wish {
  unsigned triggers; /* bits; 0: none but for a look */
  struct reload_asker *askers;
};

enum { RELOAD_DRAINING = 8, RELOAD_ERRORS = 16 };

struct reload {
  struct supervisor *s;
  const struct generations *make;
  struct generation *now;    /* in force */
  struct generation *proven; /* in probation: what comes back */
  struct generation *old[RELOAD_DRAINING];
  unsigned n_old; /* their last calls go on */
  unsigned numbers;

  enum { RELOAD_IDLE, RELOAD_MAKING, RELOAD_TRYING, RELOAD_READY } phase;
  struct reload_wish current, later;
  struct generation *next;
  struct plan_diff *diff;
  int64_t begun_ns, ended_ns;
  struct timer *timer; /* the next one; else what waits to be freed */
  struct timer *drain, *poll;

  /* a new secret that is tried */
  struct probe_env try_env;
  struct probe *probe;
  size_t tried; /* settings before this one are done */
  struct setting_database trying;
  struct hook_run *hook; /* on_reload */
  bool try_again;        /* at the next chance: what failed may work by then */

  /* probation */
  struct timer *probation;
  int64_t swapped_ns;
  char cause[300];                /* of a roll-back that is due; "" */
  uint64_t errors[RELOAD_ERRORS]; /* texts of scripts' errors that were there before */
  unsigned n_errors;              /* grows without end */
  bool by_check;
  bool condemned; /* by the end of the engine before this one; kept says what it knew */
  struct kept_probation kept;
  bool subscribed;

  /* what became of the last one */
  const char *result; /* "reloaded", "rejected", "rolled_back", "unchanged"; NULL: none yet */
  char trouble[512];
  int64_t result_real_ns, since_real_ns;
  struct metric *total, *generation;

  struct file_watch *watch;
  uint64_t refused; /* what the files were when they were refused; 0: they were not */
  bool watching, told_blind;
};

/* reload.c */
void reload_finish(struct reload *r);
void reload_drop_next(struct reload *r);
void reload_refuse(struct reload *r, const struct problems *problems);
void reload_take(struct reload *r);                         /* what was made is good */
void reload_retire(struct reload *r, struct generation *g); /* free, as soon as nothing of it runs */

/* reload_answer.c */
void reload_answer(struct reload *r, bool good, const char *text, const char *json); /* all of this one */
void reload_answer_some(struct reload *r, bool dry, bool good, const char *text, const char *json);
void reload_refuse_wish(struct reload_wish *w, const char *text);
/* {"message", "generation", "dry_run", "difference", "lines": for people} */
void reload_outcome_json(struct reload *r, bool dry, const char *message, struct buf *out);

/* reload_swap.c: 0, or why it cannot be, and nothing has changed. */
int reload_swap(struct reload *r, struct generation *to, const struct plan_diff *diff, struct err *err);
struct plan_diff *reload_compare(const struct reload *r, const struct generation *to);
void reload_swept(struct reload *r); /* processes that were taken away may have ended by now */

/* One swap. Its processes: those of the flow, behind them those that are taken away and still run. */
struct swap {
  struct supervisor *s;
  const struct plan_diff *diff;
  struct plan *from, *to;
  size_t own;           /* processes of the flow; behind them those that are taken away */
  size_t *gone, n_gone; /* of `from` */
  uint32_t *old;        /* of each process of `to`; MACHINE_ALL: new */
  struct lifecycle *lifecycle;
  struct machine *machine;
  struct slot *slots;
  uint32_t *old_slot; /* of each slot; UINT32_MAX: new */
};

/* reload_checks.c */
void reload_take_checks(struct swap *x); /* when the plan and the machine are the new ones; x->slots are the old ones */
void reload_out_of_memory(struct supervisor *s);

/* reload_try.c: tries new connection strings; then reload_take or reload_refuse. */
void reload_try(struct reload *r);
void reload_stop_trying(struct reload *r);
/* Connections that were made with strings that are used no more are closed. */
void reload_reset_pools(const struct settings *old, const struct settings *now);

/* reload_tell.c */
void reload_tell_swap(struct reload *r, const struct plan_diff *diff, int64_t duration_ns);
void reload_tell_refusal(struct reload *r, const struct problems *problems);
void reload_tell_back(struct reload *r, const struct plan_diff *diff, unsigned failed);
void reload_tell_same(struct reload *r);
void reload_note_try(struct reload *r); /* what is loaded now, for a next engine */
void reload_note(struct reload *r, const char *result, const char *trouble);
void reload_triggers(unsigned triggers, struct json *j);

/* reload_probation.c */
void reload_probe_begin(struct reload *r, struct generation *before);
void reload_probe_end(struct reload *r);
void reload_listen(struct reload *r);
void reload_unlisten(struct reload *r);
void reload_condemn(struct reload *r, const struct keep_culprit *c);
bool reload_roll_back(struct reload *r); /* where it is due and can be now */

/* reload_watch.c */
void reload_watch_new(void *reload); /* a deferred call */
void reload_watch_open(struct reload *r);
void reload_poll_alone(void *reload);
void reload_watch_again(struct reload *r); /* other files are in force */
uint64_t reload_look(struct reload *r);    /* what the files are now */

#endif
