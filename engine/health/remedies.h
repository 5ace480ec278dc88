/* Remedies: what core/remedy decides is carried out here, and told. Listens to the checks, runs the steps of the plan's
 * remedies (helpers, commands, functions, signals; restart and failure through who owns the machine), asks the check
 * after each, keeps the last runs.
 *
 * All that the environment points to stays the caller's and must outlive it, but for health, which must be freed
 * before. Callbacks of the environment may feed the machine.
 */
#ifndef TEND_HEALTH_REMEDIES_H
#define TEND_HEALTH_REMEDIES_H

#include "core/metric.h"
#include "core/plan.h"
#include "core/remedy.h"
#include "core/report.h"
#include "loop/children.h"
#include "health/health.h"
#include "loop/policy.h"
#include "loop/sink.h"

struct remedies;
struct keep;

/* A restart that was asked for: 0 it is under way, 1 the process is up again, negative it will not be. */
enum { REMEDY_RESTART_WAIT = 0, REMEDY_RESTART_DONE = 1, REMEDY_RESTART_NO = -1 };

struct remedies_env {
  struct loop *loop;
  struct children *children;
  struct sink *sink;
  struct metrics *metrics;
  const struct policy *policy; /* NULL: no functions */
  struct health *health;
  const struct plan *plan;
  bool simple; /* no remedy restarts */
  void *arg;   /* of these */
  /* False: nothing of the process runs that could be restarted. *mark is for restarted. */
  bool (*restart)(void *arg, unsigned process, uint64_t *mark);
  int (*restarted)(void *arg, unsigned process, uint64_t mark);
  void (*fail)(void *arg);
  unsigned (*signal)(void *arg, unsigned process, int signal, bool group); /* to how many */
};

/* NULL with err. */
struct remedies *remedies_new(const struct remedies_env *env, struct err *err);
void remedies_free(struct remedies *r); /* NULL is allowed */

/* As health_keep: budgets, rests and maintenance go on. A run that was under way is over. */
void remedies_keep(struct remedies *r, struct keep *keep);
/* A reload: `to` was just made with the new plan and takes over from `from`, which is then freed; before health is.
 * remedy: of each remedy of the new plan the number of the same one in the old; negative: none. Runs of those that are
 * gone are cancelled, and told. -ENOMEM. */
int remedies_adopt(struct remedies *to, struct remedies *from, const int *remedy);

/* After each change of the machine. active: the container runs; ended: it stops or has failed. */
void remedies_follow(struct remedies *r, bool active, bool ended);

/* How the connections of a database are made anew. detail: what was done, or why not. 0, or negative. */
typedef int remedies_reset_fn(void *arg, const char *database, char *detail, size_t size);
void remedies_on_reset(struct remedies *r, remedies_reset_fn *fn, void *arg);

/* Asked when a check turns unhealthy, before anything is done about it: true, somebody thinks about it, and says so
 * with remedies_pass; until then the check is not heard of. given_up: it is good again, or runs anew, and nobody need
 * think any more. */
typedef bool remedies_gate_fn(void *arg, const struct health_news *news);
typedef void remedies_ungate_fn(void *arg, size_t check);
/* 0 or -ENOMEM */
int remedies_set_gate(struct remedies *r, remedies_gate_fn *gate, remedies_ungate_fn *given_up, void *arg);
/* go: its remedy may begin; else nothing is done about the check until it was good. */
void remedies_pass(struct remedies *r, size_t check, bool go);

/* The check with this index was reset: a new run of its process. */
void remedies_check_anew(struct remedies *r, size_t check);

/* True: remedies have been tried on it since it failed; they tell its recovery. */
bool remedies_tried(const struct remedies *r, const char *check);

/* Which remedy has ended the container, and why: one sentence without a full stop; "" when none has. */
void remedies_end_text(const struct remedies *r, char *to, size_t size);

/* --- operators --------------------------------------------------------------------------------------------------- */

/* The end of a run that was asked for. text: for people, valid during the call. */
typedef void remedies_done_fn(void *arg, bool ok, const char *text);
/* `tend remediate ACTION`: the name of a remedy, of a step, or REMEDY/STEP. Refused: negative, err says why. done NULL:
 * nobody waits. */
int remedies_ask(struct remedies *r, const char *action, bool dry_run, remedies_done_fn *done, void *arg,
                 struct err *err);
/* for_ns TIME_NEVER: until it is turned off. */
void remedies_maintain(struct remedies *r, bool on, int64_t for_ns);

/* --- views ------------------------------------------------------------------------------------------------------- */

bool remedies_in_maintenance(const struct remedies *r, int64_t *until_ns);
/* The remedies, the last runs (newest first), for status and report; texts are valid until the next turn. Each list is
 * the caller's to free; NULL: none, or no memory. */
struct report_remedy *remedies_list(const struct remedies *r, size_t *n);
struct report_remediation *remedies_past(const struct remedies *r, size_t *n);

#endif
