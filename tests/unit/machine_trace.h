/* For the tests of the machine: a machine with a clock, whose actions come as one line of text.
 *
 *   ->RUNNING(started)   startup_completed   SPAWN 0   KILL 0 15c   restart_initiated[0 exit 10s #1 w1]   EXIT 3
 * workload
 */
#ifndef TESTS_MACHINE_TRACE_H
#define TESTS_MACHINE_TRACE_H

#include "fixture.h"

#include <signal.h>

#include "base/clock.h"
#include "core/machine.h"

#define S(n) ((int64_t)((n)*1e9))

static UNUSED const char *machine_input_name(enum machine_input_kind k) {
  static const char *const names[] = {
#define INPUT(id, name, doc) name,
#include "core/machine.def"
  };
  return k < INPUTS ? names[k] : "?";
}

static UNUSED const char *machine_action_name(enum machine_action_kind k) {
  static const char *const names[] = {
#define ACTION(id, name, doc) name,
#include "core/machine.def"
  };
  return k < ACTIONS ? names[k] : "?";
}

struct trace {
  struct machine *m;
  int64_t now;
  struct buf text;
};

static UNUSED void trace_action(struct buf *b, const struct machine_action *a) {
  if (b->len) buf_char(b, ' ');
  switch (a->kind) {
    case ACT_STATE:
      buf_fmt(b, "->%s(%s)", machine_state_name(a->to), machine_cause_name(a->cause));
      return;
    case ACT_EVENT:
      break;
    case ACT_EXIT:
      buf_fmt(b, "EXIT %d %s", a->exit_code, a->from_workload ? "workload" : "engine");
      return;
    case ACT_KILL:
      buf_fmt(b, "KILL %u %d%s%s", a->slot, a->signal, a->group ? "g" : "", a->cont ? "c" : "");
      return;
    case ACT_SWEEP:
      buf_fmt(b, "SWEEP %d", a->signal);
      return;
    case ACT_CHECK_DEPENDENCIES:
    case ACT_REMEMBER_STOP:
      buf_fmt(b, "%s %d", machine_action_name(a->kind), a->on);
      return;
    default:
      buf_str(b, machine_action_name(a->kind));
      if (a->slot != UINT32_MAX) buf_fmt(b, " %u", a->slot);
      return;
  }
  static const char *const names[EVENT_KINDS] = {
#define E(id, name, component, doc, keys, look) [EVENT_##id] = name,
#include "core/event.def"
#undef E
  };
  buf_str(b, names[a->event]);
  if (a->event == EVENT_SHUTDOWN_COMPLETED) {
    buf_fmt(b, "[%s %d]", a->graceful ? "graceful" : "forced", a->exit_code);
    return;
  }
  if (a->reason == END_NONE && a->slot == UINT32_MAX) return;
  buf_char(b, '[');
  if (a->slot != UINT32_MAX) buf_fmt(b, "%u", a->slot);
  if (a->reason != END_NONE) buf_fmt(b, " %s", end_reason_name(a->reason));
  if (a->event == EVENT_PROCESS_EXITED) buf_fmt(b, " %d", a->exit_code);
  if (a->event == EVENT_RESTART_INITIATED)
    buf_fmt(b, " %gs #%u w%u", (double)a->delay_ns / 1e9, a->attempt, a->in_window);
  if (a->event == EVENT_FAILURE_DETECTED && a->final) buf_str(b, " final");
  buf_char(b, ']');
}

static UNUSED const char *trace_feed(struct trace *t, struct machine_input in) {
  struct machine_out out;
  machine_step(t->m, &in, t->now, &out);
  buf_clear(&t->text);
  for (unsigned i = 0; i < out.n; i++) trace_action(&t->text, &out.action[i]);
  return buf_cstr(&t->text);
}

/* Lets time pass, tick by tick, until `ns` from now; the actions of all ticks. */
static UNUSED const char *trace_wait(struct trace *t, int64_t ns) {
  int64_t until = t->now + ns;
  auto_buf struct buf all = {0};
  for (int64_t due; (due = machine_due_ns(t->m)) <= until;) {
    if (due > t->now) t->now = due;
    const char *text = trace_feed(t, (struct machine_input){.kind = IN_TICK});
    if (*text) buf_fmt(&all, "%s%s", all.len ? " " : "", text);
    assert_true(machine_due_ns(t->m) > t->now);
  }
  t->now = until;
  buf_clear(&t->text);
  buf_str(&t->text, buf_cstr(&all));
  return buf_cstr(&t->text);
}

#define FEED(t, ...) trace_feed(t, (struct machine_input){.kind = __VA_ARGS__})
#define EXPECT(t, text, ...) assert_string_equal(FEED(t, __VA_ARGS__), text)
#define EXPECT_WAIT(t, ns, text) assert_string_equal(trace_wait(t, ns), text)

#define EXIT_STATUS(code) ((code) << 8)
#define STOP_INPUT IN_STOP, .level = STOP_BEGIN, .cause = CAUSE_SIGNAL, .signal = SIGTERM

static UNUSED enum machine_state trace_state(const struct trace *t) {
  struct machine_view v;
  machine_view(t->m, &v);
  return v.state;
}

static UNUSED void trace_begin(struct trace *t, const struct machine_config *c) {
  *t = (struct trace){.m = machine_new(c, 1), .now = S(1000)};
  assert_non_null(t->m);
}

static UNUSED void trace_end(struct trace *t) {
  machine_free(t->m);
  buf_free(&t->text);
}

/* Up to the point where processes are spawned. */
static UNUSED void trace_to_spawn(struct trace *t) {
  FEED(t, IN_BEGIN);
  FEED(t, IN_VALIDATED, .ok = true);
  FEED(t, IN_DEPENDENCIES, .ok = true);
}

/* The defaults of tend, for one process `main`. */
#define RESTART_DEFAULTS \
  { \
    .policy = RESTART_ON_FAILURE, .max_attempts = 5, .base_ns = S(10), .max_ns = S(300), .exponential = true, \
    .window_ns = S(3600), .reset_ns = S(300) \
  }

#endif
