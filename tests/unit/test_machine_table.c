/* Every cell of states × inputs. For each cell that machine.def gives a handler there is a row here that says from
 * where the input comes and what it does; each cell that it ignores is fed too and must change nothing.
 *
 * The way to a cell is a word, one letter an input: b BEGIN, v VALIDATED, d DEPENDENCIES ok, s STARTED main,
 * S STARTED side, u U STARTUP_CHECK ok, h HOOKS_DONE, x EXITED 3, X EXITED 3 side, f SPAWN_FAILED (fork), c
 * CHECK_FAILED, t STOP, o OPERATOR_STOP, 0 EXITED 0, w SWEPT, C CLEANED, . the next deadline.
 */
#include "machine_trace.h"

/* main and side, servers with a start-up check; side stands alone. A way with H before it: on_failure hold. */
static struct machine_how how[2];
static struct machine_process process[2];
static struct machine_config config;

static void make_config(bool hold) {
  for (int i = 0; i < 2; i++) {
    how[i] = (struct machine_how){.mode = MODE_SERVER, .start_timeout_ns = S(30), .restart = RESTART_DEFAULTS};
    process[i] = (struct machine_process){
        .main = i == 0, .how = &how[i], .instances = i ? 2 : 1, .running = 1, .has_startup_check = true};
  }
  how[0].restart.policy = RESTART_UNLESS_STOPPED;
  how[0].restart.max_attempts = 1;
  config = (struct machine_config){.on_failure = hold ? ON_FAILURE_HOLD : ON_FAILURE_EXIT,
                                   .shutdown_timeout_ns = S(25),
                                   .hooks = 1,
                                   .cleanups = 1,
                                   .processes = 2,
                                   .process = process};
}

static void walk(struct trace *t, const char *way) {
  make_config(*way == 'H');
  trace_begin(t, &config);
  for (const char *p = way; *p; p++) {
    switch (*p) {
      case 'H':
        break;
      case 'b':
        FEED(t, IN_BEGIN);
        break;
      case 'v':
        FEED(t, IN_VALIDATED, .ok = true);
        break;
      case 'd':
        FEED(t, IN_DEPENDENCIES, .ok = true);
        break;
      case 's':
      case 'S':
        FEED(t, IN_STARTED, .slot = *p == 'S');
        break;
      case 'u':
      case 'U':
        FEED(t, IN_STARTUP_CHECK, .slot = *p == 'U', .ok = true);
        break;
      case 'x':
      case 'X':
        FEED(t, IN_EXITED, .slot = *p == 'X', .status = EXIT_STATUS(3), .dependency_bad = true);
        break;
      case '0':
        FEED(t, IN_EXITED);
        break;
      case 'f':
        FEED(t, IN_SPAWN_FAILED, .stage = SPAWN_FORK, .error = 11);
        break;
      case 'c':
        FEED(t, IN_CHECK_FAILED);
        break;
      case 't':
        FEED(t, STOP_INPUT);
        break;
      case 'h':
        FEED(t, IN_HOOKS_DONE);
        break;
      case 'o':
        FEED(t, IN_OPERATOR_STOP, .process = MACHINE_ALL);
        break;
      case 'w':
        FEED(t, IN_SWEPT);
        break;
      case 'C':
        FEED(t, IN_CLEANED);
        break;
      case '.':
        t->now = machine_due_ns(t->m);
        FEED(t, IN_TICK);
        break;
      default:
        fail_msg("no such letter: %c", *p);
    }
  }
}

#define RUN "bvdsSuU"
#define FAILS "failure_detected[ check final] shutdown_initiated ->FAILED(remedy) "
#define FINAL RUN "x..dsux"   /* the second failure of main is the last */
#define FINAL_DOWN FINAL "hX" /* and side is gone too */

static const struct cell {
  enum machine_input_kind input;
  enum machine_state state;
  uint32_t slot; /* 0 main, 1 side */
  const char *way, *want;
} cells[] = {
    {IN_BEGIN, STATE_INITIALIZING, 0, "", "->STARTING(begin) startup_initiated VALIDATE"},
    {IN_VALIDATED, STATE_STARTING, 0, "b", "CHECK_DEPENDENCIES 0"},
    {IN_DEPENDENCIES, STATE_STARTING, 0, "bv", "dependencies_ready SPAWN 0 SPAWN 1"},
    {IN_DEPENDENCY_BACK, STATE_STARTING, 0, "bvdsSX", ""},
    {IN_DEPENDENCY_BACK, STATE_RUNNING, 0, RUN "X", ""},
    {IN_DEPENDENCY_BACK, STATE_RESTARTING, 0, RUN "x", ""},
    {IN_DEPENDENCY_BAD, STATE_STARTING, 0, "bvdsSX", ""},
    {IN_DEPENDENCY_BAD, STATE_RUNNING, 0, RUN "X", ""},
    {IN_DEPENDENCY_BAD, STATE_RESTARTING, 0, RUN "x", ""},
    {IN_HEALTH, STATE_STARTING, 0, "bvdsS", ""},
    {IN_HEALTH, STATE_RUNNING, 0, RUN, ""},
    {IN_HEALTH, STATE_RESTARTING, 0, RUN "x", ""},
    {IN_STARTED, STATE_STARTING, 0, "bvd", "process_started[0] START_CHECK 0"},
    {IN_STARTED, STATE_RUNNING, 1, "bvdsu", "process_started[1] START_CHECK 1"},
    {IN_STARTED, STATE_STOPPING, 1, "bvdst", "process_started[1]"},
    {IN_STARTED, STATE_FAILED, 1, "bvdsux..dsux", "process_started[1]"},
    {IN_STARTED, STATE_RESTARTING, 1, "bvdsux", "process_started[1] START_CHECK 1"},
    {IN_SPAWN_FAILED, STATE_STARTING, 0, "bvd", "failure_detected[0 system]"},
    {IN_SPAWN_FAILED, STATE_RUNNING, 1, "bvdsu", "failure_detected[1 system]"},
    {IN_SPAWN_FAILED, STATE_STOPPING, 1, "bvdst", ""},
    {IN_SPAWN_FAILED, STATE_FAILED, 1, "bvdsux..dsux", "CANCEL_HOOKS SWEEP 15"},
    {IN_SPAWN_FAILED, STATE_RESTARTING, 1, "bvdsux", "failure_detected[1 system]"},
    {IN_STARTUP_CHECK, STATE_STARTING, 0, "bvdsS", "->RUNNING(started) startup_completed"},
    {IN_STARTUP_CHECK, STATE_RUNNING, 1, "bvdsSu", ""},
    {IN_STARTUP_CHECK, STATE_RESTARTING, 1, "bvdsSux", ""},
    {IN_EXITED, STATE_STARTING, 0, "bvdsS",
     "CANCEL_CHECK 0 process_exited[0 exit 3] KILL 0 15gc failure_detected[0 exit] restart_initiated[0 exit 10s #1 w1] "
     "->RESTARTING(process)"},
    {IN_EXITED, STATE_RUNNING, 0, RUN,
     "process_exited[0 exit 3] KILL 0 15gc failure_detected[0 exit] restart_initiated[0 exit 10s #1 w1] "
     "->RESTARTING(process)"},
    {IN_EXITED, STATE_RUNNING, 1, RUN,
     "process_exited[1 exit 3] KILL 1 15gc failure_detected[1 exit] restart_initiated[1 exit 10s #1 w1]"},
    {IN_EXITED, STATE_STOPPING, 0, RUN "th", "process_exited[0 stopped 3] KILL 0 15gc"},
    {IN_EXITED, STATE_STOPPING, 1, RUN "th0", "process_exited[1 stopped 3] KILL 1 15gc SWEEP 15"},
    {IN_EXITED, STATE_FAILED, 1, FINAL "h", "process_exited[1 stopped 3] KILL 1 15gc SWEEP 15"},
    {IN_EXITED, STATE_RESTARTING, 1, RUN "x",
     "process_exited[1 exit 3] KILL 1 15gc failure_detected[1 exit] restart_initiated[1 exit 10s #1 w1]"},
    {IN_CHECK_FAILED, STATE_STARTING, 0, "bvdsS", "CANCEL_CHECK 0 KILL 0 15c"},
    {IN_CHECK_FAILED, STATE_RUNNING, 0, RUN, "KILL 0 15c"},
    {IN_CHECK_FAILED, STATE_RESTARTING, 1, RUN "x", "KILL 1 15c"},
    {IN_FAIL, STATE_STARTING, 0, "bv", FAILS "CANCEL_DEPENDENCIES CLEANUP"},
    {IN_FAIL, STATE_STARTING, 0, "bvdsS", FAILS "CANCEL_CHECK 0 CANCEL_CHECK 1 HOOKS"},
    {IN_FAIL, STATE_RUNNING, 0, RUN, FAILS "HOOKS"},
    {IN_FAIL, STATE_RUNNING, 0, "H" RUN, "failure_detected[ check final] ->FAILED(remedy) KILL 0 15c KILL 1 15c"},
    {IN_FAIL, STATE_RESTARTING, 0, RUN "x", FAILS "HOOKS"},
    {IN_SCALE, STATE_STARTING, 0, "bv", ""},
    {IN_SCALE, STATE_STARTING, 0, "bvdsS", "SPAWN 2"},
    {IN_SCALE, STATE_RUNNING, 0, RUN, "SPAWN 2"},
    {IN_SCALE, STATE_RESTARTING, 0, RUN "x", "SPAWN 2"},
    {IN_STOP, STATE_INITIALIZING, 0, "", "shutdown_initiated ->STOPPING(signal) REPORT"},
    {IN_STOP, STATE_STARTING, 0, "b", "shutdown_initiated ->STOPPING(signal) CANCEL_DEPENDENCIES REPORT"},
    {IN_STOP, STATE_STARTING, 0, "bv", "shutdown_initiated ->STOPPING(signal) CANCEL_DEPENDENCIES CLEANUP"},
    {IN_STOP, STATE_STARTING, 0, "bvdsS", "shutdown_initiated ->STOPPING(signal) CANCEL_CHECK 0 CANCEL_CHECK 1 HOOKS"},
    {IN_STOP, STATE_RUNNING, 0, RUN, "shutdown_initiated ->STOPPING(signal) HOOKS"},
    {IN_STOP, STATE_STOPPING, 0, RUN "o", "shutdown_initiated"},
    {IN_STOP, STATE_STOPPED, 0, RUN "ohxX", "shutdown_initiated ->STOPPING(signal) SWEEP 15"},
    {IN_STOP, STATE_FAILED, 0, FINAL, ""},
    {IN_STOP, STATE_FAILED, 0, "H" FINAL "X", "shutdown_initiated ->STOPPING(signal) SWEEP 15"},
    {IN_STOP, STATE_RESTARTING, 0, RUN "x", "shutdown_initiated ->STOPPING(signal) HOOKS"},
    {IN_OPERATOR_STOP, STATE_STARTING, 0, "b",
     "REMEMBER_STOP 1 ->STOPPING(operator) CANCEL_DEPENDENCIES ->STOPPED(stopped)"},
    {IN_OPERATOR_STOP, STATE_STARTING, 0, "bvdsS",
     "REMEMBER_STOP 1 ->STOPPING(operator) CANCEL_CHECK 0 CANCEL_CHECK 1 HOOKS"},
    {IN_OPERATOR_STOP, STATE_RUNNING, 0, RUN, "REMEMBER_STOP 1 ->STOPPING(operator) HOOKS"},
    {IN_OPERATOR_STOP, STATE_FAILED, 0, FINAL, ""},
    {IN_OPERATOR_STOP, STATE_FAILED, 0, "H" FINAL, "REMEMBER_STOP 1 ->STOPPING(operator)"},
    {IN_OPERATOR_STOP, STATE_FAILED, 0, "H" FINAL "X", "REMEMBER_STOP 1 ->STOPPING(operator) ->STOPPED(stopped)"},
    {IN_OPERATOR_STOP, STATE_RESTARTING, 0, RUN "x", "REMEMBER_STOP 1 ->STOPPING(operator) HOOKS"},
    {IN_OPERATOR_START, STATE_STARTING, 0, "bvdsSX", "KILL 1 9g SPAWN 1"},
    {IN_OPERATOR_START, STATE_RUNNING, 0, RUN "X", "KILL 1 9g SPAWN 1"},
    {IN_OPERATOR_START, STATE_STOPPED, 0, RUN "ohxX",
     "REMEMBER_STOP 0 ->STARTING(operator) startup_initiated CHECK_DEPENDENCIES 1"},
    {IN_OPERATOR_START, STATE_FAILED, 0, "H" FINAL "X",
     "REMEMBER_STOP 0 ->STARTING(operator) startup_initiated CHECK_DEPENDENCIES 1"},
    {IN_OPERATOR_START, STATE_RESTARTING, 0, RUN "x", "->STARTING(operator) startup_initiated CHECK_DEPENDENCIES 1"},
    {IN_OPERATOR_RESTART, STATE_STARTING, 0, "bv",
     "restart_initiated ->RESTARTING(operator) CANCEL_DEPENDENCIES ->STARTING(operator) startup_initiated "
     "CHECK_DEPENDENCIES 0"},
    {IN_OPERATOR_RESTART, STATE_STARTING, 0, "bvdsS",
     "restart_initiated ->RESTARTING(operator) CANCEL_CHECK 0 CANCEL_CHECK 1 KILL 0 15c KILL 1 15c"},
    {IN_OPERATOR_RESTART, STATE_RUNNING, 0, RUN, "restart_initiated ->RESTARTING(operator) KILL 0 15c KILL 1 15c"},
    {IN_OPERATOR_RESTART, STATE_STOPPED, 0, RUN "ohxX",
     "REMEMBER_STOP 0 ->STARTING(operator) startup_initiated CHECK_DEPENDENCIES 1"},
    {IN_OPERATOR_RESTART, STATE_FAILED, 0, "H" FINAL "X",
     "REMEMBER_STOP 0 ->STARTING(operator) startup_initiated CHECK_DEPENDENCIES 1"},
    {IN_OPERATOR_RESTART, STATE_RESTARTING, 0, RUN "x", "restart_initiated KILL 1 15c"},
    {IN_HOOKS_DONE, STATE_STOPPING, 0, RUN "t", "KILL 0 15c KILL 1 15c"},
    {IN_HOOKS_DONE, STATE_FAILED, 0, FINAL, "KILL 1 15c"},
    {IN_SWEPT, STATE_STOPPING, 0, RUN "thxX", "CLEANUP"},
    {IN_SWEPT, STATE_FAILED, 0, FINAL_DOWN, "CLEANUP"},
    {IN_CLEANED, STATE_STOPPING, 0, RUN "thxXw", "REPORT"},
    {IN_CLEANED, STATE_FAILED, 0, FINAL_DOWN "w", "REPORT"},
    {IN_REPORTED, STATE_STOPPING, 0, RUN "thxXwC", "->STOPPED(stopped) shutdown_completed[graceful 3] EXIT 3 workload"},
    {IN_REPORTED, STATE_FAILED, 0, FINAL_DOWN "wC", "shutdown_completed[graceful 3] EXIT 3 workload"},
    {IN_TICK, STATE_STARTING, 0, "bvdf", "SPAWN 0"},
    {IN_TICK, STATE_RUNNING, 0, RUN "X", "KILL 1 9g"},
    {IN_TICK, STATE_STOPPING, 0, RUN "t", "CANCEL_HOOKS KILL 0 15c KILL 1 15c"},
    {IN_TICK, STATE_STOPPED, 0, RUN "ohxX", "KILL 0 9g KILL 1 9g"},
    {IN_TICK, STATE_FAILED, 0, FINAL, "KILL 0 9g"},
    {IN_TICK, STATE_RESTARTING, 0, RUN "x", "KILL 0 9g"},
    {IN_TICK, STATE_RESTARTING, 0, RUN "x.", "->STARTING(retry) startup_initiated CHECK_DEPENDENCIES 1"},
};

static struct machine_input plausible(enum machine_input_kind kind) {
  return (struct machine_input){
      .kind = kind,
      .process = kind == IN_OPERATOR_STOP || kind == IN_OPERATOR_START || kind == IN_OPERATOR_RESTART ? MACHINE_ALL
                 : kind == IN_SCALE                                                                   ? 1
                                                                                                      : 0,
      .count = 2,
      .ok = kind != IN_HEALTH,
      .status = EXIT_STATUS(3),
      .stage = SPAWN_FORK,
      .error = 11,
      .level = STOP_BEGIN,
      .cause = CAUSE_SIGNAL,
      .signal = SIGTERM};
}

static bool is_ignored(enum machine_input_kind input, enum machine_state s) {
  static const char *const handlers[INPUTS][STATES] = {
#define ROW(input, a, b, c, d, e, f, g) [IN_##input] = {#a, #b, #c, #d, #e, #f, #g},
#include "core/machine.def"
  };
  return strcmp(handlers[input][s], "ignore") == 0;
}

/* The states as most of the rows reach them. */
static const char *const ways[STATES] = {
    [STATE_INITIALIZING] = "",    [STATE_STARTING] = "bvdsS", [STATE_RUNNING] = RUN,       [STATE_STOPPING] = RUN "t",
    [STATE_STOPPED] = RUN "ohxX", [STATE_FAILED] = FINAL,     [STATE_RESTARTING] = RUN "x"};

static void check_handled(enum machine_input_kind input, enum machine_state s) {
  unsigned rows = 0;
  for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
    if (cells[i].input != input || cells[i].state != s) continue;
    rows++;
    struct trace t;
    walk(&t, cells[i].way);
    if (trace_state(&t) != s)
      fail_msg("%s: the way %s leads to %s", machine_input_name(input), cells[i].way,
               machine_state_name(trace_state(&t)));
    if (input == IN_TICK) t.now = machine_due_ns(t.m);
    struct machine_input in = plausible(input);
    in.slot = cells[i].slot;
    const char *got = trace_feed(&t, in);
    if (strcmp(got, cells[i].want) != 0)
      fail_msg("%s in %s (%s):\n got  %s\n want %s", machine_input_name(input), machine_state_name(s), cells[i].way,
               got, cells[i].want);
    trace_end(&t);
  }
  if (!rows) fail_msg("no row for %s in %s", machine_input_name(input), machine_state_name(s));
}

static void check_ignored(enum machine_input_kind input, enum machine_state s) {
  struct trace t;
  walk(&t, ways[s]);
  assert_int_equal(trace_state(&t), s);
  int64_t due = machine_due_ns(t.m);
  struct machine_view before, after;
  machine_view(t.m, &before);
  struct machine_input in = plausible(input);
  for (int ok = 0; ok < 2; ok++) {
    in.ok = ok;
    assert_string_equal(trace_feed(&t, in), "");
  }
  machine_view(t.m, &after);
  assert_memory_equal(&before, &after, sizeof before);
  assert_true(machine_due_ns(t.m) == due);
  trace_end(&t);
}

static void every_cell(void **state) {
  (void)state;
  for (int input = 0; input < INPUTS; input++) {
    for (int s = 0; s < STATES; s++) {
      if (is_ignored((enum machine_input_kind)input, (enum machine_state)s)) {
        check_ignored((enum machine_input_kind)input, (enum machine_state)s);
      } else {
        check_handled((enum machine_input_kind)input, (enum machine_state)s);
      }
    }
  }
}

/* No row for a cell that is ignored: the rows say what the table says. */
static void no_row_too_many(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) assert_false(is_ignored(cells[i].input, cells[i].state));
}

/* Where a handler is there but the input does not fit what is going on, nothing happens. */
static void inputs_that_do_not_fit(void **state) {
  (void)state;
  static const struct {
    const char *way;
    enum machine_input_kind input;
  } unfit[] = {
      {RUN, IN_STARTED},          {RUN, IN_SPAWN_FAILED},   {RUN, IN_STARTUP_CHECK},    {"bvd", IN_EXITED},
      {"bvd", IN_STARTUP_CHECK},  {"bvd", IN_CHECK_FAILED}, {"bvd", IN_VALIDATED},      {"bv", IN_VALIDATED},
      {"b", IN_DEPENDENCIES},     {"bvd", IN_DEPENDENCIES}, {RUN "x", IN_EXITED},       {RUN "t", IN_SWEPT},
      {RUN "t", IN_CLEANED},      {RUN "t", IN_REPORTED},   {RUN "thxX", IN_CLEANED},   {RUN "thxXw", IN_SWEPT},
      {RUN "thxXw", IN_REPORTED}, {RUN "t", IN_STOP},       {"H" FINAL_DOWN, IN_SWEPT}, {"H" FINAL_DOWN, IN_REPORTED},
      {FINAL, IN_OPERATOR_START}, {RUN, IN_TICK},           {RUN, IN_DEPENDENCY_BACK},
  };
  for (size_t i = 0; i < sizeof unfit / sizeof unfit[0]; i++) {
    struct trace t;
    walk(&t, unfit[i].way);
    const char *got = trace_feed(&t, plausible(unfit[i].input));
    if (*got) fail_msg("%s after %s: %s", machine_input_name(unfit[i].input), unfit[i].way, got);
    trace_end(&t);
  }
  /* numbers that no slot and no process has */
  for (int input = 0; input < INPUTS; input++) {
    if (input == IN_STOP || input == IN_HEALTH || input == IN_TICK || input == IN_FAIL) continue;
    struct trace t;
    walk(&t, RUN);
    struct machine_input in = plausible((enum machine_input_kind)input);
    in.slot = 3;
    in.process = 2;
    assert_string_equal(trace_feed(&t, in), "");
    trace_end(&t);
  }
}

static void after_the_end_nothing_happens(void **state) {
  (void)state;
  struct trace t;
  walk(&t, RUN "thxXwC");
  assert_non_null(strstr(FEED(&t, IN_REPORTED), "EXIT"));
  for (int input = 0; input < INPUTS; input++)
    assert_string_equal(trace_feed(&t, plausible((enum machine_input_kind)input)), "");
  assert_true(machine_due_ns(t.m) == TIME_NEVER);
  trace_end(&t);
}

static void every_input_is_documented(void **state) {
  (void)state;
  auto_buf struct buf b = {0};
  machine_markdown(&b);
  for (int s = 0; s < STATES; s++) assert_non_null(strstr(buf_cstr(&b), machine_state_name((enum machine_state)s)));
  for (int i = 0; i < INPUTS; i++) {
    char row[64];
    snprintf(row, sizeof row, "\n| %s |", machine_input_name((enum machine_input_kind)i));
    const char *first = strstr(buf_cstr(&b), row);
    assert_non_null(first);
    assert_non_null(strstr(first + 1, row)); /* in the list and in the table */
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_cell),
      cmocka_unit_test(no_row_too_many),
      cmocka_unit_test(inputs_that_do_not_fit),
      cmocka_unit_test(after_the_end_nothing_happens),
      cmocka_unit_test(every_input_is_documented),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
