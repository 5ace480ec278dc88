/* Dependency checks: retries, time limits, required and optional, only what is bad, notes from elsewhere. */
#include "dependency_scene.h"

static void nothing_to_ask_is_ready(void **state) {
  (void)state;
  make(NULL, 0);
  run(false);
  assert_true(got.o.ok);
  assert_false(dependencies_bad(deps));
}

static void each_is_asked_until_it_is_ready_and_then_no_more(void **state) {
  (void)state;
  functions[0].answers[0] = "[true]";
  functions[1].answers[0] = "[null, \"not there\"]";
  functions[1].answers[1] = "[false, {\"code\": \"refused\", \"message\": \"port closed\"}]";
  functions[1].answers[2] = "[{\"status\": \"ok\", \"rows\": 3}]";
  struct dependency_spec specs[] = {function_spec("fast", 0, true), function_spec("slow", 1, true)};
  make(specs, 2);
  assert_true(dependencies_bad(deps));
  run(false);
  assert_true(got.o.ok);
  assert_int_equal(got.o.ready, 2);
  assert_int_equal(functions[0].calls, 1);
  assert_int_equal(functions[1].calls, 3);
  assert_string_equal(functions[1].about, "{\"attempt\": 3}");
  assert_string_equal(events(), "ready:I waiting:I waiting:I ready:I");
  assert_int_equal(view(1).attempts, 3);
  assert_int_equal(view(1).state, DEPENDENCY_READY);
  assert_int_equal(cJSON_GetObjectItem(view(1).data, "rows")->valueint, 3);
  assert_false(dependencies_bad(deps));
}

static void a_reason_is_told_once(void **state) {
  (void)state;
  functions[0].answers[0] = "[null, \"not there\"]";
  functions[0].answers[4] = "[true]";
  struct dependency_spec spec = function_spec("one", 0, true);
  make(&spec, 1);
  run(false);
  assert_int_equal(functions[0].calls, 5);
  assert_string_equal(events(), "waiting:I ready:I");
}

static void a_required_one_that_fails_ends_it_all(void **state) {
  (void)state;
  functions[0].answers[0] = "[null, {\"reason\": \"refused\", \"message\": \"port closed\"}]";
  functions[1].answers[0] = "-";
  struct dependency_spec specs[] = {function_spec("bad", 0, true), function_spec("hangs", 1, true)};
  specs[0].timeout_ns = 200 * MS;
  make(specs, 2);
  run(false);
  assert_false(got.o.ok);
  assert_string_equal(got.name, "bad");
  assert_string_equal(got.reason, "refused");
  assert_string_equal(got.detail, "port closed");
  assert_true(got.o.duration_ns >= 200 * MS);
  assert_int_equal(functions[1].cancelled, 1);
  assert_int_equal(view(0).state, DEPENDENCY_FAILED);
  assert_int_equal(view(1).state, DEPENDENCY_IDLE);
  assert_string_equal(events(), "waiting:I failed:E");
  const struct event *e = event_ring_from(sink_ring(sink), 2);
  assert_string_equal(e->message, "bad did not become ready: port closed");
  assert_true(str_starts(e->details, "{\"name\": \"bad\", \"kind\": \"function\", \"required\": true, \"attempts\": "));
  assert_true(
      str_ends(e->details, ", \"reason\": \"refused\", \"detail\": \"port closed\", \"timeout_seconds\": 0.2}"));
}

static void an_optional_one_is_waited_for_and_then_done_without(void **state) {
  (void)state;
  functions[0].answers[0] = "[true]";
  functions[1].answers[0] = "!flow.lua:3: boom";
  struct dependency_spec specs[] = {function_spec("good", 0, true), function_spec("broken", 1, false)};
  specs[1].timeout_ns = 200 * MS;
  make(specs, 2);
  run(false);
  assert_true(got.o.ok);
  assert_int_equal(got.o.ready, 1);
  assert_int_equal(got.o.missing, 1);
  assert_true(got.o.duration_ns >= 200 * MS);
  assert_string_equal(events(), "ready:I waiting:I failed:W");
  assert_int_equal(view(1).status, PROBE_UNKNOWN); /* it raised: that says nothing, so it is not ready */
  assert_string_equal(view(1).reason, "script");
  assert_string_equal(view(1).detail, "flow.lua:3: boom");
  assert_false(dependencies_bad(deps));
}

static void the_whole_time_is_used_when_the_interval_is_longer(void **state) {
  (void)state;
  functions[0].answers[0] = "[null]";
  functions[0].answers[1] = "[true]";
  struct dependency_spec spec = function_spec("late", 0, true);
  spec.timeout_ns = 400 * MS;
  spec.interval_ns = 10 * NS_PER_S;
  make(&spec, 1);
  run(false);
  assert_true(got.o.ok);
  assert_int_equal(functions[0].calls, 2);
}

static void a_function_cannot_outlive_its_time(void **state) {
  (void)state;
  functions[0].answers[0] = "-";
  struct dependency_spec spec = function_spec("stuck", 0, true);
  spec.timeout_ns = 20 * MS;
  make(&spec, 1);
  run(false);
  assert_false(got.o.ok);
  assert_string_equal(got.reason, "timeout");
  assert_int_equal(functions[0].cancelled, 1);
}

static void the_wait_grows_with_backoff(void **state) {
  (void)state;
  functions[0].answers[0] = "[null]";
  functions[1].answers[0] = "[null]";
  struct dependency_spec specs[] = {function_spec("steady", 0, true), function_spec("patient", 1, true)};
  specs[1].backoff = 10;
  make(specs, 2);
  int64_t begin = clock_mono_ns();
  stop_at = 20; /* the steady one gets there first, 190 ms or later */
  dependencies_run(deps, false, on_done, NULL);
  run_for(30 * NS_PER_S);
  int most = 1;
  for (int64_t wait = 10 * MS, at = wait; at <= clock_mono_ns() - begin; wait *= 10, at += wait) most++;
  assert_int_equal(functions[0].calls, 20);
  assert_true(functions[1].calls <= most);
  assert_true(functions[1].calls >= 2);
}

static void answers_of_functions(void **state) {
  (void)state;
  static const struct {
    const char *values;
    enum probe_status status;
    const char *reason, *detail;
  } cases[] = {
      {"[]", PROBE_FAIL, "script", "the function did not return true"},
      {"[null]", PROBE_FAIL, "script", "the function did not return true"},
      {"[null, \"why\"]", PROBE_FAIL, "script", "why"},
      {"[{\"status\": \"fail\", \"reason\": \"empty\", \"detail\": \"no rows\"}]", PROBE_FAIL, "empty", "no rows"},
      {"[{\"status\": \"unknown\"}]", PROBE_UNKNOWN, "script", ""},
      {"[{\"status\": \"fine\"}]", PROBE_UNKNOWN, "script",
       "the function returned the status \"fine\"; expected true, nil and a reason, or { status = ... }"},
      {"[{\"status\": \"warn\", \"reason\": \"slow\"}]", PROBE_WARN, "slow", ""},
      {"[[1, 2]]", PROBE_OK, "", ""},
      {"[\"warn\", \"slow\"]", PROBE_WARN, "script", "slow"},
      {"[\"ok\"]", PROBE_OK, "", ""},
      {"[\"good\"]", PROBE_UNKNOWN, "script",
       "the function returned the status \"good\"; expected true, nil and a reason, or { status = ... }"},
      {"[5]", PROBE_UNKNOWN, "script",
       "the function returned a number; expected true, nil and a reason, or { status = ... }"},
      {"[{\"status\": 5}]", PROBE_UNKNOWN, "script",
       "the function returned a status that is no text; expected true, nil and a reason, or { status = ... }"},
  };
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    functions[0].answers[0] = cases[i].values;
    struct dependency_spec spec = function_spec("f", 0, true);
    make(&spec, 1);
    functions[0].calls = 0;
    stop_at = 1;
    dependencies_run(deps, false, on_done, NULL);
    run_for(5 * NS_PER_S);
    assert_int_equal(view(0).status, cases[i].status);
    assert_string_equal(view(0).reason, cases[i].reason);
    assert_string_equal(view(0).detail, cases[i].detail);
    dependencies_free(deps);
    deps = NULL;
  }
}

static void only_what_is_bad_is_asked_again(void **state) {
  (void)state;
  functions[0].answers[0] = functions[1].answers[0] = "[true]";
  functions[2].answers[0] = "[null]";
  struct dependency_spec specs[] = {function_spec("a", 0, true), function_spec("b", 1, true),
                                    function_spec("c", 2, false)};
  specs[2].timeout_ns = 20 * MS;
  make(specs, 3);
  run(false);
  int before = functions[2].calls;
  run(true);
  assert_true(got.o.ok);
  assert_int_equal(functions[0].calls, 1);
  assert_int_equal(functions[2].calls, before);
  /* a health check of the same thing has seen it fail */
  struct probe_result bad = {.status = PROBE_FAIL, .reason = "refused", .detail = "gone"};
  assert_true(dependencies_note(deps, "b", &bad));
  assert_false(dependencies_note(deps, "none", &bad));
  assert_true(dependencies_bad(deps));
  assert_string_equal(view(1).detail, "gone");
  run(true);
  assert_true(got.o.ok);
  assert_int_equal(functions[0].calls, 1);
  assert_int_equal(functions[1].calls, 2);
  run(false);
  assert_int_equal(functions[0].calls, 2);
}

static void a_note_decides_until_the_next_run(void **state) {
  (void)state;
  functions[0].answers[0] = "[true]";
  struct dependency_spec spec = function_spec("db", 0, true);
  make(&spec, 1);
  struct probe_result bad = {.status = PROBE_FAIL, .reason = "refused"}, good = {.status = PROBE_OK};
  assert_true(dependencies_bad(deps));
  run(false);
  assert_false(dependencies_bad(deps));
  assert_true(dependencies_note(deps, "db", &bad));
  assert_false(dependencies_note(deps, "nobody", &bad));
  assert_true(dependencies_bad(deps));
  assert_int_equal(view(0).state, DEPENDENCY_FAILED);
  assert_string_equal(view(0).reason, "refused");
  run(true);
  assert_int_equal(functions[0].calls, 2);
  assert_int_equal(view(0).state, DEPENDENCY_READY);
  dependencies_note(deps, "db", &bad);
  dependencies_note(deps, "db", &good);
  run(true);
  assert_int_equal(functions[0].calls, 2);
  assert_true(got.o.ok);
}

static void stop_ends_it_without_a_word(void **state) {
  (void)state;
  functions[0].answers[0] = "-";
  struct dependency_spec spec = function_spec("x", 0, true);
  make(&spec, 1);
  dependencies_run(deps, false, on_done, NULL);
  run_for(20 * MS);
  dependencies_stop(deps);
  run_for(20 * MS);
  assert_int_equal(got.calls, 0);
  assert_int_equal(functions[0].cancelled, 1);
  assert_string_equal(events(), "");
}

static void free_in(void *arg, const struct dependency_outcome *o) {
  (void)arg;
  (void)o;
  dependencies_free(deps);
  deps = NULL;
  loop_stop(env.loop);
}

static void it_may_be_freed_in_its_callback(void **state) {
  (void)state;
  functions[0].answers[0] = "[true]";
  struct dependency_spec spec = function_spec("x", 0, true);
  make(&spec, 1);
  dependencies_run(deps, false, free_in, NULL);
  run_for(5 * NS_PER_S);
  assert_null(deps);
}

static void probes_serve_too(void **state) {
  (void)state;
  auto_json cJSON *params = cJSON_Parse("{\"host\": \"127.0.0.1\", \"port\": 1}");
  struct dependency_spec spec = {.name = "port_one", .kind = "tcp", .params = params, .required = true};
  spec.timeout_ns = 30 * MS;
  spec.interval_ns = 10 * MS;
  make(&spec, 1);
  run(false);
  assert_false(got.o.ok);
  assert_string_equal(got.reason, "refused");
}

static void wrong_ones_are_refused(void **state) {
  (void)state;
  struct err err = ERR_INIT;
  struct dependency_spec spec = {.name = "port", .kind = "tcp"};
  assert_null(dependencies_new(&env, &policy, sink, &spec, 1, &err));
  assert_string_equal(err.msg, "dependency port: host: required (host name or address)");
  spec.kind = NULL;
  assert_null(dependencies_new(&env, NULL, sink, &spec, 1, &err));
  assert_string_equal(err.msg, "dependency port: it is a function, and there are no scripts");
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      T(nothing_to_ask_is_ready),
      T(each_is_asked_until_it_is_ready_and_then_no_more),
      T(a_reason_is_told_once),
      T(a_required_one_that_fails_ends_it_all),
      T(an_optional_one_is_waited_for_and_then_done_without),
      T(the_whole_time_is_used_when_the_interval_is_longer),
      T(a_function_cannot_outlive_its_time),
      T(the_wait_grows_with_backoff),
      T(answers_of_functions),
      T(only_what_is_bad_is_asked_again),
      T(a_note_decides_until_the_next_run),
      T(stop_ends_it_without_a_word),
      T(it_may_be_freed_in_its_callback),
      T(probes_serve_too),
      T(wrong_ones_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
