#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "core/event.h"

static const struct event_source who = {"rpa1-worker-1", "rpa1"};

/* 2024-01-15T10:30:00.000Z */
#define SOME_TIME (INT64_C(1705314600) * NS_PER_S)

static const char *line_of(struct buf *b, const struct event *e) {
  buf_clear(b);
  event_json(e, &who, b);
  return buf_cstr(b);
}

static void test_line(void **state) {
  (void)state;
  auto_buf struct buf b = {0};
  struct event e = {
      .real_ns = SOME_TIME,
      .kind = EVENT_STARTUP_COMPLETED,
      .level = LEVEL_INFO,
      .duration_ns = 2500 * NS_PER_MS,
      .details = "{\"validation_checks\": 6, \"dependencies_checked\": 3, \"health_status\": \"healthy\"}"};
  assert_string_equal(line_of(&b, &e),
                      "{\"timestamp\": \"2024-01-15T10:30:00.000Z\", \"level\": \"INFO\", \"component\": "
                      "\"lifecycle_manager\", \"container_id\": \"rpa1-worker-1\", \"flow\": \"rpa1\", \"event\": "
                      "\"startup_completed\", \"duration_ms\": 2500, \"details\": {\"validation_checks\": 6, "
                      "\"dependencies_checked\": 3, \"health_status\": \"healthy\"}}");
  e = (struct event){.real_ns = SOME_TIME + 7 * NS_PER_MS,
                     .kind = EVENT_MESSAGE,
                     .level = LEVEL_WARNING,
                     .component = "workload",
                     .duration_ns = -1,
                     .message = "say \"hi\"\n"};
  assert_string_equal(line_of(&b, &e),
                      "{\"timestamp\": \"2024-01-15T10:30:00.007Z\", \"level\": \"WARNING\", \"component\": "
                      "\"workload\", \"container_id\": \"rpa1-worker-1\", \"flow\": \"rpa1\", \"event\": \"message\", "
                      "\"message\": \"say \\\"hi\\\"\\n\", \"details\": {}}");
}

/* The specification filters the log with three fixed strings. */
static void test_greps(void **state) {
  (void)state;
  auto_buf struct buf b = {0};
  static const enum event_kind of_the_manager[] = {
      EVENT_STARTUP_INITIATED,   EVENT_DEPENDENCIES_READY, EVENT_STARTUP_COMPLETED,  EVENT_HEALTH_CHECK_PASSED,
      EVENT_HEALTH_CHECK_FAILED, EVENT_SHUTDOWN_INITIATED, EVENT_SHUTDOWN_COMPLETED, EVENT_RESTART_INITIATED,
      EVENT_FAILURE_DETECTED,    EVENT_RECOVERY_COMPLETED,
  };
  unsigned managers = 0;
  for (unsigned k = 0; k < EVENT_KINDS; k++) {
    struct event e = {.kind = (enum event_kind)k, .level = LEVEL_INFO, .duration_ns = -1};
    const char *line = line_of(&b, &e);
    bool manager = strstr(line, "\"component\": \"lifecycle_manager\"") != NULL;
    bool expected = false;
    for (size_t i = 0; i < ARRAY_LEN(of_the_manager); i++) expected |= of_the_manager[i] == e.kind;
    assert_int_equal(manager, expected);
    managers += manager;
    assert_int_equal(strstr(line, "\"event\": \"health_check\"") != NULL, k == EVENT_HEALTH_CHECK);
    assert_int_equal(strstr(line, "\"event\": \"restart_initiated\"") != NULL, k == EVENT_RESTART_INITIATED);
  }
  assert_int_equal(managers, 10);
}

static void test_components(void **state) {
  (void)state;
  static const char *const allowed[] = {"lifecycle_manager", "health_monitor", "dependency", "restart", "script",
                                        "control",           "http",           "init",       "config",  "workload"};
  for (unsigned k = 0; k < EVENT_KINDS; k++) {
    bool found = false;
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++) found |= STR_EQ(event_component((enum event_kind)k), allowed[i]);
    if (!found) fail_msg("%s: component %s", event_name((enum event_kind)k), event_component((enum event_kind)k));
    assert_true(*event_doc((enum event_kind)k));
    for (unsigned other = 0; other < k; other++)
      assert_string_not_equal(event_name((enum event_kind)k), event_name((enum event_kind)other));
  }
}

static void test_levels(void **state) {
  (void)state;
  enum level l = LEVEL_DEBUG;
  assert_int_equal(level_parse("warning", &l), 0);
  assert_int_equal(l, LEVEL_WARNING);
  assert_int_equal(level_parse("Critical", &l), 0);
  assert_string_equal(level_name(l), "CRITICAL");
  assert_int_equal(level_parse("WARN", &l), -EINVAL);
  assert_int_equal(l, LEVEL_CRITICAL);
}

static void test_details(void **state) {
  (void)state;
  auto_buf struct buf b = {0};
  const struct {
    const char *in, *out;
  } cases[] = {
      {NULL, "{}"},
      {"", "{}"},
      {"{\"a\":1,\"b\":[true,null,{\"c\":\"d\"}]}", "{\"a\": 1, \"b\": [true, null, {\"c\": \"d\"}]}"},
      {"[1]", "{\"text\": \"[1]\"}"},
      {"{\"a\":", "{\"text\": \"{\\\"a\\\":\"}"},
      {"{} {}", "{\"text\": \"{} {}\"}"},
      {"{\"a\": \"x\ny\xff\"}", "{\"a\": \"x\\ny\xef\xbf\xbd\"}"},
  };
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    buf_clear(&b);
    event_details(cases[i].in, &b);
    assert_string_equal(buf_cstr(&b), cases[i].out);
  }
  static char big[LIMIT_EVENT_DETAILS + 100];
  memset(big, 'x', sizeof big - 1);
  memcpy(big, "{\"a\": \"", 7);
  memcpy(big + sizeof big - 3, "\"}", 2);
  buf_clear(&b);
  event_details(big, &b);
  assert_string_equal(buf_cstr(&b), "{\"cut\": 16483}");
}

static uint32_t next_random(uint32_t *x) {
  *x ^= *x << 13;
  *x ^= *x >> 17;
  return *x ^= *x << 5;
}

/* Any bytes in any value give one line of valid JSON, which is whole within the bound. */
static void test_any_bytes(void **state) {
  (void)state;
  auto_buf struct buf b = {0};
  auto_buf struct buf pretty = {0};
  static char message[5000];
  static char text[3000];
  uint32_t x = 2463534242;
  for (int round = 0; round < 3000; round++) {
    size_t n = next_random(&x) % (round % 100 ? 60 : sizeof message);
    for (size_t i = 0; i < n; i++) message[i] = (char)(1 + next_random(&x) % 255);
    message[n] = 0;
    size_t k = next_random(&x) % (round % 100 ? 80 : sizeof text);
    for (size_t i = 0; i < k; i++) {
      static const char likely[] = "{}[]\",:\\u0aeE+-1tfn \n";
      text[i] = next_random(&x) % 3 ? likely[next_random(&x) % (sizeof likely - 1)] : (char)(1 + next_random(&x) % 255);
    }
    text[k] = 0;
    auto_buf struct buf details = {0};
    if (round % 2) {
      struct json j = JSON_INIT(&details);
      json_object(&j, NULL);
      json_strn(&j, text, message, n);
      json_object_end(&j);
    } else {
      event_details(text, &details);
    }
    struct event e = {.real_ns = SOME_TIME,
                      .kind = (enum event_kind)(next_random(&x) % EVENT_KINDS),
                      .level = (enum level)(next_random(&x) % 5),
                      .duration_ns = -1,
                      .message = message,
                      .details = buf_cstr(&details)};
    const char *line = line_of(&b, &e);
    assert_null(strchr(line, '\n'));
    assert_true(str_utf8_valid(line, b.len));
    if (!(round % 2)) assert_true(b.len < LIMIT_EVENT_LINE);
    auto_json cJSON *v = NULL;
    assert_int_equal(json_parse(line, b.len, "line", &v, NULL), 0);
    assert_true(cJSON_IsObject(cJSON_GetObjectItem(v, "details")));
    assert_true(cJSON_IsString(cJSON_GetObjectItem(v, "message")));

    buf_clear(&pretty);
    event_pretty(&e, false, &pretty);
    for (size_t i = 0; i < pretty.len; i++) {
      unsigned char c = (unsigned char)pretty.data[i];
      assert_true((c >= 0x20 && c != 0x7f) || str_starts(pretty.data + i, "\n    "));
    }
    assert_true(str_utf8_valid(pretty.data, pretty.len));
  }
}

static void test_message_cut(void **state) {
  (void)state;
  static char m[EVENT_MESSAGE_MAX + 10];
  memset(m, 'a', sizeof m - 1);
  assert_int_equal(event_message_len(m), EVENT_MESSAGE_MAX);
  memcpy(m + EVENT_MESSAGE_MAX - 2, "\xe2\x82\xac", 3); /* the cut would go through it */
  assert_int_equal(event_message_len(m), EVENT_MESSAGE_MAX - 2);
  assert_int_equal(event_message_len("abc"), 3);
}

static void test_pretty(void **state) {
  (void)state;
  auto_buf struct buf b = {0};
  struct event e = {.real_ns = SOME_TIME,
                    .kind = EVENT_PROCESS_EXITED,
                    .level = LEVEL_WARNING,
                    .duration_ns = 1500 * NS_PER_MS,
                    .message = "main: exit code 3\033[2J",
                    .details = "{\"process\": \"main\", \"code\": 3, \"why\": \"two words\", \"list\": [1, 2]}"};
  event_pretty(&e, false, &b);
  assert_string_equal(buf_cstr(&b),
                      "10:30:00.000 WARNING  process_exited: main: exit code 3\\x1b[2J duration_ms=1500 process=main "
                      "code=3 why=\"two words\" list=[1, 2]");
  buf_clear(&b);
  event_pretty(&e, true, &b);
  assert_non_null(strstr(buf_cstr(&b), "\033[33m"));
  buf_clear(&b);
  e = (struct event){.real_ns = SOME_TIME,
                     .kind = EVENT_VALIDATION_COMPLETED,
                     .level = LEVEL_CRITICAL,
                     .duration_ns = -1,
                     .message = "A: all of it in one line",
                     .details =
                         "{\"ok\": false, \"warnings\": [], \"failures\": [{\"name\": \"A\", \"value\": \"x\\ny\", "
                         "\"source\": \"environment\", \"allowed\": \"yes\", \"fix\": \"say yes\"}, {\"b\": 1}]}"};
  event_pretty(&e, false, &b);
  assert_string_equal(buf_cstr(&b),
                      "10:30:00.000 CRITICAL validation_completed ok=false\n"
                      "    A: value \"x y\" from environment: expected yes; say yes\n    {\"b\": 1}");
}

static void test_ring(void **state) {
  (void)state;
  struct event_ring *r = event_ring_new(4);
  assert_non_null(r);
  assert_null(event_ring_from(r, 0));
  char text[16];
  for (int i = 1; i <= 10; i++) {
    snprintf(text, sizeof text, "m%d", i);
    struct event e = {.kind = EVENT_NOTICE, .level = LEVEL_INFO, .duration_ns = -1, .message = text};
    assert_int_equal(event_ring_add(r, &e), i);
  }
  assert_int_equal(event_ring_last(r), 10);
  const struct event *e = event_ring_from(r, 1);
  assert_int_equal(e->seq, 7);
  assert_string_equal(e->message, "m7");
  assert_int_equal(event_ring_from(r, 9)->seq, 9);
  assert_null(event_ring_from(r, 11));
  event_ring_free(r);
  event_ring_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_line),        cmocka_unit_test(test_greps),   cmocka_unit_test(test_components),
      cmocka_unit_test(test_levels),      cmocka_unit_test(test_details), cmocka_unit_test(test_any_bytes),
      cmocka_unit_test(test_message_cut), cmocka_unit_test(test_pretty),  cmocka_unit_test(test_ring),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
