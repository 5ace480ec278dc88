/* A random walk of a million steps: random configs, a random world (machine_world.h), at the end a stop, which must
 * lead to the exit within its budget.
 */
#include "machine_world.h"

enum { STEPS = 1000000, STEPS_EACH = 400 };

static void make_process(struct world *w, unsigned i, unsigned n, unsigned main) {
  struct machine_process *p = &w->process[i];
  static const int64_t bases[] = {0, S(1), S(10)}, windows[] = {S(30), S(600), S(3600)}, resets[] = {0, S(5), S(300)};
  static const char *const names[WORLD_PROCESSES] = {"a", "b", "c", "d"};
  *p = (struct machine_process){
      .name = names[i],
      .main = i == main,
      .essential = chance(w, 20),
      .instances = 1 + (unsigned)any(w, 2),
      .running = i != main && chance(w, 20),
      .after = w->after[i],
      .how = &w->how[i],
  };
  w->how[i] = (struct machine_how){
      .mode = chance(w, 20)   ? MODE_SINGLE
              : chance(w, 50) ? MODE_DAEMON
                              : MODE_SERVER,
      .interval_ns = (int64_t)any(w, 3) * S(20),
      .restart = {.policy = chance(w, 15) ? RESTART_NO : (enum restart_policy)(1 + any(w, 3)),
                  .max_attempts = chance(w, 40) ? 0 : (unsigned)any(w, 8),
                  .base_ns = bases[any(w, 3)],
                  .max_ns = S(60) * (1 + (int64_t)any(w, 5)),
                  .exponential = chance(w, 80),
                  .jitter_percent = (unsigned)any(w, 3) * 20,
                  .window_ns = windows[any(w, 3)],
                  .reset_ns = resets[any(w, 3)]},
      .stop = w->ladder[i],
      .n_stop = (unsigned)any(w, 3),
      .stop_group = chance(w, 30),
      .stop_timeout_ns = chance(w, 30) ? S(3) : 0,
      .start_timeout_ns = chance(w, 50) ? S(4) : 0,
      .rules = &w->rule[i],
  };
  p->has_startup_check = chance(w, 30);
  w->how[i].n_rules = chance(w, 20);
  w->ladder[i][0] = (struct stop_step){SIGINT, chance(w, 50) ? S(1) : 0};
  w->ladder[i][1] = (struct stop_step){SIGTERM, chance(w, 50) ? S(2) : -1};
  w->rule[i] = (struct restart_rule){.has_exit = true, .exit = {1 << 7}, .action = (enum rule_action)any(w, 4)};
  for (unsigned k = 0; k < n; k++) /* only on later ones: no cycle */
    if (k > i && chance(w, 35)) w->after[i][p->n_after++] = (uint16_t)k;
}

static void make_world(struct world *w, uint64_t seed) {
  static const int64_t timeouts[] = {0, S(1), S(5), S(25), S(60)};
  *w = (struct world){.seed = seed, .now = S(5), .stop_at = TIME_NEVER};
  w->validated_at = w->dependencies_at = w->hooks_at = w->swept_at = w->cleaned_at = w->reported_at = TIME_NEVER;
  w->mute = chance(w, 25);
  unsigned n = 1 + (unsigned)any(w, WORLD_PROCESSES), main = (unsigned)any(w, n);
  for (unsigned i = 0; i < n; i++) make_process(w, i, n, main);
  w->config = (struct machine_config){.simple = chance(w, 10),
                                      .on_failure = chance(w, 25) ? ON_FAILURE_HOLD : ON_FAILURE_EXIT,
                                      .shutdown_timeout_ns = timeouts[any(w, 5)],
                                      .drain_ns = chance(w, 20) ? S(2) : 0,
                                      .hooks = chance(w, 30),
                                      .cleanups = chance(w, 60),
                                      .processes = n,
                                      .process = w->process};
  w->m = machine_new(&w->config, seed);
  assert_non_null(w->m);
  w->slots = machine_slots(w->m);
  for (unsigned i = 0; i < w->slots; i++) w->child[i].at = w->child[i].check_at = TIME_NEVER;
}

/* --- what can happen next --- */

static int64_t earliest(const struct world *w) {
  int64_t times[] = {machine_due_ns(w->m), w->validated_at, w->dependencies_at, w->hooks_at,
                     w->swept_at,          w->cleaned_at,   w->reported_at};
  int64_t at = TIME_NEVER;
  for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
    if (times[i] < at) at = times[i];
  for (unsigned i = 0; i < w->slots; i++) {
    if (w->child[i].state != CHILD_NONE && w->child[i].at < at) at = w->child[i].at;
    if (w->child[i].check_at < at) at = w->child[i].check_at;
  }
  return at;
}

static void start_or_fail(struct world *w, uint32_t slot) {
  struct child *c = &w->child[slot];
  struct machine_input in = {.kind = IN_STARTED, .slot = slot};
  if (chance(w, 4)) {
    static const struct {
      enum spawn_stage stage;
      int error;
    } errors[] = {{SPAWN_FORK, 11}, {SPAWN_MEMORY, 12}, {SPAWN_PIPE, 24}, {SPAWN_EXEC, 2}};
    size_t k = any(w, sizeof errors / sizeof errors[0]);
    in.kind = IN_SPAWN_FAILED;
    in.stage = errors[k].stage;
    in.error = errors[k].error;
    c->state = CHILD_NONE;
    c->at = TIME_NEVER;
  } else {
    c->state = CHILD_RUNNING;
    c->ever = true;
    c->at = chance(w, 20) ? TIME_NEVER : moment(w, chance(w, 50) ? S(2) : S(400));
    c->status = chance(w, 40) ? 0 : chance(w, 60) ? EXIT_STATUS((int)any(w, 10)) : 1 + (int)any(w, 31);
    c->signalled = c->killed = c->by_init = false;
    c->sent = 0;
    c->deaf = chance(w, 15);
    c->stuck = chance(w, 2);
    c->started_at = w->now;
  }
  feed(w, &in);
}

static void end_child(struct world *w, uint32_t slot) {
  struct child *c = &w->child[slot];
  const struct machine_process *p = process_of(w, slot);
  c->state = CHILD_NONE;
  c->at = c->check_at = TIME_NEVER;
  if (!c->status || c->signalled || (p->how->restart.reset_ns && w->now - c->started_at >= p->how->restart.reset_ns))
    c->may_reset = true;
  feed(w, &(struct machine_input){.kind = IN_EXITED,
                                  .slot = slot,
                                  .status = c->status,
                                  .oom = c->status == SIGKILL && chance(w, 50),
                                  .dependency_bad = chance(w, 20)});
}

static bool take(struct world *w, int64_t *at, struct machine_input in) {
  if (*at > w->now) return false;
  *at = TIME_NEVER;
  feed(w, &in);
  return true;
}

/* One thing that is due now. */
static void happen(struct world *w) {
  for (uint32_t i = 0; i < w->slots; i++) {
    struct child *c = &w->child[i];
    if (c->state == CHILD_PENDING && c->at <= w->now) {
      start_or_fail(w, i);
      return;
    }
    if (c->state == CHILD_RUNNING && c->at <= w->now) {
      end_child(w, i);
      return;
    }
    if (take(w, &c->check_at, (struct machine_input){.kind = IN_STARTUP_CHECK, .slot = i, .ok = chance(w, 80)})) return;
  }
  bool ok = chance(w, 95);
  struct machine_input validated = {.kind = IN_VALIDATED, .ok = ok, .can_pass = chance(w, 60), .exit_code = 75};
  if (take(w, &w->validated_at, validated)) return;
  if (take(w, &w->dependencies_at, (struct machine_input){.kind = IN_DEPENDENCIES, .ok = ok})) return;
  if (take(w, &w->hooks_at, (struct machine_input){.kind = IN_HOOKS_DONE})) return;
  unsigned left = chance(w, 60) ? 0 : 1 + (unsigned)any(w, 3);
  if (take(w, &w->swept_at, (struct machine_input){.kind = IN_SWEPT, .left = left})) return;
  if (take(w, &w->cleaned_at, (struct machine_input){.kind = IN_CLEANED})) return;
  if (take(w, &w->reported_at, (struct machine_input){.kind = IN_REPORTED})) return;
  feed(w, &(struct machine_input){.kind = IN_TICK});
}

/* What an operator does or a check says wakes waits and starts counts anew. */
static void wake_all(struct world *w) {
  w->pass_not_before = 0;
  for (uint32_t i = 0; i < w->slots; i++) {
    w->child[i].not_before = 0;
    w->child[i].may_reset = true;
  }
}

/* Something from outside, often senseless; never what would break the promise about STARTED and EXITED. */
static void interfere(struct world *w) {
  struct machine_input in = {.kind = (enum machine_input_kind)any(w, INPUTS),
                             .slot = (uint32_t)any(w, w->slots + 1),
                             .process = (uint32_t)any(w, w->config.processes + 2),
                             .ok = chance(w, 50),
                             .can_pass = chance(w, 80),
                             .count = (uint32_t)any(w, 4),
                             .exit_code = 78,
                             .status = EXIT_STATUS(5),
                             .stage = SPAWN_FORK,
                             .error = 11};
  if (in.process == w->config.processes + 1) in.process = MACHINE_ALL;
  enum child_state c = in.slot < w->slots ? w->child[in.slot].state : CHILD_NONE;
  switch (in.kind) {
    case IN_STARTED:
    case IN_SPAWN_FAILED:
      if (c == CHILD_PENDING) return;
      break;
    case IN_EXITED:
      if (c == CHILD_RUNNING) return;
      break;
    case IN_OPERATOR_STOP:
    case IN_OPERATOR_START:
    case IN_OPERATOR_RESTART:
    case IN_DEPENDENCY_BACK:
      if (chance(w, 70)) return;
      wake_all(w);
      break;
    case IN_VALIDATED:
      if (chance(w, 90)) return;
      w->validated_at = TIME_NEVER;
      break;
    case IN_DEPENDENCIES:
      w->dependencies_at = TIME_NEVER;
      break;
    case IN_CLEANED:
      w->cleaned_at = TIME_NEVER;
      break;
    case IN_FAIL:
      if (chance(w, 95)) return;
      break;
    case IN_SCALE:
      wake_all(w);
      break;
    case IN_STOP:
      return;
    default:
      break;
  }
  feed(w, &in);
}

/* The engine dies, and the next one goes on with what was kept: all answers that were on their way are lost. */
static void die(struct world *w) {
  auto_buf struct buf kept = {0};
  machine_save(w->m, &kept);
  assert_true(kept.len <= machine_save_most(w->m));
  machine_free(w->m);
  w->m = machine_new(&w->config, 1);
  assert_true(machine_load(w->m, kept.data, kept.len));
  w->validated_at = w->dependencies_at = w->hooks_at = w->swept_at = w->cleaned_at = w->reported_at = TIME_NEVER;
  for (uint32_t i = 0; i < w->slots; i++) w->child[i].check_at = TIME_NEVER;
  struct machine_out out;
  machine_resume(w->m, w->now, &out);
  for (unsigned i = 0; i < out.n; i++)
    if (out.action[i].kind != ACT_SPAWN || w->child[out.action[i].slot].state == CHILD_NONE)
      carry_out(w, &out.action[i]);
  if (!w->ended) feed(w, &(struct machine_input){.kind = IN_TICK});
}

static void one_step(struct world *w) {
  if (chance(w, 3)) die(w);
  if (w->ended) return;
  int64_t at = earliest(w);
  if (chance(w, 20)) {
    int64_t most = at == TIME_NEVER ? S(100) : at - w->now;
    if (most > 1) w->now += (int64_t)any(w, (uint64_t)most);
    interfere(w);
    return;
  }
  if (at == TIME_NEVER) { /* nothing ever happens again: only somebody from outside can help */
    w->now += S(1);
    interfere(w);
    w->steps++;
    return;
  }
  if (at > w->now) w->now = at;
  happen(w);
}

/* Main runs, and no stop of anything is under way. */
static bool runs_in_peace(const struct world *w) {
  for (uint32_t i = 0; i < w->slots; i++) {
    const struct child *c = &w->child[i];
    if (c->state == CHILD_RUNNING ? c->signalled : process_of(w, i)->main) return false;
  }
  return w->state == STATE_RUNNING;
}

/* What init does on its own: the stop signal to the lowest level that is there. */
static void begin_as_init(struct world *w) {
  unsigned lowest = UINT32_MAX;
  for (uint32_t i = 0; i < w->slots; i++)
    if (w->child[i].state != CHILD_NONE && machine_slot_level(w->m, i) < lowest) lowest = machine_slot_level(w->m, i);
  for (uint32_t i = 0; i < w->slots; i++) {
    struct child *c = &w->child[i];
    if (c->state != CHILD_RUNNING || machine_slot_level(w->m, i) != lowest) continue;
    c->signalled = c->by_init = true;
    signal_child(w, c, machine_slot_stop_signal(w->m, i));
  }
}

static void send_stop(struct world *w, enum stop_level level) {
  if (level <= w->level) return;
  if (w->stop_at == TIME_NEVER) {
    w->orderly = runs_in_peace(w);
    struct machine_view v;
    machine_view(w->m, &v);
    if (!v.stopping) w->stop_at = w->now;
  }
  bool begun = !w->level && !w->config.hooks && !w->config.drain_ns && chance(w, 40);
  if (begun) begin_as_init(w);
  w->level = level;
  feed(w, &(struct machine_input){
              .kind = IN_STOP, .level = level, .cause = CAUSE_SIGNAL, .signal = SIGTERM, .begun = begun});
}

static void one_walk(struct world *w) {
  feed(w, &(struct machine_input){.kind = IN_BEGIN, .stopped_mark = chance(w, 10)});
  uint64_t steps = any(w, STEPS_EACH);
  while (w->steps < steps && !w->ended) one_step(w);
  if (w->ended) return;
  int64_t asked = w->now;
  send_stop(w, chance(w, 85) ? STOP_BEGIN : STOP_NOW);
  while (!w->ended) {
    one_step(w);
    if (!w->ended && chance(w, 2)) send_stop(w, (enum stop_level)(w->level + (w->level < STOP_NOW)));
    /* must: the whole stop is within its budget, whatever does not answer or does not die */
    MUST(w, w->now <= asked + w->config.shutdown_timeout_ns + S(0.5));
  }
}

static void a_million_steps(void **state) {
  (void)state;
  uint64_t steps = 0, walks = 0, failed = 0, orderly = 0;
  static struct world w;
  const char *first = getenv("SEED"); /* for other walks than those of every day */
  for (uint64_t seed = first ? strtoull(first, NULL, 10) : 1; steps < STEPS; seed++) {
    make_world(&w, seed);
    one_walk(&w);
    steps += w.steps;
    walks++;
    failed += w.failed;
    orderly += w.orderly;
    machine_free(w.m);
  }
  print_message("%llu steps in %llu walks, %llu failed, %llu orderly\n", (unsigned long long)steps,
                (unsigned long long)walks, (unsigned long long)failed, (unsigned long long)orderly);
  assert_true(failed > walks / 10 && orderly > walks / 20); /* the walks see something of each kind */
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_million_steps)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
