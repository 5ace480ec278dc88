/* The control socket: who may come, how many, how often, and what is told of it. */
#include "control_scene.h"

static void test_many_clients(void **state) {
  enum { N = 100 };
  int fds[N];
  unsigned served = 0;
  unsigned refused = 0;
  for (int i = 0; i < N; i++) fds[i] = dial(*state);
  for (int i = 0; i < N; i++) {
    auto_buf struct buf b = {0};
    const char *text = "{\"v\": 1, \"id\": 1, \"op\": \"echo\"}";
    frame_add(&b, text, strlen(text));
    (void)!send(fds[i], b.data, b.len, MSG_NOSIGNAL);
    auto_json cJSON *v = next(fds[i]);
    assert_non_null(v);
    if (cJSON_IsTrue(cJSON_GetObjectItem(v, "ok")))
      served++;
    else if (STR_EQ(error_of(v), "too many clients"))
      refused++;
  }
  assert_int_equal(served, LIMIT_CONTROL_CLIENTS);
  assert_int_equal(refused, N - LIMIT_CONTROL_CLIENTS);
  for (int i = 0; i < N; i++) close(fds[i]);
  /* room again, as soon as the engine has seen them go */
  assert_room(*state, 5);
}

/* A thousand requests at once come through, no faster than the bound; others are served meanwhile. */
static void test_rate(void **state) {
  auto_close int busy = dial(*state);
  auto_close int other = dial(*state);
  int64_t start = clock_mono_ns();
  enum { N = LIMIT_CONTROL_RATE + LIMIT_CONTROL_RATE / 4 };
  for (int i = 0; i < N; i++) send_text(busy, "{\"v\": 1, \"id\": 1, \"op\": \"echo\"}");
  send_text(other, "{\"v\": 1, \"id\": 5, \"op\": \"echo\"}");
  auto_json cJSON *v = next(other);
  value_of(v, 5);
  for (int i = 0; i < N; i++) {
    auto_json cJSON *answer = next(busy);
    value_of(answer, 1);
  }
  assert_true(clock_mono_ns() - start >= 200 * NS_PER_MS);
}

/* What changes something is told twice: who asked, and what came of it. */
static void test_audit(void **state) {
  auto_close int fd = dial(*state);
  send_text(fd, "{\"v\": 1, \"id\": 1, \"op\": \"change\", \"args\": {\"what\": true}}"); /* only reads */
  auto_json cJSON *read = next(fd);
  value_of(read, 1);
  send_text(fd, "{\"v\": 1, \"id\": 2, \"op\": \"change-not\", \"args\": {\"name\": \"x\"}}");
  auto_json cJSON *no = next(fd);
  error_of(no);
  send_text(fd, "{\"v\": 1, \"id\": 3, \"op\": \"hello\", \"args\": {\"read_only\": true}}");
  auto_json cJSON *hello = next(fd);
  assert_string_equal(cJSON_GetObjectItem(value_of(hello, 3), "right")->valuestring, "read-only");
  assert_int_equal(cJSON_GetObjectItem(value_of(hello, 3), "protocol")->valueint, 1);
  send_text(fd, "{\"v\": 1, \"id\": 4, \"op\": \"change\"}");
  auto_json cJSON *denied = next(fd);
  assert_non_null(strstr(error_of(denied), "may only look"));
  assert_string_equal(cJSON_GetObjectItem(denied, "code")->valuestring, "denied");
  send_text(fd,
            "{\"v\": 1, \"id\": 5, \"op\": \"hello\", \"args\": {\"read_only\": false}}"); /* does not bring it back */
  auto_json cJSON *again = next(fd);
  assert_string_equal(cJSON_GetObjectItem(value_of(again, 5), "right")->valuestring, "read-only");
  send_text(fd, "{\"v\": 1, \"id\": 6, \"op\": \"events\"}");
  auto_json cJSON *v = next(fd);
  const cJSON *list = value_of(v, 6);
  assert_int_equal(cJSON_GetArraySize(list), 3);
  static const char *const outcomes[] = {NULL, "refused", "denied"};
  for (int i = 0; i < 3; i++) {
    const cJSON *event = cJSON_GetObjectItem(cJSON_GetArrayItem(list, i), "event");
    const cJSON *details = cJSON_GetObjectItem(event, "details");
    const char *outcome = cJSON_GetStringValue(cJSON_GetObjectItem(details, "outcome"));
    assert_string_equal(cJSON_GetObjectItem(details, "op")->valuestring, i < 2 ? "change-not" : "change");
    assert_int_equal(cJSON_GetObjectItem(details, "uid")->valueint, getuid());
    if (!outcomes[i])
      assert_null(outcome);
    else
      assert_string_equal(outcome, outcomes[i]);
  }
}

/* Connections that ask nothing keep nobody out for longer than a second. */
static void test_idle_ones_go(void **state) {
  int fds[LIMIT_CONTROL_CLIENTS];
  for (int i = 0; i < LIMIT_CONTROL_CLIENTS; i++) fds[i] = dial(*state);
  assert_room(*state, 10);
  for (int i = 0; i < LIMIT_CONTROL_CLIENTS; i++) close(fds[i]);
}

static void test_another_user(void **state) {
  struct world *w = *state;
  if (geteuid() != 0) {
    print_message("# needs root, to become another user\n");
    skip();
  }
  pid_t pid = fork();
  if (pid == 0) {
    /* through descriptors, as if somebody had opened the folder's mode */
    int fd = -1;
    struct err err = ERR_INIT;
    if (fchmod(w->dir.fd, 0711) || fchmodat(w->dir.fd, PLACE_SOCKET, 0666, 0) || chmod(w->root, 0711)) _exit(2);
    if (setgid(65534) || setuid(65534)) _exit(3);
    fd = place_connect(w->dir.fd, w->dir.path, PLACE_SOCKET, &err);
    if (fd < 0) _exit(4);
    const char *text = "{\"v\": 1, \"id\": 1, \"op\": \"echo\"}";
    auto_buf struct buf b = {0};
    frame_add(&b, text, strlen(text));
    (void)!send(fd, b.data, b.len, MSG_NOSIGNAL);
    char answer[200] = "";
    ssize_t n = recv(fd, answer, sizeof answer - 1, 0);
    _exit(n > 4 && strstr(answer + 4, "only the same user") && recv(fd, answer, 1, 0) <= 0 ? 0 : 5);
  }
  int status = -1;
  waitpid(pid, &status, 0);
  assert_int_equal(status, 0);
}

static void test_another_engine(void **state) {
  struct world *w = *state;
  struct state_dir second = STATE_DIR_INIT;
  struct err err = ERR_INIT;
  assert_int_equal(state_open(&second, w->root, "demo", 1, &err), -EBUSY);
  char pid[32];
  snprintf(pid, sizeof pid, "pid %d ", (int)getpid());
  assert_non_null(strstr(err.msg, pid));
  assert_int_equal(second.fd, -1);
  assert_int_equal(state_open(&second, w->root, "other", 1, &err), 0);
  unlinkat(second.fd, "lock", 0);
  state_close(&second);
  rmdir(second.path);
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  const struct CMUnitTest tests[] = {
      TEST(test_many_clients),   TEST(test_rate),  TEST(test_another_user),
      TEST(test_another_engine), TEST(test_audit), TEST(test_idle_ones_go),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
