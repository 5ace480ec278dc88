/* What a next engine must know if this one dies: put where it can be found, at the end of each step (large plans: of
 * each moment). Whatever was told by init and is not part of it yet, init tells that one again. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/keep.h"
#include "base/scratch.h"
#include "base/str.h"
#include "loop/settings_source.h"
#include "supervisor/keep.h"
#include "supervisor/reload.h"

/* bytes of a machine that are put at each step; what it may grow to, times what it is */
enum { SMALL = 32 * 1024, GROWS = 4 };
#define MOMENT_NS (20 * NS_PER_MS)

void kept_name(const struct supervisor *s, const struct slot *slot, const char *what, char to[KEPT_NAME]) {
  snprintf(to, KEPT_NAME, "%s %s %u", what, supervisor_process(s, slot->index)->name,
           machine_slot_instance(s->machine, slot->index));
}

static void put_end(const struct supervisor *s, const struct slot *slot) {
  if (!slot->end) return;
  char name[KEPT_NAME];
  kept_name(s, slot, "end", name);
  keep_put(s->o.keep, name, slot->end, *slot->end->spawn_text ? sizeof *slot->end : KEPT_END);
}

static void put_slots(struct supervisor *s) {
  char name[KEPT_NAME];
  for (unsigned i = 0; i < s->n_slots; i++) {
    struct slot *slot = &s->slots[i];
    if (!slot->news) continue;
    slot->news = false;
    struct kept_run k = {slot->child, slot->pid, slot->last_pid, slot->started_ns, slot->started_real_ns};
    put_end(s, slot);
    kept_name(s, slot, "run", name);
    keep_put(s->o.keep, name, &k, sizeof k);
  }
}

static void put_self(struct supervisor *s) {
  struct kept_self k = {.log_dir_known = s->log_dir[0] != 0};
#define F(field) memcpy(&k.field, &s->field, sizeof k.field);
  KEPT_FIELDS(F)
#undef F
  keep_put(s->o.keep, "self", &k, sizeof k);
  if (s->ends.last == s->ends_kept) return;
  s->ends_kept = s->ends.last;
  keep_put(s->o.keep, "ends", &s->ends, sizeof s->ends);
}

static void put_all(struct supervisor *s) {
  static struct buf bytes; /* one supervisor an engine, and mostly the same room each time */
  buf_clear(&bytes);
  machine_save(s->machine, &bytes);
  if (bytes.failed) return;
  put_slots(s);
  put_self(s);
  size_t most = machine_save_most(s->machine), room = most < GROWS * bytes.len ? most : GROWS * bytes.len;
  if (!keep_put_room(s->o.keep, "machine", bytes.data, bytes.len, room)) {
    s->kept_bytes = bytes.len;
    s->kept_ns = clock_mono_ns();
    atomic_store(&keep_words(s->o.keep)->heard, children_heard(s->o.children));
  }
  if (bytes.cap > SMALL) buf_free(&bytes);
}

void supervisor_put(struct supervisor *s) {
  if (!s->o.keep || s->reviving) return;
  if (s->kept_bytes > SMALL && clock_mono_ns() - s->kept_ns < MOMENT_NS) {
    if (!s->put_due) timer_after(s->put_timer, MOMENT_NS);
    s->put_due = true;
    return;
  }
  put_all(s);
}

void supervisor_put_late(void *arg) {
  struct supervisor *s = arg;
  s->put_due = false;
  if (!s->ended) put_all(s);
}

/* --- what is given to init --------------------------------------------------------------------------------------- */

void supervisor_keep_sockets(void *arg) {
  struct supervisor *s = arg;
  if (!s->o.keep || s->ended) return;
  s->sockets_kept = true;
  int alive;
  if (loop_alive(s->o.loop, &alive) == 0) children_alive(s->o.children, alive);
  if (s->control) children_keep(s->o.children, "control", control_fd(s->control));
  sink_keep(s->o.sink, s->o.keep);
  dependencies_keep(s->dependencies, s->o.keep);
  health_keep(s->checks, s->o.keep);
  remedies_keep(s->remedies, s->o.keep);
  if (s->log_dir[0]) keep_put(s->o.keep, "log_dir", s->log_dir, sizeof s->log_dir);
}

/* Held as a descriptor: what is in it is not held here as well, and never changes. */
static bool pack_texts(struct generation *g) {
  struct sources files = {0};
  auto_buf struct buf bytes = {0};
  settings_source_collect(g->settings, &files);
  kept_pack(g->file, *g->returned, g->sources, &files, &bytes);
  sources_free(&files);
  auto_close int fd = scratch_open("policy");
  bool whole = fd >= 0 && !bytes.failed && write(fd, bytes.data, bytes.len) == (ssize_t)bytes.len && !scratch_seal(fd);
  if (bytes.data) explicit_bzero(bytes.data, bytes.len);
  if (!whole) return false;
  g->kept_fd = fd;
  fd = -1;
  cJSON_Delete(*g->returned);
  *g->returned = NULL;
  return true;
}

/* The texts of a generation, to init, under that name. */
static bool keep_texts(struct supervisor *s, const char *name, struct generation *g) {
  if (g->kept_fd < 0 && !pack_texts(g)) return false;
  children_keep(s->o.children, name, g->kept_fd);
  return true;
}

/* A new engine loads what is in force, whatever is on disk by then. */
void supervisor_keep_policy(struct supervisor *s) {
  struct generation *g = s->reload ? reload_in_force(s->reload) : NULL;
  if (!s->o.keep || !g || (s->o.revival && s->o.revival->safe)) return;
  if (keep_texts(s, "policy", g)) return;
  sink_say(s->o.sink, EVENT_NOTICE, LEVEL_WARNING,
           "the policy is not kept: an engine that follows this one loads what is on disk");
}

/* While a reload is on probation, a new engine may have to go back to the policy before. */
void supervisor_keep_fallback(struct supervisor *s, struct generation *proven, const struct kept_probation *p) {
  if (!s->o.keep || s->ended) return;
  if (proven && keep_texts(s, "policy_before", proven)) {
    keep_put(s->o.keep, "probation", p, sizeof *p);
  } else {
    keep_put(s->o.keep, "probation", &(struct kept_probation){0}, sizeof *p);
    children_keep(s->o.children, "policy_before", -1);
  }
}
