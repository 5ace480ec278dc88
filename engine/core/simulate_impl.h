/* What the files of the simulation share; nobody else includes it. Times in here are those of the virtual clock, which
 * begins at SIM_BEGIN_NS: 0 means "never" to checks. */
#ifndef TEND_CORE_SIMULATE_IMPL_H
#define TEND_CORE_SIMULATE_IMPL_H

#include "base/clock.h"
#include "base/stopreq.h"
#include "core/remedy_plan.h"
#include "core/scale.h"
#include "core/shutdown.h"
#include "core/simulate.h"

#define SIM_BEGIN_NS NS_PER_S

enum { SIM_QUEUE = 8192, SIM_REMEDY_QUEUE = 512 };

/* One instance of a process. */
struct sim_slot {
  const struct scenario_process *runs; /* NULL: it runs until it is stopped */
  size_t run;                          /* index of the next one */
  unsigned done;                       /* times that one was done */
  struct scenario_run now;
  bool running;
  int64_t started_ns, end_ns; /* end: TIME_NEVER */
  int status;
  int startup; /* its start-up check; -1 */
  size_t row;
};

struct sim_check {
  const char *name;
  struct check_spec spec;
  struct check check;
  struct scenario_line *line; /* NULL: it is good */
  int process;                /* PLAN_UNSET: the container's */
  int dependency;             /* -1: none */
  bool own;                   /* made for that dependency */
  bool ended_well;
  uint32_t slot; /* a start-up check's; UINT32_MAX */
  const char *reason;
  size_t row;
};

/* One dependency, during a start and after. */
struct sim_dependency {
  const struct plan_check *plan;
  const struct simulate_dependency *spec;
  struct scenario_line *line;
  enum check_result result; /* the last; CHECK_CANNOT: none yet */
  const char *reason;
  bool asked, waiting, last, spent;
  int64_t due_ns, started_ns, deadline_ns, wait_ns, checked_ns;
  unsigned attempts;
  const char *told;
  int check; /* the one that goes on asking for it */
  size_t row;
};

/* A rule of the remedies. */
struct sim_job {
  const struct plan_remedy *plan;
  uint32_t run;
  uint16_t check, step;
  bool dry, stepping, restarting;
  uint64_t mark;
  int64_t started_ns;
  int64_t done_ns; /* of the step; TIME_NEVER */
  enum remedy_outcome outcome;
};

struct sim_scaled {
  unsigned process;
  struct scenario_line *line;
  struct scale_rule rule;
  struct scale state;
  int64_t due_ns;
};

struct sim {
  const struct simulation *in;
  const struct plan *plan;
  struct timeline *out;
  int64_t now, end_ns;
  struct machine *machine;
  struct machine_input queue[SIM_QUEUE];
  size_t queue_n;
  bool busy, overflow, memory;
  bool ended;
  int exit_code;
  size_t row;
  struct stopreq stopreq;
  size_t order; /* the next one */

  struct sim_slot *slots;
  unsigned slots_n;
  struct sim_check *checks; /* the flow's, those of dependencies, start-up checks */
  size_t checks_n;
  struct check_standing *standings;
  bool healthy, noting, quiet;
  double pace;
  int64_t pace_until_ns;
  struct sim_dependency *dependencies;
  bool starting; /* they are being waited for */

  struct remedy *remedy;
  struct remedy_plan *rules;
  struct sim_job *jobs;
  unsigned jobs_n, remedies;
  struct remedy_input remedy_queue[SIM_REMEDY_QUEUE];
  size_t remedy_queue_n;
  bool remedy_busy, active, remedies_ended;

  struct sim_scaled *scaled;
  size_t scaled_n;
};

/* simulate.c */
void sim_feed(struct sim *s, const struct machine_input *in);
void sim_slot_view(const struct sim *s, uint32_t slot, struct instance_view *out);
const char *sim_process_name(const struct sim *s, uint32_t slot);
struct scenario_line *sim_line(struct scenario_line *lines, size_t n, const char *name);
/* What a time line says now; NULL: nothing applies. */
const struct scenario_entry *sim_at(const struct sim *s, const struct scenario_line *line);
/* A step has worked: what it heals is good until it happens again. */
void sim_heal(struct sim *s, const char *step);

/* Telling: details begin open, as an object. */
struct sim_note {
  struct buf text;
  struct json j;
};
void sim_note(struct sim_note *n);
void sim_tell(struct sim *s, const char *what, enum level level, struct sim_note *n); /* releases it */
double sim_seconds(int64_t ns);

/* simulate_tell.c: what the machine says */
void sim_tell_machine(struct sim *s, const struct machine_action *a);
void sim_tell_state(struct sim *s, const struct machine_action *a);

/* simulate_start.c: dependencies at a start */
void sim_dependencies_begin(struct sim *s, bool only_bad);
void sim_dependencies_stop(struct sim *s);
int64_t sim_dependencies_due(const struct sim *s);
void sim_dependencies_turn(struct sim *s);
bool sim_dependencies_bad(const struct sim *s);
void sim_dependency_note(struct sim *s, struct sim_dependency *d, enum check_result r, const char *reason);

/* simulate_health.c */
int sim_health_new(struct sim *s);
void sim_health_follow(struct sim *s);
void sim_health_take(struct sim *s, bool first); /* what a start has found out */
void sim_health_suspect(struct sim *s);
int64_t sim_health_due(const struct sim *s);
void sim_health_turn(struct sim *s);
enum check_result sim_health_ask(struct sim *s, size_t check); /* now, beside its turns */
void sim_health_start(struct sim *s, size_t check);
void sim_health_stop(struct sim *s, size_t check);
const char *sim_health(struct sim *s);

/* simulate_remedy.c: remedies and scaling */
int sim_remedies_new(struct sim *s);
void sim_remedies_free(struct sim *s);
void sim_remedies_follow(struct sim *s);
void sim_remedies_news(struct sim *s, size_t check, enum check_result r, const struct check_change *change);
int64_t sim_remedies_due(const struct sim *s);
void sim_remedies_turn(struct sim *s);
void sim_remedy_feed(struct sim *s, const struct remedy_input *in);

#endif
