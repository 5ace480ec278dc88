/* Events: typed facts that happened. One list gives names, components, levels and docs; one ring keeps the last
 * of them; two formats. Pure: the time comes in, nothing is written here.
 */
#ifndef TEND_CORE_EVENT_H
#define TEND_CORE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"

enum level { LEVEL_DEBUG, LEVEL_INFO, LEVEL_WARNING, LEVEL_ERROR, LEVEL_CRITICAL };

const char *level_name(enum level level);        /* "INFO" */
int level_parse(const char *s, enum level *out); /* any case; -EINVAL */

/* E(id, name, component, doc) */
#define EVENT_LIST(E) \
  E(STARTUP_INITIATED, "startup_initiated", "lifecycle_manager", "A pass through STARTING begins.") \
  E(DEPENDENCIES_READY, "dependencies_ready", "lifecycle_manager", "Every required dependency is ready.") \
  E(STARTUP_COMPLETED, "startup_completed", "lifecycle_manager", \
    "The main process was executed; the state is RUNNING.") \
  E(HEALTH_CHECK_PASSED, "health_check_passed", "lifecycle_manager", \
    "The first good result of a check, and each change to good.") \
  E(HEALTH_CHECK_FAILED, "health_check_failed", "lifecycle_manager", \
    "The first bad result of a check, and each change to bad.") \
  E(SHUTDOWN_INITIATED, "shutdown_initiated", "lifecycle_manager", "A shutdown begins; cause says why.") \
  E(SHUTDOWN_COMPLETED, "shutdown_completed", "lifecycle_manager", \
    "The last event: graceful or not, exit code and its source.") \
  E(RESTART_INITIATED, "restart_initiated", "lifecycle_manager", \
    "A restart is decided; delay and attempt are in the details.") \
  E(FAILURE_DETECTED, "failure_detected", "lifecycle_manager", "A process, a start or a check failed critically.") \
  E(RECOVERY_COMPLETED, "recovery_completed", "lifecycle_manager", "What had failed is good again.") \
  E(VALIDATION_COMPLETED, "validation_completed", "config", "The start-up validation ended; failures are listed.") \
  E(HEALTH_CHECK, "health_check", "health_monitor", "One health round ended.") \
  E(DEPENDENCY_READY, "dependency_ready", "dependency", "One dependency is ready.") \
  E(DEPENDENCY_FAILED, "dependency_failed", "dependency", "One dependency did not become ready in its time.") \
  E(DEPENDENCY_WAITING, "dependency_waiting", "dependency", \
    "A dependency is not ready yet and is asked again; told once and when the reason changes.") \
  E(PROCESS_STARTED, "process_started", "init", "A process was executed.") \
  E(PROCESS_EXITED, "process_exited", "init", "A process ended; how, and after how long.") \
  E(REMEDIATION_STARTED, "remediation_started", "health_monitor", "A remedy begins.") \
  E(REMEDIATION_COMPLETED, "remediation_completed", "health_monitor", "A remedy ended.") \
  E(POLICY_RELOADED, "policy_reloaded", "script", "New scripts are in force.") \
  E(POLICY_REJECTED, "policy_rejected", "script", "New scripts were refused; the old ones stay in force.") \
  E(POLICY_ROLLED_BACK, "policy_rolled_back", "script", "The scripts before are in force again.") \
  E(SCRIPT_ERROR, "script_error", "script", "A script raised an error or exceeded a limit.") \
  E(CLEANUP_COMPLETED, "cleanup_completed", "script", "One cleanup handler ended.") \
  E(MAINTENANCE, "maintenance", "control", "Maintenance was turned on or off.") \
  E(AUDIT, "audit", "control", "Somebody changed something over the control socket.") \
  E(ENGINE_RESTARTED, "engine_restarted", "init", "A new engine has taken over from one that ended.") \
  E(OUTPUT, "output", "workload", "One line of a process, in output format json.") \
  E(NOTICE, "notice", "init", "Something that tend does without, or that is odd; said once.") \
  E(SETTING, "setting", "config", "A remark about a setting.") \
  E(MESSAGE, "message", "script", "A script called log.")

enum event_kind {
#define E(id, name, component, doc) EVENT_##id,
  EVENT_LIST(E)
#undef E
      EVENT_KINDS
};

const char *event_name(enum event_kind kind);
const char *event_component(enum event_kind kind);
const char *event_doc(enum event_kind kind);

struct event {
  uint64_t seq;    /* given by the ring, from 1 */
  int64_t real_ns; /* wall clock, for print */
  enum event_kind kind;
  enum level level;
  const char *component; /* NULL: the kind's */
  int64_t duration_ns;   /* -1: none */
  const char *message;   /* NULL: none */
  const char *details;   /* a JSON object as text, NULL: {} */
};

/* Makes any text fit for `details`: a JSON object with the contract's separators and at most LIMIT_EVENT_DETAILS bytes.
 * What is no object becomes {"text": …}, what is too long {"cut": bytes}. NULL and "" give {}. */
void event_details(const char *text, struct buf *out);
/* The same for a message: at most EVENT_MESSAGE_MAX bytes, cut between characters. Returns how many to take. */
enum { EVENT_MESSAGE_MAX = 2400 };
size_t event_message_len(const char *message);

struct event_source { /* who speaks; the same for all events of an engine */
  char container_id[256];
  char flow[64];
};

/* One line of JSON without a newline, keys in the contract's order; details have been through event_details. */
void event_json(const struct event *e, const struct event_source *who, struct buf *out);
/* One readable line without a newline: time of day, level, event, message, details as key=value; control characters
 * of any text are shown, not sent to the terminal; colour with ANSI sequences where asked. */
void event_pretty(const struct event *e, const struct event_source *who, bool colour, struct buf *out);

/* The last n events; owns copies. */
struct event_ring;
struct event_ring *event_ring_new(unsigned capacity);
void event_ring_free(struct event_ring *r);
/* Copies *e and gives it the next number, which is returned (where memory is short its texts are lost). */
uint64_t event_ring_add(struct event_ring *r, const struct event *e);
/* The first event with a number >= seq, NULL when there is none; valid until the next add. */
const struct event *event_ring_from(const struct event_ring *r, uint64_t seq);
uint64_t event_ring_last(const struct event_ring *r);

#endif
