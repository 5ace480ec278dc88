/* What the engine tells of itself, as JSON, built from plain views that the supervisor fills when somebody asks: the
 * final report, and the answers of `tend status`, `why` and `health` (the endpoints give the same). Pure; all texts
 * are borrowed for the call. A time is wall clock in ns, 0 where there is none (null); a text may be NULL (null).
 *
 * status: {"container_id", "flow", "state", "since", "reason", "environment", "mode" (execution mode), "run_mode",
 *   "health", "ready", "maintenance", "pid", "version", "started", "uptime_seconds", "restarts", "restarts_in_window",
 *   "next": {"what", "due", "in_seconds"} | null, "processes": [process], "dependencies": [check], "checks": [check],
 *   "remedies": [remedy], "remediations": [run], "policy": {…}, "warnings": [text]}
 * process: {"name", "instance", "main", "essential", "spare", "state", "pid", "since", "runs", "restarts", "last_exit":
 * {"code", "signal", "text", "at", "duration_seconds"} | null, "next": {"what", "due", "in_seconds"} | null, "command":
 * [text]} check: {"name", "kind", "required", "status", "reason", "detail", "attempts", "failures", "duration_ms",
 * "at", "since", "description"}; a check beside: "role", "process", "active", "last", "failed", "unknown", "next",
 *   "held_until", and where there are few checks "history": [[unix seconds, result, duration_ms]], oldest first
 * why: {"state", "answer": one sentence, "chain": [{"what", "at"}], effect first, each caused by the one after it,
 *   "next": [{"what", "due", "in_seconds"}]}
 * health: {"status": "healthy" | "degraded" | "unhealthy" | "unknown", "healthy": bool,
 * "ready": bool, "state", "reasons": [text]} report: {"container_info", "metrics", "restart_config", "event_history",
 * "dependency_checks", "startup", "previous_run", "checks", "remedies", "remediations", "processes", "exits", "exit"}
 *
 * remedy: {"name", "checks": [text], "state": "idle" | "running" | "resting" | "gave_up", "step", "check", "dry_run",
 *   "runs", "runs_in_window", "max", "ready_at", "last_result"}
 *
 * run, the newest first: {"remedy", "check", "trigger": "check" | "operator", "cause", "result", "dry_run", "at",
 *   "duration_ms", "steps": [{"name", "kind", "outcome", "detail", "duration_ms"}]}
 */
#ifndef TEND_CORE_REPORT_H
#define TEND_CORE_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "core/ends.h"
#include "core/event.h"
#include "core/vitals.h"

/* What comes next, and when. what NULL: nothing. */
struct report_next {
  const char *what; /* "restart", "next run", "next attempt", "kill" … */
  int64_t due_real_ns;
};

struct report_exit {
  bool known;
  int code;         /* as a shell gives it: 128+N for a signal */
  int signal;       /* 0: none */
  const char *text; /* "exit code 3", "signal KILL (out of memory)", "cannot execute /x: No such file" */
  int64_t at_real_ns, duration_ns;
};

struct report_process {
  const char *name;
  unsigned instance;
  bool main, essential;
  bool spare; /* more than the number of instances that is asked for */
  const char *state;
  pid_t pid; /* 0: not running */
  int64_t since_real_ns;
  unsigned runs, restarts;
  struct report_exit last_exit;
  struct report_next next;
  char *const *command; /* NULL-ended; NULL: not told */
};

/* One run of a check. */
struct report_run {
  int64_t at_real_ns, duration_ns;
  const char *result;
};

/* A dependency or a check. */
struct report_check {
  const char *name, *kind, *description;
  bool required;
  const char *status; /* dependency: waiting, ready, failed; check: healthy, degraded, unhealthy, unknown */
  const char *reason, *detail;
  unsigned attempts, failures; /* failures in a row */
  int64_t duration_ns;         /* of the last attempt; -1: none */
  int64_t at_real_ns;          /* of the last result */
  int64_t since_real_ns;       /* of the last change of status */
  /* of a check only */
  const char *role;           /* NULL: a dependency, what follows is left out */
  const char *process;        /* whose it is; NULL: the container's */
  const char *last;           /* last result: ok, warn, fail, unknown; NULL: none yet */
  bool active;                /* it runs now */
  uint64_t failed, unknown;   /* runs in all; attempts counts all of them */
  int64_t next_real_ns;       /* the next run; 0: none */
  int64_t held_until_real_ns; /* 0: no hold */
  const struct report_run *runs;
  size_t n_runs; /* told when there are any */
};

struct report_phase { /* of the start: validation, dependencies, health, processes */
  const char *name;
  int64_t started_real_ns, duration_ns; /* -1: did not end */
  const char *result;                   /* "ok", "failed", "skipped" */
};

/* One step of what the start had to wait for. */
struct report_wait {
  char what[96];
  int64_t duration_ns;
};

struct report_remedy {
  const char *name, *state;
  const char *const *checks;
  size_t n_checks;
  const char *step, *check; /* of the run that goes on; NULL: none */
  bool dry_run;
  unsigned runs, in_window, max;
  int64_t ready_real_ns;   /* resting: until then */
  const char *last_result; /* NULL: none yet */
};

struct report_step {
  const char *name, *kind, *outcome, *detail;
  int64_t duration_ns; /* -1: not begun */
};

struct report_remediation {
  const char *remedy, *check, *trigger, *cause, *result;
  bool dry_run;
  int64_t at_real_ns, duration_ns;
  const struct report_step *steps;
  size_t n_steps;
};

struct report_cleanup {
  const char *name, *result, *detail; /* result: ok, failed, timeout, skipped */
  bool critical;
  int64_t duration_ns;
};

struct status_view {
  int64_t now_real_ns;
  struct event_source who;
  const char *state;
  int64_t since_real_ns;
  const char *reason;                        /* one line: why it is in that state; NULL: nothing to say */
  const char *mode, *environment, *run_mode; /* execution mode; environment; managed or simple */
  bool maintenance, ready;
  const char *health;
  pid_t pid;
  int64_t started_real_ns;
  double uptime_s;
  unsigned restarts, restarts_in_window;
  struct report_next next;
  const struct report_process *processes;
  size_t n_processes;
  const struct report_check *dependencies;
  size_t n_dependencies;
  const struct report_check *checks;
  size_t n_checks;
  const struct report_remedy *remedies;
  size_t n_remedies;
  const struct report_remediation *remediations;
  size_t n_remediations;
  int64_t maintenance_until_real_ns; /* 0: without end */
  const char *policy;                /* an object as text: which policy is in force; NULL */
  const char *const *warnings;       /* what makes it degraded, what tend does without */
  size_t n_warnings;
};

struct restart_config_view {
  const char *policy; /* no, always, on-failure, unless-stopped */
  unsigned max_attempts;
  int64_t delay_ns, max_delay_ns, window_ns, reset_ns;
  bool exponential;
  unsigned jitter_percent;
};

struct report_input {
  struct status_view status;
  struct vitals vitals;
  struct restart_config_view restart;
  const struct event_ring *events;
  const char *previous_run;   /* an object as text, where the run before had no end; NULL: it had one */
  const char *startup_result; /* "completed", "failed", "in progress" */
  int64_t startup_duration_ns;
  const struct report_phase *phases;
  size_t n_phases;
  const struct report_wait *critical_path; /* in the order of time */
  size_t n_critical_path;
  const struct ends *ends; /* may be NULL */
  const struct report_cleanup *cleanups;
  size_t n_cleanups;
  /* how tend ends; exit_known false in a report of a running engine ("exit": null) */
  bool exit_known, graceful;
  int exit_code;
  const char *exit_source; /* workload, engine */
  const char *exit_reason;
};

struct why_link {
  const char *what; /* a sentence without a full stop */
  int64_t at_real_ns;
  unsigned depth; /* over 0: a cause of the link before; 0: of the state itself */
};
struct why_view {
  const char *state;
  const char *answer;
  const struct why_link *chain; /* effect first */
  size_t n_chain;
  int64_t now_real_ns;
  const struct report_next *next; /* what comes, soonest first */
  size_t n_next;
};

struct report_health {
  const char *status, *state;
  bool ready;
  const char *const *reasons;
  size_t n_reasons;
};

/* Each appends one JSON document without a newline at the end. */
void report_build(const struct report_input *in, struct buf *out);
void status_build(const struct status_view *v, struct buf *out);
void why_build(const struct why_view *v, struct buf *out);
void health_build(const struct report_health *v, struct buf *out);

/* The parts above, for who builds more of that kind. */
void report_process_json(const struct report_process *p, int64_t now_real_ns, struct json *j, const char *key);
void report_steps_json(const struct report_step *steps, size_t n, struct json *j); /* key steps */
void report_remedies_json(const struct status_view *v, struct json *j);            /* keys remedies, remediations */
void report_check_json(const struct report_check *c, struct json *j, const char *key);
/* An RFC 3339 time; null for 0. */
void report_time_json(int64_t real_ns, struct json *j, const char *key);
void report_duration_json(int64_t ns, struct json *j, const char *key); /* in ms; below 0: null */

#endif
