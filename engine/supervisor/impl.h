/* What the files of the supervisor share; nobody else includes it. */
#ifndef TEND_SUPERVISOR_IMPL_H
#define TEND_SUPERVISOR_IMPL_H

#include <limits.h>

#include "base/revival.h"
#include "core/configure.h"
#include "core/ends.h"
#include "core/report.h"
#include "core/trend.h"
#include "supervisor/alert.h"
#include "loop/cleanup.h"
#include "loop/control.h"
#include "health/dependency.h"
#include "supervisor/disks.h"
#include "health/health.h"
#include "loop/journal.h"
#include "supervisor/hooks.h"
#include "supervisor/log_follow.h"
#include "health/remedies.h"
#include "health/scaling.h"
#include "supervisor/reload.h"
#include "supervisor/supervisor.h"
#include "supervisor/validate.h"
#include "web/web.h"

/* One instance of a process, beside what the machine keeps of it. */
/* How a process's last run ended, or why it did not begin. */
struct slot_end {
  struct child_exit last; /* without output */
  struct report_exit exit;
  char exit_text[128];
  char spawn_text[160]; /* why it could not be asked of init; "" */
};

struct slot {
  struct supervisor *sup;
  uint32_t index;
  uint32_t child; /* the last one; stays known after its end, for its group */
  pid_t pid;      /* 0: not running */
  pid_t last_pid;
  int64_t started_ns, started_real_ns;
  struct slot_end *end; /* NULL: nothing of it has ended yet (supervisor_end_of) */
  int startup;          /* its start-up check's number among the checks; -1: none */
  bool news;            /* what was kept of it is old */
};

/* What a check of the health is for. */
struct watched {
  int process;     /* whose it is; PLAN_UNSET: the container's */
  int dependency;  /* the one that looks at the same thing; -1: none */
  bool own;        /* made for that dependency, no check of the flow */
  bool ended_well; /* its process has: nothing to be ready */
  uint32_t slot;   /* a start-up check: of this one; UINT32_MAX: none */
};

enum { PHASE_VALIDATION, PHASE_DEPENDENCIES, PHASE_HEALTH, PHASE_PROCESSES, PHASES };

/* init was asked for the last lines of a process that ended. */
struct asked_tail {
  struct asked_tail *next;
  struct supervisor *sup;
  uint64_t seq; /* of the end */
};

enum { STEPS = 16 }; /* of the critical path */

/* A control client that waits for an outcome. */
enum wait_for { WAIT_STOPPED, WAIT_RUNNING, WAIT_RESTARTED, WAIT_EXIT };
struct waiter {
  struct supervisor *sup;
  struct control_reply *reply;
  enum wait_for what;
  unsigned process; /* index, or UINT_MAX: all */
  uint64_t runs;    /* WAIT_RESTARTED: runs before */
  struct waiter *next;
};

struct supervisor {
  struct supervisor_options o;
  struct lifecycle *lifecycle;
  struct machine *machine;
  struct timer *due;
  struct machine_input *queue;
  size_t queue_n, queue_cap;
  bool busy;                 /* inside the machine or carrying out */
  bool spawned;              /* somebody was asked for in this turn */
  bool begun;                /* or has begun, or cannot */
  bool silent;               /* since then nothing is told */
  struct timer *speak_timer; /* nor for longer than this */
  bool plan_stale;           /* init must be told anew */
  bool plan_due;             /* and will be at the end of this turn */
  struct slot *slots;
  unsigned n_slots;

  struct state_dir state;
  bool unnamed; /* the flow's files are not ours: no fit name, or another engine has it; the validation fails */
  struct control *control;
  struct journal *journal; /* NULL until the first process has its moment */
  struct timer *settle_timer;
  bool settled; /* and has come */
  struct ends ends;
  bool nobody_left;         /* init has seen with the last end that a sweep would find nobody */
  struct asked_tail *tails; /* not answered yet */
  uint64_t tails_asked;     /* up to this end */
  struct alert *alert;      /* NULL: no webhook */
  struct web *web;          /* NULL: nothing is served over HTTP */
  struct trend trend;
  struct waiter *waiters;
  struct log_follows follows;
  struct buf previous_run; /* details of the run before, when it had no end; else empty */
  bool run_forgotten;      /* the next start will find no word of this run */
  struct problems invalid; /* the errors of the last validation */
  struct disks *disks;     /* NULL until the validation has found the directories */
  char log_dir[PATH_MAX];  /* "" when there is none that can be written */

  unsigned validation_checks, validation_failed;
  struct dependencies *dependencies;
  struct health *checks;
  struct remedies *remedies;
  struct scaling *scaling;
  struct watched *watched;          /* of each check */
  int *dependency_check;            /* of each dependency: the number of the check that goes on asking for it */
  struct check_standing *standings; /* room for all, see supervisor_verdict */
  struct timer *round_timer;
  struct metric *check_seconds;                        /* tend_check_duration_seconds; NULL: not yet declared */
  bool rounds;                                         /* go on */
  bool healthy;                                        /* as the machine was told */
  enum { NOTE_NONE, NOTE_QUIETLY, NOTE_FIRST } noting; /* results of the start are being passed on */
  struct report_phase phases[PHASES];
  int64_t phase_started_ns[PHASES];
  const char *startup_result;
  struct report_wait steps[STEPS]; /* what the last start had to wait for */
  size_t n_steps;
  int64_t begun_ns, begun_real_ns, startup_ns;

  /* hooks */
  struct hook_run *start_hook, *running_hook, *stop_hook;
  unsigned hook; /* index of the point before the stop whose hooks run */
  bool skip_drain;
  int64_t hooks_deadline_ns;
  struct held_exit *held_exits;   /* ends about which hooks are asked */
  struct held_check *held_checks; /* the same of checks */

  struct cleanup_env cleanup_env;
  struct cleanup *cleanup;

  /* for a next engine */
  bool sockets_kept;
  bool reviving; /* it is being put together again: nothing is put */
  size_t kept_bytes;
  int64_t kept_ns;
  uint64_t ends_kept;
  bool put_due;
  struct timer *put_timer;

  struct reload *reload; /* NULL: nobody makes generations */
  bool only_bad;         /* of the dependencies that were asked for last */

  struct lifecycle_counts counts;
  int64_t running_since_ns, running_total_ns;
  unsigned reporting; /* files that are being written at the end */
  bool reported;
  unsigned closing; /* what must finish before tend can leave */
  bool ended, graceful, from_workload;
  int exit_code;
  enum machine_cause exit_cause;
};

/* supervisor.c */
void supervisor_judge(struct supervisor *s); /* what waits to be fed */
int supervisor_make_dependencies(struct supervisor *s, struct err *err);
void supervisor_carry_out(struct supervisor *s, const struct machine_action *a);
void supervisor_feed(struct supervisor *s, const struct machine_input *in);
/* The start or the end of a process: judged together with the others that init tells of, but see below. */
struct slot_end *supervisor_end_of(struct slot *slot);     /* never NULL */
_Noreturn void supervisor_no_memory(struct supervisor *s); /* better a new engine than what would follow */
void supervisor_feed_later(struct supervisor *s, const struct machine_input *in);
/* Before anything is noted for an input of this kind: those of other kinds that wait are judged first. */
void supervisor_feed_others(struct supervisor *s, enum machine_input_kind kind);

/* keep.c */
void supervisor_put(struct supervisor *s);  /* after each step */
void supervisor_put_late(void *supervisor); /* of the timer */
void supervisor_keep_policy(struct supervisor *s);
struct kept_probation {
  int64_t until_ns;        /* 0: there is none */
  unsigned proven, failed; /* generations */
  uint64_t files;          /* what is on disk, as reload_look says it */
};
void supervisor_keep_fallback(struct supervisor *s, struct generation *proven,
                              const struct kept_probation *p); /* after each change of what is in force */
void supervisor_keep_sockets(void *supervisor); /* once the start is over: sockets and events outlive this engine */

/* revive.c */
/* Becomes what the engine before was; false: it has not left enough for that. Before anything else is begun. */
bool supervisor_revive(struct supervisor *s);
void supervisor_go_on(struct supervisor *s); /* then, with everything open */
/* A process of that slot that was started and not kept: it becomes its own. */
bool supervisor_take_child(struct supervisor *s, struct slot *slot);

/* supervisor_start.c */
/* What shall not compete with the first process comes a moment later: the helper that writes events.jsonl (it writes
 * then what was told before it), and the first look at what the container uses. */
#define SETTLE_DELAY_NS (200 * NS_PER_MS)
#define SILENCE_NS NS_PER_MS
void supervisor_validate(struct supervisor *s);
void supervisor_open_journal(struct supervisor *s); /* at the latest before the report */
void supervisor_settle(void *supervisor);
void supervisor_give_back(void *supervisor); /* memory, to the system */
void supervisor_check_dependencies(struct supervisor *s, bool only_bad);
void supervisor_cancel_start(struct supervisor *s);
void supervisor_phase_begin(struct supervisor *s, int phase);
void supervisor_phase_end(struct supervisor *s, int phase, const char *result);

void supervisor_note_critical_path(struct supervisor *s); /* of the start that has just come to its end */

/* supervisor_process.c */
extern const struct child_ops supervisor_process_ops;
void supervisor_ops_started(void *slot, uint32_t child, pid_t pid);
void supervisor_ops_failed(void *slot, uint32_t child, enum spawn_stage stage, int error);
void supervisor_ops_exited(void *slot, uint32_t child, const struct child_exit *x);
void supervisor_spawn(struct supervisor *s, uint32_t slot);
void supervisor_kill(struct supervisor *s, const struct machine_action *a);
void supervisor_tell_init(struct supervisor *s);
const struct plan_process *supervisor_process(const struct supervisor *s, uint32_t slot);
/* A probe_process_fn; arg is the supervisor. */
int supervisor_look(void *arg, const char *name, struct probe_process *out);

/* supervisor_health.c */
int supervisor_health_new(struct supervisor *s, struct err *err);
int supervisor_make_checks(struct supervisor *s, struct err *err); /* all of the plan, as none had ever run */
void supervisor_feed_health(struct supervisor *s);
void supervisor_health_free(struct supervisor *s);
void supervisor_health_news(void *supervisor, const struct health_news *news);
void supervisor_health_follow(struct supervisor *s); /* after each change of the machine */
void supervisor_health_suspect(struct supervisor *s);
void supervisor_health_first(struct supervisor *s);
void supervisor_health_take(struct supervisor *s); /* what a failed start has found out */
void supervisor_health_round(void *supervisor);
/* Checks and dependencies together; its reasons are valid until the next call. */
void supervisor_weigh(struct supervisor *s, struct health_verdict *out);
const char *supervisor_health(struct supervisor *s); /* healthy, degraded, unhealthy */
/* RUNNING, not draining, required dependencies and readiness checks good. */
bool supervisor_ready(struct supervisor *s, const struct machine_view *m);

/* supervisor_checks.c: checks and dependencies as others see them */
enum { HEALTH_TEXTS = 8 };
/* Why it is not healthy, or not ready: one text each, the worst first; returns how many. */
size_t supervisor_reasons(struct supervisor *s, const struct machine_view *m, char texts[HEALTH_TEXTS][256]);
void supervisor_health_json(struct supervisor *s, struct buf *out);
/* free() it; NULL: no memory. */
struct report_check *supervisor_view_dependencies(struct supervisor *s, size_t *n);
struct report_check *supervisor_view_checks(struct supervisor *s, bool brief, size_t *n);
void supervisor_publish_checks(struct supervisor *s); /* as metrics */
void supervisor_observe_check(struct supervisor *s, const struct health_news *news);
int64_t supervisor_wall(int64_t mono_ns); /* monotonic to wall clock, for print; 0 stays 0 */
/* `tend check-now` */
void supervisor_check_now(void *supervisor, const struct control_request *q, struct control_reply *r);

/* supervisor_remedy.c */
int supervisor_remedies_new(struct supervisor *s, struct err *err); /* and scaling */
void supervisor_restart_process(struct supervisor *s, unsigned process);
void supervisor_remedies_follow(struct supervisor *s); /* after each change of the machine */
void supervisor_remediate(void *supervisor, const struct control_request *q, struct control_reply *r);
void supervisor_maintain(void *supervisor, const struct control_request *q, struct control_reply *r);

/* supervisor_hook.c */
void supervisor_hook_start(struct supervisor *s);   /* then the processes are started */
void supervisor_hook_running(struct supervisor *s); /* nobody waits for it */
void supervisor_cancel_start_hook(struct supervisor *s);
void supervisor_hooks(struct supervisor *s, int64_t deadline_ns); /* before the stop signals */
void supervisor_cancel_hooks(struct supervisor *s);
/* An instance has ended: true when hooks are asked first, and the machine hears of it later. */
bool supervisor_hook_exit(struct supervisor *s, const struct machine_input *exited);
/* A check has turned unhealthy: true when hooks are asked before its remedy begins. A remedies_gate_fn. */
bool supervisor_hook_unhealthy(void *supervisor, const struct health_news *news);
void supervisor_forget_unhealthy(void *supervisor, size_t check);
/* What hooks are being asked about goes its usual way now: before a stop, before another plan is in force. */
void supervisor_settle_hooks(struct supervisor *s);
/* Asks the hooks of a plan that is about to be in force, with its own policy; about as of hook_call. NULL: it has none.
 */
struct hook_run *supervisor_hook_reload(struct supervisor *s, const struct policy *const *policy,
                                        const struct plan *plan, const char *about, hook_done_fn *done, void *arg);
void supervisor_hooks_free(struct supervisor *s);

/* supervisor_stop.c */
void supervisor_sweep(struct supervisor *s, int sig);
void supervisor_cleanup(struct supervisor *s, int64_t deadline_ns);
void supervisor_report(struct supervisor *s, int64_t deadline_ns);
void supervisor_speak(struct supervisor *s); /* what is held back for a moment is told now */
void supervisor_note_end(struct supervisor *s, const struct machine_action *a);
void supervisor_exit(struct supervisor *s, const struct machine_action *a);

/* supervisor_event.c: tells what the machine says */
void supervisor_tell(struct supervisor *s, const struct machine_action *a);

/* supervisor_view.c */
/* A status view and what it points to. */
enum { QUARANTINE_SHOWN = 4 };
struct views {
  struct status_view v;
  struct report_process *processes;
  struct report_check *dependencies, *checks;
  struct report_remedy *remedies;
  struct report_remediation *remediations;
  char quarantined[QUARANTINE_SHOWN][400]; /* holds the longest task and the longest place */
  const char *warnings[9 + QUARANTINE_SHOWN];
  struct buf policy;
  char trouble[600];
  char reason[256];
};
void supervisor_views(struct supervisor *s, bool brief, struct views *out); /* brief: no history of checks */
void supervisor_views_free(struct views *v);
void supervisor_status_json(struct supervisor *s, bool brief, struct buf *out);
void supervisor_report_json(struct supervisor *s, struct buf *out);
void supervisor_reason(struct supervisor *s, const struct machine_view *m, char *to, size_t size); /* of the state */
const char *supervisor_verdict(struct supervisor *s, const struct machine_view *m);                /* also unknown */

/* supervisor_why.c */
void supervisor_why_json(struct supervisor *s, struct buf *out);
/* Why a process that failed for good is not started again, in words. index: its slot. */
void supervisor_not_again(struct supervisor *s, uint32_t index, struct buf *out);
/* Why tend ends, in words, for Kubernetes: at most so many bytes. */
enum { TERMINATION_MAX = 4096 };
void supervisor_termination(struct supervisor *s, struct buf *out);

/* supervisor_end.c */
void supervisor_note_exit(struct supervisor *s, const struct machine_action *a);
void supervisor_ask_tails(void *supervisor); /* for those that ended since */
void supervisor_drop_tails(struct supervisor *s);

/* supervisor_previous.c */
void supervisor_find_previous(struct supervisor *s);
void supervisor_note_run(struct supervisor *s);
void supervisor_forget_run(struct supervisor *s);

/* supervisor_vitals.c */
enum { VITALS_DATABASES = 8 };
struct vitals_room { /* what struct vitals points to */
  struct vitals_database databases[VITALS_DATABASES];
  struct vitals_directory directories[DISKS_MAX];
};
void supervisor_watch_disks(struct supervisor *s, const struct validate_result *found);
void supervisor_watch_lag(struct supervisor *s);
void supervisor_measure(struct supervisor *s); /* looks at the container's use, where the last look is old */
void supervisor_vitals(struct supervisor *s, struct vitals *v, struct vitals_room *room);
void supervisor_metrics_json(struct supervisor *s, struct buf *out);
void supervisor_metrics_text(struct supervisor *s, enum metrics_format format, struct buf *out);

/* supervisor_web.c */
void supervisor_open_web(struct supervisor *s);
void supervisor_sample(void *supervisor); /* keeps the present numbers for plots */

/* supervisor_ops.c */
extern const struct control_op supervisor_ops[];
void supervisor_answer_waiters(struct supervisor *s); /* after each change */
void supervisor_answer_all(struct supervisor *s);     /* at the end */

#endif
