/* An engine that takes over: the machine goes on where it was, the processes that run are ours again, and what has
 * happened meanwhile is judged now. Nothing is validated anew, and nobody but the log can tell. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/keep.h"
#include "base/str.h"
#include "core/quarantine.h"
#include "supervisor/keep.h"
#include "supervisor/reload.h"

/* --- what was kept ----------------------------------------------------------------------------------------------- */

static void take_end(struct supervisor *s, struct slot *slot) {
  char name[KEPT_NAME];
  size_t n;
  kept_name(s, slot, "end", name);
  const void *kept = keep_get(s->o.keep, name, &n);
  if (!kept || (n != KEPT_END && n != sizeof *slot->end)) return;
  struct slot_end *end = supervisor_end_of(slot);
  memcpy(end, kept, n);
  end->last.out = NULL;
  end->exit.text = end->exit_text;
}

static void take_slot(struct supervisor *s, struct slot *slot) {
  char name[KEPT_NAME];
  kept_name(s, slot, "run", name);
  const struct kept_run *k = keep_get_sized(s->o.keep, name, sizeof *k);
  if (!k) return;
  slot->child = k->child;
  slot->pid = k->pid;
  slot->last_pid = k->last_pid;
  slot->started_ns = k->started_ns;
  slot->started_real_ns = k->started_real_ns;
  take_end(s, slot);
}

static void take_self(struct supervisor *s) {
  const struct kept_self *k = keep_get_sized(s->o.keep, "self", sizeof *k);
  if (!k) return;
#define F(field) memcpy(&s->field, &k->field, sizeof s->field);
  KEPT_FIELDS(F)
#undef F
  const char *dir = keep_get_sized(s->o.keep, "log_dir", sizeof s->log_dir);
  if (dir)
    str_copy(s->log_dir, sizeof s->log_dir, dir);
  else if (k->log_dir_known)
    str_copy(s->log_dir, sizeof s->log_dir, settings_str(s->o.settings, SET_LOG_DIR));
  const struct ends *ends = keep_get_sized(s->o.keep, "ends", sizeof *ends);
  if (!ends) return;
  s->ends = *ends;
  for (size_t i = 0; i < s->ends.n; i++) s->ends.list[i].output = NULL; /* init has it still */
}

/* --- the children ------------------------------------------------------------------------------------------------ */

static bool is_of(const struct supervisor *s, const struct revival_child *c, const struct slot *slot) {
  return STR_EQ(c->name, supervisor_process(s, slot->index)->name) &&
         c->instance == machine_slot_instance(s->machine, slot->index);
}

/* One that was started after all that was kept, for this slot. */
static struct revival_child *newer(struct supervisor *s, const struct slot *slot) {
  const struct revival *r = s->o.revival;
  struct revival_child *found = NULL;
  for (unsigned i = 0; i < r->n_children; i++) {
    struct revival_child *c = &r->children[i];
    if (!c->taken && is_of(s, c, slot) && (!found || c->number > found->number)) found = c;
  }
  return found;
}

static const struct revival_child *known(struct supervisor *s, uint32_t number) {
  const struct revival *r = s->o.revival;
  for (unsigned i = 0; number && i < r->n_children; i++)
    if (r->children[i].number == number) return &r->children[i];
  return NULL;
}

/* init's words of it, as if they came now. `start`: also that it was executed. */
static void hear(struct slot *slot, const struct revival_child *c, bool start) {
  struct supervisor *s = slot->sup;
  if (start && c->failed) {
    supervisor_ops_failed(slot, c->number, (enum spawn_stage)c->stage, c->error);
    return;
  }
  if (start && c->started) supervisor_ops_started(slot, c->number, c->pid);
  if (c->exited) {
    const struct child_exit x = {
        .status = c->exit.status, .usage = c->exit.usage, .oom = c->exit.oom, .group_left = c->exit.group_left};
    supervisor_ops_exited(slot, c->number, &x);
    return;
  }
  if (children_adopt(s->o.children, c->number, &supervisor_process_ops, slot))
    sink_say(s->o.sink, EVENT_NOTICE, LEVEL_CRITICAL, "out of memory");
}

bool supervisor_take_child(struct supervisor *s, struct slot *slot) {
  struct revival_child *c = newer(s, slot);
  if (!c) return false;
  c->taken = true;
  slot->child = c->number;
  slot->news = true;
  hear(slot, c, true);
  return true;
}

/* A process that was executed, as the machine knows: it lives, or its end is news. */
static void go_on(struct supervisor *s, struct slot *slot) {
  const struct revival_child *c = known(s, slot->child);
  if (c) {
    hear(slot, c, false);
    return;
  }
  const struct child_exit x = {.status = SIGKILL}; /* not even init knows how it ended */
  supervisor_ops_exited(slot, slot->child, &x);
}

/* What is known, and what was before it. */
static void forget_known(struct supervisor *s, const struct slot *slot) {
  const struct revival *r = s->o.revival;
  for (unsigned i = 0; i < r->n_children; i++)
    if (r->children[i].number <= slot->child && is_of(s, &r->children[i], slot)) r->children[i].taken = true;
}

static void take_children(struct supervisor *s) {
  int64_t now = clock_mono_ns();
  for (unsigned i = 0; i < s->n_slots; i++) forget_known(s, &s->slots[i]);
  for (unsigned i = 0; i < s->n_slots; i++) {
    struct instance_view v;
    struct slot *slot = &s->slots[i];
    machine_instance(s->machine, i, now, &v);
    bool runs = v.state == INSTANCE_STARTING || v.state == INSTANCE_UP || v.state == INSTANCE_STOPPING;
    if (runs) {
      go_on(s, slot);
    } else if (v.state == INSTANCE_SPAWNING) {
      const struct revival_child *c = known(s, slot->child);
      if (c) hear(slot, c, true);
      if (!c && !supervisor_take_child(s, slot)) supervisor_spawn(s, i);
    }
  }
}

/* --- going on ---------------------------------------------------------------------------------------------------- */

/* Whose call nothing could interrupt. */
static void tell_stuck(struct supervisor *s) {
  auto_buf struct buf details = {0}, message = {0};
  const struct keep_culprit *c = &s->o.stuck->culprit;
  struct json j = JSON_INIT(&details);
  json_object(&j, NULL);
  json_str(&j, "task", c->task);
  json_str(&j, "where", c->where);
  json_int(&j, "cpu_ms", c->ran_ns / NS_PER_MS);
  json_object_end(&j);
  quarantine_text(s->o.stuck, &message);
  sink_emit(s->o.sink, EVENT_QUARANTINED,
            &(struct sink_event){.level = LEVEL_ERROR, .message = buf_cstr(&message), .details = buf_cstr(&details)});
}

static void tell(struct supervisor *s) {
  const struct revival *r = s->o.revival;
  auto_buf struct buf details = {0};
  struct json j = JSON_INIT(&details);
  char name[16];
  json_object(&j, NULL);
  json_str(&j, "cause", s->o.stuck ? "script" : r->hung ? "hung" : WIFSIGNALED(r->status) ? "signal" : "exit");
  if (WIFSIGNALED(r->status))
    json_str(&j, "signal", str_signal_name(WTERMSIG(r->status), name, sizeof name));
  else
    json_int(&j, "exit_code", WEXITSTATUS(r->status));
  if (s->o.stuck) json_str(&j, "quarantined", s->o.stuck->culprit.task);
  json_int(&j, "deaths", r->deaths);
  json_bool(&j, "safe_mode", r->safe);
  json_object_end(&j);
  sink_emit(s->o.sink, EVENT_ENGINE_RESTARTED,
            &(struct sink_event){.level = LEVEL_WARNING,
                                 .message = r->safe ? "a new engine goes on, in safe mode: no scripts, no checks"
                                                    : "a new engine goes on where the one before was",
                                 .details = buf_cstr(&details)});
  if (s->o.stuck) tell_stuck(s);
  struct keep_culprit *c = &keep_words(s->o.keep)->culprit;
  bool loading = *c->task && c->loading;
  reload_revive(s->reload, loading ? c : NULL);
  if (loading) c->task[0] = 0;
}

bool supervisor_revive(struct supervisor *s) {
  size_t n;
  const void *machine = keep_get(s->o.keep, "machine", &n);
  if (!machine || !machine_load(s->machine, machine, n)) return false;
  s->reviving = true;
  take_self(s);
  for (unsigned i = 0; i < s->n_slots; i++) {
    take_slot(s, &s->slots[i]);
    s->slots[i].news = true;
  }
  dependencies_keep(s->dependencies, s->o.keep);
  health_keep(s->checks, s->o.keep);
  remedies_keep(s->remedies, s->o.keep);
  return true;
}

void supervisor_go_on(struct supervisor *s) {
  tell(s);
  struct machine_out out;
  machine_resume(s->machine, clock_mono_ns(), &out);
  /* what is fed meanwhile waits: the actions are the machine's until its next step */
  s->busy = true;
  for (unsigned i = 0; i < out.n; i++)
    if (out.action[i].kind != ACT_SPAWN) supervisor_carry_out(s, &out.action[i]);
  const struct revival *r = s->o.revival;
  if (r->stop_level) /* what ended since ended because of it */
    supervisor_feed_later(s, &(struct machine_input){.kind = IN_STOP,
                                                     .level = (enum stop_level)r->stop_level,
                                                     .cause = CAUSE_SIGNAL,
                                                     .signal = r->stop_signal,
                                                     .begun = r->stop_begun});
  take_children(s);
  s->busy = false;
  s->plan_stale = true;
  s->reviving = false;
  timer_after(s->settle_timer, SETTLE_DELAY_NS);
  supervisor_feed(s, &(struct machine_input){.kind = IN_TICK});
  keep_commit(s->o.keep);
}
