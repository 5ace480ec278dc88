/* The control socket: requests, good and bad, and their answers. */
#include "control_scene.h"

static int open_deep_world(void **state) {
  struct world *w = calloc(1, sizeof *w);
  *state = w;
  char deep[200];
  memset(deep, 'd', sizeof deep - 1);
  deep[0] = '/';
  deep[sizeof deep - 1] = 0;
  return world_open_in(w, deep);
}

static void test_answers(void **state) {
  struct world *w = *state;
  struct stat st;
  assert_int_equal(fstatat(w->dir.fd, PLACE_SOCKET, &st, 0), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  assert_int_equal(fstat(w->dir.fd, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0700);

  auto_close int fd = dial(w);
  send_text(fd, "{\"v\": 1, \"id\": 7, \"op\": \"echo\", \"args\": {\"a\": [1, \"b\"]}}");
  auto_json cJSON *v = next(fd);
  const cJSON *value = value_of(v, 7);
  assert_string_equal(cJSON_GetArrayItem(cJSON_GetObjectItem(cJSON_GetObjectItem(value, "args"), "a"), 1)->valuestring,
                      "b");
  assert_int_equal(cJSON_GetObjectItem(value, "uid")->valueint, getuid());
  assert_int_equal(cJSON_GetObjectItem(value, "pid")->valueint, getpid());

  send_text(fd, "{\"v\": 1, \"id\": 8, \"op\": \"refuse\", \"args\": {\"what\": \"cat\"}}");
  auto_json cJSON *refused = next(fd);
  assert_string_equal(error_of(refused), "no \"cat\" here");
  send_text(fd, "{\"v\": 1, \"id\": 9, \"op\": \"nonsense\"}");
  auto_json cJSON *unknown = next(fd);
  assert_string_equal(error_of(unknown), "this engine does not know \"nonsense\"");
  assert_string_equal(cJSON_GetObjectItem(unknown, "code")->valuestring, "unknown");
}

static void test_several_at_once(void **state) {
  auto_close int fd = dial(*state);
  send_text(fd, "{\"v\": 1, \"id\": 1, \"op\": \"later\"}");
  send_text(fd, "{\"v\": 1, \"id\": 2, \"op\": \"echo\"}");
  auto_json cJSON *first = next(fd);
  value_of(first, 2);
  auto_json cJSON *second = next(fd);
  assert_string_equal(value_of(second, 1)->valuestring, "late");
}

/* A client that goes away before its answer harms nobody. */
static void test_gone_before_the_answer(void **state) {
  for (int i = 0; i < 5; i++) {
    int fd = dial(*state);
    send_text(fd, "{\"v\": 1, \"id\": 1, \"op\": \"later\"}");
    close(fd);
  }
  test_several_at_once(state);
}

static void test_byte_by_byte(void **state) {
  auto_close int fd = dial(*state);
  auto_buf struct buf b = {0};
  const char *text = "{\"v\": 1, \"id\": 3, \"op\": \"help\"}";
  frame_add(&b, text, strlen(text));
  for (size_t i = 0; i < b.len; i++) assert_int_equal(send(fd, b.data + i, 1, MSG_NOSIGNAL), 1);
  auto_json cJSON *v = next(fd);
  assert_int_equal(cJSON_GetArraySize(value_of(v, 3)), 4 + (int)ARRAY_LEN(ops) - 1);
}

static void test_bad_requests(void **state) {
  static const struct {
    const char *text, *error;
  } cases[] = {
      {"{\"v\": 1, \"id\": 1", "not valid JSON"},
      {"[]", "expected \"v\": 1"},
      {"{\"v\": 2, \"op\": \"echo\"}", "speaks version 1 of the control protocol, the client version 2"},
      {"{\"v\": 1, \"id\": 1.5, \"op\": \"echo\"}", "expected {"},
      {"{\"v\": 1, \"id\": \"x\", \"op\": \"echo\"}", "expected {"},
      {"{\"v\": 1, \"op\": \"echo\", \"args\": {\"a\": \"\xff\"}}", "not UTF-8"},
      {"{\"v\": 1, \"op\": \"echo\", \"args\": {\"a\": \"\\u0000\"}}", "NUL"},
      {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "deeper"},
      {"{\"v\": 1, \"op\": 3}", "expected {"},
      {"{\"v\": 1, \"op\": \"echo\", \"args\": []}", "expected {"},
      {"\xff\xfe", "not UTF-8"},
  };
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    auto_close int fd = dial(*state);
    send_text(fd, cases[i].text);
    auto_json cJSON *v = next(fd);
    assert_non_null(strstr(error_of(v), cases[i].error));
    assert_null(next(fd));
  }
}

static void test_half_a_frame(void **state) {
  hurry(*state);
  auto_close int fd = dial(*state);
  int64_t start = clock_mono_ns();
  assert_int_equal(send(fd, "\0\0\0\x20{\"v\"", 8, MSG_NOSIGNAL), 8);
  auto_json cJSON *v = next(fd);
  assert_non_null(strstr(error_of(v), "not whole"));
  assert_null(next(fd));
  assert_true(clock_mono_ns() - start >= 140 * NS_PER_MS);
}

static void test_wrong_sizes(void **state) {
  static const char *const heads[] = {"\xff\xff\xff\xff", "\0\4\0\1", "\0\0\0\0"};
  for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
    auto_close int fd = dial(*state);
    assert_int_equal(send(fd, heads[i], 4, MSG_NOSIGNAL), 4);
    auto_json cJSON *v = next(fd);
    assert_non_null(strstr(error_of(v), "262144 bytes"));
    assert_null(next(fd));
  }
}

static void test_arguments(void **state) {
  auto_close int fd = dial(*state);
  static const struct {
    const char *args, *error;
  } cases[] = {
      {"{\"byte\": 1}", "no argument \"byte\"; did you mean \"bytes\"?"},
      {"{\"bytes\": \"x\"}", "expected a whole number, got \"x\""},
      {"{\"bytes\": 1.5}", "expected a whole number"},
      {"{\"name\": []}", "expected a text, got []"},
  };
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    char text[200];
    snprintf(text, sizeof text, "{\"v\": 1, \"id\": %zu, \"op\": \"echo\", \"args\": %s}", i, cases[i].args);
    send_text(fd, text);
    auto_json cJSON *v = next(fd);
    if (!strstr(error_of(v), cases[i].error)) fail_msg("%s", error_of(v));
    assert_string_equal(cJSON_GetObjectItem(v, "code")->valuestring, "arguments");
  }
}

static void test_same_id_twice(void **state) {
  auto_close int fd = dial(*state);
  send_text(fd, "{\"v\": 1, \"id\": 1, \"op\": \"later\", \"args\": {\"ms\": 5000}}");
  send_text(fd, "{\"v\": 1, \"id\": 1, \"op\": \"echo\"}");
  auto_json cJSON *v = next(fd);
  assert_non_null(strstr(error_of(v), "is under way"));
  assert_null(next(fd));
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  const struct CMUnitTest tests[] = {
      TEST(test_answers),         cmocka_unit_test_setup_teardown(test_answers, open_deep_world, close_world),
      TEST(test_several_at_once), TEST(test_gone_before_the_answer),
      TEST(test_byte_by_byte),    TEST(test_bad_requests),
      TEST(test_half_a_frame),    TEST(test_wrong_sizes),
      TEST(test_arguments),       TEST(test_same_id_twice),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
