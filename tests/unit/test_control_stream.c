/* The control socket: answers in many parts: events, what prints for ever, what is cancelled, who reads slowly. */
#include "control_scene.h"

#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>

static void test_large_answers(void **state) {
  auto_close int fd = dial(*state);
  send_text(fd, "{\"v\": 1, \"id\": 1, \"op\": \"big\", \"args\": {\"bytes\": 3000000}}");
  auto_json cJSON *v = next(fd);
  assert_int_equal(strlen(value_of(v, 1)->valuestring), 3000000);
  send_text(fd, "{\"v\": 1, \"id\": 2, \"op\": \"big\", \"args\": {\"bytes\": 34000000}}");
  auto_json cJSON *refused = next(fd);
  assert_non_null(strstr(error_of(refused), "at most"));
}

static void test_slow_reader(void **state) {
  hurry(*state);
  auto_close int slow = dial(*state);
  send_text(slow, "{\"v\": 1, \"id\": 1, \"op\": \"big\", \"args\": {\"bytes\": 3000000}}");
  auto_close int other = dial(*state);
  send_text(other, "{\"v\": 1, \"id\": 2, \"op\": \"echo\"}");
  auto_json cJSON *v = next(other);
  value_of(v, 2);
  struct pollfd p = {.fd = slow, .events = POLLRDHUP};
  assert_int_equal(poll(&p, 1, 5000), 1);
  assert_true(p.revents & POLLRDHUP);
  assert_null(next(slow)); /* cut in the middle */
}

static void test_events(void **state) {
  auto_close int fd = dial(*state);
  send_text(fd, "{\"v\": 1, \"id\": 1, \"op\": \"emit\", \"args\": {\"n\": 5}}");
  auto_json cJSON *emitted = next(fd);
  value_of(emitted, 1);
  send_text(fd, "{\"v\": 1, \"id\": 2, \"op\": \"events\", \"args\": {\"last\": 2}}");
  auto_json cJSON *v = next(fd);
  const cJSON *list = value_of(v, 2);
  assert_int_equal(cJSON_GetArraySize(list), 2);
  const cJSON *last = cJSON_GetArrayItem(list, 1);
  assert_string_equal(cJSON_GetObjectItem(cJSON_GetObjectItem(last, "event"), "event")->valuestring, "notice");
  int seq = cJSON_GetObjectItem(last, "seq")->valueint;

  char text[200];
  snprintf(text, sizeof text, "{\"v\": 1, \"id\": 3, \"op\": \"events\", \"args\": {\"from\": %d, \"follow\": true}}",
           seq);
  auto_close int follower = dial(*state);
  send_text(follower, text);
  auto_json cJSON *part = next(follower);
  assert_int_equal(cJSON_GetObjectItem(cJSON_GetObjectItem(part, "part"), "seq")->valueint, seq);
  send_text(fd, "{\"v\": 1, \"id\": 4, \"op\": \"change\", \"args\": {\"name\": \"main\"}}");
  auto_json cJSON *done = next(fd);
  value_of(done, 4);
  auto_json cJSON *audit = next(follower);
  const cJSON *event = cJSON_GetObjectItem(cJSON_GetObjectItem(audit, "part"), "event");
  assert_string_equal(cJSON_GetObjectItem(event, "event")->valuestring, "audit");
  const cJSON *details = cJSON_GetObjectItem(event, "details");
  assert_string_equal(cJSON_GetObjectItem(details, "op")->valuestring, "change");
  assert_int_equal(cJSON_GetObjectItem(details, "uid")->valueint, getuid());
  assert_int_equal(cJSON_GetObjectItem(details, "pid")->valueint, getpid());
  assert_string_equal(cJSON_GetObjectItem(cJSON_GetObjectItem(details, "args"), "name")->valuestring, "main");

  send_text(fd, "{\"v\": 1, \"id\": 5, \"op\": \"events\", \"args\": {\"level\": \"LOUD\"}}");
  auto_json cJSON *refused = next(fd);
  assert_non_null(strstr(error_of(refused), "LOUD"));
}

/* One that answers at some time, and one that is told: both end at once, others go on. */
static void test_cancel(void **state) {
  auto_close int fd = dial(*state);
  send_text(fd, "{\"v\": 1, \"id\": 1, \"op\": \"later\", \"args\": {\"ms\": 300}}");
  send_text(fd, "{\"v\": 1, \"id\": 2, \"op\": \"events\", \"args\": {\"follow\": true, \"last\": 0}}");
  send_text(fd, "{\"v\": 1, \"id\": 3, \"op\": \"cancel\", \"args\": {\"id\": 1}}");
  auto_json cJSON *yes = next(fd);
  assert_true(cJSON_IsTrue(cJSON_GetObjectItem(value_of(yes, 3), "cancelled")));
  auto_json cJSON *first = next(fd);
  assert_int_equal(cJSON_GetObjectItem(first, "id")->valueint, 1);
  assert_string_equal(cJSON_GetObjectItem(first, "code")->valuestring, "cancelled");
  send_text(fd, "{\"v\": 1, \"id\": 4, \"op\": \"cancel\", \"args\": {\"id\": 2}}");
  auto_json cJSON *too = next(fd);
  value_of(too, 4);
  auto_json cJSON *second = next(fd);
  assert_true(cJSON_IsNull(value_of(second, 2)));
  send_text(fd, "{\"v\": 1, \"id\": 5, \"op\": \"cancel\", \"args\": {\"id\": 99}}");
  auto_json cJSON *none = next(fd);
  assert_true(cJSON_IsFalse(cJSON_GetObjectItem(value_of(none, 5), "cancelled")));
  send_text(fd, "{\"v\": 1, \"id\": 1, \"op\": \"echo\"}"); /* the number is free again */
  auto_json cJSON *echo = next(fd);
  value_of(echo, 1);
}

/* What prints for ever stops at the bound while nobody reads, goes on when somebody does, and ends by cancel. */
static void test_endless_output(void **state) {
  auto_close int fd = dial(*state);
  send_text(fd, "{\"v\": 1, \"id\": 1, \"op\": \"babble\"}");
  auto_close int other = dial(*state);
  for (int i = 0; i < 50; i++) {
    send_text(other, "{\"v\": 1, \"id\": 2, \"op\": \"echo\"}");
    auto_json cJSON *v = next(other);
    value_of(v, 2);
  }
  for (int i = 0; i < 500; i++) { /* 2 MB: more than may wait */
    auto_json cJSON *part = next(fd);
    assert_non_null(cJSON_GetObjectItem(part, "part"));
  }
  send_text(fd, "{\"v\": 1, \"id\": 2, \"op\": \"cancel\", \"args\": {\"id\": 1}}");
  bool ended = false, told = false;
  for (int i = 0; i < 5000 && !(ended && told); i++) {
    auto_json cJSON *v = next(fd);
    assert_non_null(v);
    if (cJSON_GetObjectItem(v, "part")) continue;
    if (cJSON_GetObjectItem(v, "id")->valueint == 2) {
      told = true;
    } else {
      assert_non_null(strstr(error_of(v), "ended after"));
      assert_string_equal(cJSON_GetObjectItem(v, "code")->valuestring, "cancelled");
      ended = true;
    }
  }
  assert_true(ended && told);
  int gone = dial(*state); /* one that leaves in the middle */
  send_text(gone, "{\"v\": 1, \"id\": 1, \"op\": \"babble\"}");
  auto_json cJSON *part = next(gone);
  close(gone);
  send_text(other, "{\"v\": 1, \"id\": 3, \"op\": \"echo\"}");
  auto_json cJSON *v = next(other);
  value_of(v, 3);
}

/* All that the socket holds in one piece, when that is much: the engine then has room for much at once. */
static void gulp(int fd, struct buf *out) {
  int n = 0;
  for (int64_t due = clock_mono_ns() + 50 * NS_PER_MS; n < 100000 && clock_mono_ns() < due; sched_yield())
    ioctl(fd, FIONREAD, &n);
  char *to = buf_room(out, 1 << 20);
  assert_non_null(to);
  ssize_t got = recv(fd, to, 1 << 20, 0);
  assert_true(got > 0);
  out->len += (size_t)got;
}

/* The cancel is heard although the stream fills up the room as fast as it is made. */
static void test_flood_is_cancelled(void **state) {
  auto_close int fd = dial(*state);
  auto_buf struct buf in = {0};
  send_text(fd, "{\"v\": 1, \"id\": 1, \"op\": \"babble\", \"args\": {\"n\": 1}}");
  gulp(fd, &in);
  send_text(fd, "{\"v\": 1, \"id\": 2, \"op\": \"cancel\", \"args\": {\"id\": 1}}");
  bool ended = false;
  for (int i = 0; i < 40 && !ended; i++) {
    size_t from = in.len > 64 ? in.len - 64 : 0;
    gulp(fd, &in);
    ended = memmem(in.data + from, in.len - from, "ended after", 11);
  }
  assert_true(ended);
}

/* A follower that reads late gets what the ring still has and is told what it missed. */
static void test_follower_that_is_late(void **state) {
  auto_close int follower = dial(*state);
  send_text(follower, "{\"v\": 1, \"id\": 1, \"op\": \"events\", \"args\": {\"follow\": true, \"last\": 0}}");
  send_text(follower, "{\"v\": 1, \"id\": 2, \"op\": \"echo\"}");
  auto_json cJSON *begun = next(follower);
  value_of(begun, 2);
  auto_close int fd = dial(*state);
  send_text(fd, "{\"v\": 1, \"id\": 1, \"op\": \"emit\", \"args\": {\"n\": 10000}}");
  auto_json cJSON *emitted = next(fd);
  value_of(emitted, 1);
  int seen = 0;
  int lost = 0;
  while (seen + lost < 10000) {
    auto_json cJSON *v = next(follower);
    assert_non_null(v);
    const cJSON *part = cJSON_GetObjectItem(v, "part");
    const cJSON *n = cJSON_GetObjectItem(part, "lost");
    if (n)
      lost += n->valueint;
    else
      seen++;
  }
  assert_int_equal(seen + lost, 10000);
  assert_in_range(lost, 1, 9000);
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  const struct CMUnitTest tests[] = {
      TEST(test_large_answers),         TEST(test_slow_reader), TEST(test_events),
      TEST(test_follower_that_is_late), TEST(test_cancel),      TEST(test_flood_is_cancelled),
      TEST(test_endless_output),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
