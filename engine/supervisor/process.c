/* The processes: spawn, signals, ends, start-up checks, and what init must know of them. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/exits.h"
#include "base/str.h"
#include "supervisor/impl.h"

const struct plan_process *supervisor_process(const struct supervisor *s, uint32_t slot) {
  return &s->o.plan->processes[machine_slot_process(s->machine, slot)];
}

/* tend's environment and, on top, what the flow gives and which instance this is; NULL: unchanged or no memory
 * (*failed). The array alone is the caller's; `instance` must live as long. */
static char **environment(const struct plan_process *p, char *instance, bool *failed) {
  size_t own = 0;
  while (p->env && p->env[own]) own++;
  if (!own && plan_slots(p) == 1) return NULL;
  size_t n = 0;
  while (environ[n]) n++;
  char **env = calloc(n + own + 2, sizeof *env);
  if (!env) {
    *failed = true;
    return NULL;
  }
  size_t k = 0;
  for (size_t i = 0; i < n; i++) {
    size_t len = strcspn(environ[i], "=") + 1;
    bool replaced = false;
    for (size_t j = 0; j < own && !replaced; j++) replaced = strncmp(environ[i], p->env[j], len) == 0;
    if (!replaced) env[k++] = environ[i];
  }
  for (size_t j = 0; j < own; j++) env[k++] = p->env[j];
  if (plan_slots(p) > 1) env[k++] = instance;
  return env;
}

struct slot_end *supervisor_end_of(struct slot *slot) {
  if (!slot->end) slot->end = calloc(1, sizeof *slot->end);
  if (!slot->end) supervisor_no_memory(slot->sup);
  return slot->end;
}

void supervisor_ops_started(void *arg, uint32_t child, pid_t pid) {
  struct slot *slot = arg;
  (void)child;
  supervisor_feed_others(slot->sup, IN_STARTED);
  slot->sup->begun = true;
  slot->pid = pid;
  slot->news = true;
  slot->started_ns = clock_mono_ns();
  slot->started_real_ns = clock_real_ns();
  supervisor_feed_later(slot->sup, &(struct machine_input){.kind = IN_STARTED, .slot = slot->index});
}

void supervisor_ops_failed(void *arg, uint32_t child, enum spawn_stage stage, int error) {
  struct slot *slot = arg;
  (void)child;
  slot->child = 0;
  slot->news = true;
  slot->sup->begun = true;
  if (slot->end) slot->end->spawn_text[0] = 0;
  slot->sup->plan_stale = true;
  supervisor_feed(
      slot->sup, &(struct machine_input){.kind = IN_SPAWN_FAILED, .slot = slot->index, .stage = stage, .error = error});
}

void supervisor_ops_exited(void *arg, uint32_t child, const struct child_exit *x) {
  struct slot *slot = arg;
  struct supervisor *s = slot->sup;
  (void)child;
  supervisor_feed_others(s, IN_EXITED);
  struct slot_end *end = supervisor_end_of(slot);
  end->last = *x;
  end->last.out = NULL;
  slot->last_pid = slot->pid;
  slot->news = true;
  slot->pid = 0;
  int64_t now = clock_mono_ns();
  bool killed = WIFSIGNALED(x->status);
  end->exit = (struct report_exit){
      .known = true,
      .code = killed ? EXIT_SIGNALED + WTERMSIG(x->status) : WEXITSTATUS(x->status),
      .signal = killed ? WTERMSIG(x->status) : 0,
      .text = end->exit_text,
      .at_real_ns = clock_real_ns(),
      .duration_ns = now - slot->started_ns,
  };
  char name[16];
  if (killed)
    snprintf(end->exit_text, sizeof end->exit_text, "signal %s%s", str_signal_name(end->exit.signal, name, sizeof name),
             x->oom ? " (out of memory)" : "");
  else
    snprintf(end->exit_text, sizeof end->exit_text, "exit code %d", end->exit.code);
  s->plan_stale = true;
  const struct machine_input input = {.kind = IN_EXITED,
                                      .slot = slot->index,
                                      .status = x->status,
                                      .oom = x->oom,
                                      .alone = !x->group_left,
                                      .dependency_bad = dependencies_bad(s->dependencies)};
  if (supervisor_hook_exit(s, &input)) return; /* whose commands may leave somebody */
  s->nobody_left = x->nobody_left;
  supervisor_feed_later(s, &input);
}

const struct child_ops supervisor_process_ops = {
    .started = supervisor_ops_started, .failed = supervisor_ops_failed, .exited = supervisor_ops_exited};

/* Why init could not even be asked: what is wrong with the process stays so, what is missing may come back. */
static enum spawn_stage not_asked_stage(int error) {
  if (error == EINVAL) return SPAWN_USER;
  if (error == E2BIG) return SPAWN_EXEC;
  return error == ENOMEM ? SPAWN_MEMORY : SPAWN_PIPE;
}

void supervisor_spawn(struct supervisor *s, uint32_t index) {
  struct slot *slot = &s->slots[index];
  const struct plan_process *p = supervisor_process(s, index);
  slot->news = true;
  s->nobody_left = false;
  if (s->o.revival && supervisor_take_child(s, slot)) return;
  unsigned instance = machine_slot_instance(s->machine, index);
  bool main = machine_slot_process(s->machine, index) == s->o.plan->main;
  char text[32];
  snprintf(text, sizeof text, "TEND_INSTANCE=%u", instance);
  bool failed = false;
  char **env = environment(p, text, &failed);
  struct err err = ERR_INIT;
  if (!failed) {
    slot->child = children_spawn(s->o.children,
                                 &(struct child_spec){
                                     .kind = CHILD_PROCESS,
                                     .name = p->name,
                                     .instance = instance,
                                     .argv = p->argv,
                                     .envp = env,
                                     .cwd = p->cwd,
                                     .user = p->user,
                                     .no_new_privs = p->no_new_privs,
                                     .own_stdin = main && instance == 0,
                                     .tty = main && instance == 0 && s->o.tty,
                                 },
                                 &supervisor_process_ops, slot, &err);
  }
  free(env);
  s->plan_stale = true;
  s->spawned |= slot->child != 0;
  if (slot->child) return;
  int error = failed ? ENOMEM : -err.code;
  str_copy(supervisor_end_of(slot)->spawn_text, sizeof slot->end->spawn_text, failed ? "out of memory" : err.msg);
  supervisor_feed(s, &(struct machine_input){
                         .kind = IN_SPAWN_FAILED, .slot = index, .stage = not_asked_stage(error), .error = error});
}

void supervisor_kill(struct supervisor *s, const struct machine_action *a) {
  uint32_t child = s->slots[a->slot].child;
  if (!child) return;
  enum kill_scope scope = a->group ? KILL_GROUP : KILL_MAIN;
  children_kill(s->o.children, child, a->signal, scope);
  if (a->cont) children_kill(s->o.children, child, SIGCONT, scope);
}

/* --- init -------------------------------------------------------------------------------------------------------- */

void supervisor_tell_init(struct supervisor *s) {
  static struct proto_plan plan; /* large, and one loop */
  const struct machine_config *c = &s->lifecycle->config;
  plan.main_child = 0;
  plan.immediate = c->hooks == 0 && c->drain_ns == 0;
  plan.stopped_is_0 = c->process[s->o.plan->main].how->mode != MODE_SINGLE;
  plan.grace_ns = machine_grace_ns(s->machine);
  plan.n = 0;
  int64_t now = clock_mono_ns();
  for (uint32_t i = 0; i < s->n_slots; i++) {
    struct instance_view v;
    machine_instance(s->machine, i, now, &v);
    bool live = v.state == INSTANCE_SPAWNING || v.state == INSTANCE_STARTING || v.state == INSTANCE_UP ||
                v.state == INSTANCE_STOPPING;
    if (!live || !s->slots[i].child) continue;
    unsigned process = machine_slot_process(s->machine, i);
    if (process == s->o.plan->main && machine_slot_instance(s->machine, i) == 0) plan.main_child = s->slots[i].child;
    plan.children[plan.n++] = (struct proto_plan_child){
        .child = s->slots[i].child,
        .level = (uint16_t)machine_slot_level(s->machine, i),
        .signal = (uint8_t)machine_slot_stop_signal(s->machine, i),
        .group = c->process[process].how->stop_group,
    };
  }
  s->plan_stale = false;
  struct machine_view m;
  machine_view(s->machine, &m);
  if (plan.n == 0 && m.stopping) return; /* nobody is left, and nobody comes */
  children_plan(s->o.children, &plan);
}

int supervisor_look(void *arg, const char *name, struct probe_process *out) {
  const struct supervisor *s = arg;
  int64_t now = clock_mono_ns();
  struct probe_process found = {0};
  bool known = false;
  for (unsigned i = 0; i < s->n_slots; i++) {
    struct instance_view v;
    if (!STR_EQ(supervisor_process(s, i)->name, name)) continue;
    known = true;
    machine_instance(s->machine, i, now, &v);
    bool up = v.state == INSTANCE_UP;
    if (v.spare && !up) continue;
    found.instances += !v.spare;
    if (!up || !found.state) found.state = instance_state_name(v.state);
    if (!up) continue;
    if (!found.running++ || v.since_ns > found.since_ns) {
      found.since_ns = v.since_ns;
      found.pid = s->slots[i].pid;
    }
  }
  if (!known) return -ENOENT;
  if (!found.state) found.state = instance_state_name(INSTANCE_DOWN);
  *out = found;
  return 0;
}
