#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/frame.h"
#include "base/limits.h"
#include "base/place.h"
#include "base/str.h"
#include "loop/control.h"
#include "loop/control_inner.h"

/* --- an engine in a process of its own -------------------------------------------------------------------------- */

struct engine {
  struct loop *loop;
  struct sink *sink;
  struct timer *timer;
  struct control *control;
  struct control_reply *later[LIMIT_CONTROL_PENDING];
  unsigned n_later;
};

static void op_echo(void *arg, const struct control_request *q, struct control_reply *r) {
  (void)arg;
  auto_buf struct buf value = {0};
  struct json j = JSON_INIT(&value);
  json_object(&j, NULL);
  json_value(&j, "args", q->args);
  json_int(&j, "uid", q->uid);
  json_int(&j, "pid", q->pid);
  json_object_end(&j);
  control_answer_buf(r, &value);
}

static void on_later(void *arg) {
  struct engine *e = arg;
  for (unsigned i = 0; i < e->n_later; i++) control_answer(e->later[i], "\"late\"");
  e->n_later = 0;
}

static void op_later(void *arg, const struct control_request *q, struct control_reply *r) {
  struct engine *e = arg;
  e->later[e->n_later++] = r;
  timer_after(e->timer, control_arg_int(q, "ms", 20) * NS_PER_MS);
}

static void op_refuse(void *arg, const struct control_request *q, struct control_reply *r) {
  (void)arg;
  control_refuse(r, "no \"%s\" here", control_arg_str(q, "what", "nothing"));
}

static void op_big(void *arg, const struct control_request *q, struct control_reply *r) {
  (void)arg;
  auto_buf struct buf value = {0};
  buf_char(&value, '"');
  for (int64_t i = control_arg_int(q, "bytes", 0); i > 0; i--) buf_char(&value, 'x');
  buf_char(&value, '"');
  control_answer_buf(r, &value);
}

static void op_emit(void *arg, const struct control_request *q, struct control_reply *r) {
  struct engine *e = arg;
  char text[1000];
  memset(text, 'e', sizeof text - 1);
  text[sizeof text - 1] = 0;
  for (int64_t i = control_arg_int(q, "n", 1); i > 0; i--) sink_say(e->sink, EVENT_NOTICE, LEVEL_INFO, "%s", text);
  control_answer(r, NULL);
}

/* So short only where a test wants it: a busy machine makes anybody slow. */
static void op_hurry(void *arg, const struct control_request *q, struct control_reply *r) {
  (void)q;
  struct engine *e = arg;
  e->control->patience.frame_ns = 150 * NS_PER_MS;
  e->control->patience.send_ns = 300 * NS_PER_MS;
  control_answer(r, NULL);
}

static void op_quit(void *arg, const struct control_request *q, struct control_reply *r) {
  (void)q;
  struct engine *e = arg;
  control_answer(r, NULL);
  loop_stop(e->loop);
}

struct stream {
  struct control_reply *reply;
  struct timer *timer;
  unsigned pushed, rooms;
  bool endless, held, floods;
};

static void stream_end(void *arg) {
  struct stream *t = arg;
  control_refuse(t->reply, "ended after %u parts", t->pushed);
  timer_free(t->timer);
  free(t);
}

static void stream_on(void *arg) {
  struct stream *t = arg;
  char part[4100];
  memset(part, 'p', sizeof part);
  part[0] = part[4098] = '"';
  do {
    int rc = t->held ? -EAGAIN : control_push(t->reply, part, 4099);
    if (rc == -EAGAIN && !t->held) t->held = true;
    t->pushed += !t->held;
  } while (t->floods && !t->held);
  if (!t->held) timer_after(t->timer, 0);
}

static void stream_room(void *arg) {
  struct stream *t = arg;
  t->held = false;
  t->rooms++;
  if (t->floods)
    stream_on(t);
  else
    timer_after(t->timer, 0);
}

/* Prints for ever. With n it fills up at once whatever room there is. */
static void op_babble(void *arg, const struct control_request *q, struct control_reply *r) {
  struct engine *e = arg;
  struct stream *t = calloc(1, sizeof *t);
  t->reply = r;
  t->floods = control_arg_int(q, "n", 0);
  t->timer = timer_new(e->loop, stream_on, t);
  control_wait(r, stream_end, stream_room, t);
  timer_after(t->timer, 0);
}

static const struct operation_arg any_args[] = {{.name = "a", .type = ARG_ANY},
                                                {.name = "ms", .type = ARG_INTEGER},
                                                {.name = "what", .type = ARG_ANY},
                                                {.name = "bytes", .type = ARG_INTEGER},
                                                {.name = "n", .type = ARG_INTEGER},
                                                {.name = "name", .type = ARG_STRING},
                                                {0}};
static const struct operation any = {"any", "reads", .right = RIGHT_READ, .args = any_args};
static const struct operation change = {
    "change", "changes", .right = RIGHT_OPERATE, .audit = true, .reads_with = "what", .args = any_args};
static const struct control_op ops[] = {{"echo", op_echo, &any},
                                        {"later", op_later, &any},
                                        {"refuse", op_refuse, &any},
                                        {"big", op_big, &any},
                                        {"emit", op_emit, &any},
                                        {"change", op_echo, &change},
                                        {"change-not", op_refuse, &change},
                                        {"quit", op_quit, &any},
                                        {"hurry", op_hurry, &any},
                                        {"babble", op_babble, &any},
                                        {0}};

static int engine_main(const struct state_dir *dir, int ready) {
  struct engine e = {.loop = loop_new()};
  struct sink_options o = {.fd = open("/dev/null", O_WRONLY | O_CLOEXEC), .who = {"c", "f"}};
  e.sink = sink_new(e.loop, &o);
  e.timer = timer_new(e.loop, on_later, &e);
  struct err err = ERR_INIT;
  struct control *c = control_new(e.loop, e.sink, dir, -1, &err);
  control_add(c, ops, &e);
  if (!c) {
    fprintf(stderr, "%s\n", err.msg);
    return 1;
  }
  e.control = c;
  if (write(ready, "x", 1) != 1) return 1;
  loop_run(e.loop);
  control_free(c);
  on_later(&e); /* answers to nobody */
  timer_free(e.timer);
  sink_free(e.sink);
  loop_free(e.loop);
  return 0;
}

struct world {
  char root[400];
  struct state_dir dir;
  pid_t engine;
};

static int world_open_in(struct world *w, const char *sub) {
  char base[] = "/tmp/tend-test-XXXXXX";
  assert_non_null(mkdtemp(base));
  snprintf(w->root, sizeof w->root, "%s%s", base, sub);
  struct err err = ERR_INIT;
  w->dir = (struct state_dir)STATE_DIR_INIT;
  if (state_open(&w->dir, w->root, "demo", getpid(), &err)) fail_msg("%s", err.msg);
  int p[2];
  assert_int_equal(pipe2(p, O_CLOEXEC), 0);
  w->engine = fork();
  if (w->engine == 0) _exit(engine_main(&w->dir, p[1]));
  char c;
  close(p[1]);
  assert_int_equal(read(p[0], &c, 1), 1);
  close(p[0]);
  return 0;
}

static int open_world(void **state) {
  struct world *w = calloc(1, sizeof *w);
  *state = w;
  return world_open_in(w, "");
}

static int open_deep_world(void **state) {
  struct world *w = calloc(1, sizeof *w);
  *state = w;
  char deep[200];
  memset(deep, 'd', sizeof deep - 1);
  deep[0] = '/';
  deep[sizeof deep - 1] = 0;
  return world_open_in(w, deep);
}

/* --- a client --------------------------------------------------------------------------------------------------- */

static int dial(const struct world *w) {
  struct err err = ERR_INIT;
  int fd = place_connect(w->dir.fd, w->dir.path, PLACE_SOCKET, &err);
  if (fd < 0) fail_msg("%s", err.msg);
  struct timeval patience = {.tv_sec = 30};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  return fd;
}

static void send_text(int fd, const char *json) {
  auto_buf struct buf b = {0};
  frame_add(&b, json, strlen(json));
  assert_int_equal(send(fd, b.data, b.len, MSG_NOSIGNAL), b.len);
}

static bool read_all(int fd, void *to, size_t n) {
  for (char *p = to; n;) {
    ssize_t k = recv(fd, p, n, 0);
    if (k <= 0) return false;
    p += k;
    n -= (size_t)k;
  }
  return true;
}

/* The next frame, NULL at the end of the connection. */
static cJSON *next(int fd) {
  unsigned char head[4];
  if (!read_all(fd, head, 4)) return NULL;
  size_t n = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
  auto_free char *text = malloc(n + 1);
  if (!read_all(fd, text, n)) return NULL;
  text[n] = 0;
  cJSON *v = cJSON_Parse(text);
  assert_non_null(v);
  return v;
}

static const char *error_of(const cJSON *v) {
  assert_true(cJSON_IsFalse(cJSON_GetObjectItem(v, "ok")));
  return cJSON_GetObjectItem(v, "error")->valuestring;
}

static const cJSON *value_of(const cJSON *v, int id) {
  if (!cJSON_IsTrue(cJSON_GetObjectItem(v, "ok"))) fail_msg("%s", cJSON_GetObjectItem(v, "error")->valuestring);
  assert_int_equal(cJSON_GetObjectItem(v, "id")->valueint, id);
  return cJSON_GetObjectItem(v, "value");
}

static void hurry(const struct world *w) {
  auto_close int fd = dial(w);
  send_text(fd, "{\"v\": 1, \"id\": 1, \"op\": \"hurry\"}");
  auto_json cJSON *v = next(fd);
  value_of(v, 1);
}

static int close_world(void **state) {
  struct world *w = *state;
  auto_close int fd = dial(w);
  send_text(fd, "{\"v\": 1, \"id\": 1, \"op\": \"quit\"}");
  auto_json cJSON *v = next(fd);
  assert_non_null(v);
  int status = -1;
  assert_int_equal(waitpid(w->engine, &status, 0), w->engine);
  assert_int_equal(status, 0);
  assert_int_equal(faccessat(w->dir.fd, PLACE_SOCKET, F_OK, 0), -1);
  unlinkat(w->dir.fd, "lock", 0);
  state_close(&w->dir);
  rmdir(w->dir.path);
  rmdir(w->root);
  w->root[sizeof "/tmp/tend-test-XXXXXX" - 1] = 0;
  rmdir(w->root);
  free(w);
  return 0;
}

/* A new client is served again, within that time. */
static void assert_room(const struct world *e, int seconds) {
  bool ok = false;
  for (int64_t due = clock_mono_ns() + seconds * NS_PER_S; !ok && clock_mono_ns() < due;) {
    auto_close int fd = dial(e);
    auto_buf struct buf b = {0};
    const char *text = "{\"v\": 1, \"id\": 1, \"op\": \"echo\"}";
    frame_add(&b, text, strlen(text));
    (void)!send(fd, b.data, b.len, MSG_NOSIGNAL);
    auto_json cJSON *v = next(fd);
    ok = v && cJSON_IsTrue(cJSON_GetObjectItem(v, "ok"));
  }
  assert_true(ok);
}

/* --- the tests -------------------------------------------------------------------------------------------------- */

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

static void test_same_id_twice(void **state) {
  auto_close int fd = dial(*state);
  send_text(fd, "{\"v\": 1, \"id\": 1, \"op\": \"later\", \"args\": {\"ms\": 5000}}");
  send_text(fd, "{\"v\": 1, \"id\": 1, \"op\": \"echo\"}");
  auto_json cJSON *v = next(fd);
  assert_non_null(strstr(error_of(v), "is under way"));
  assert_null(next(fd));
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

/* Connections that ask nothing keep nobody out for longer than a second. */
static void test_idle_ones_go(void **state) {
  int fds[LIMIT_CONTROL_CLIENTS];
  for (int i = 0; i < LIMIT_CONTROL_CLIENTS; i++) fds[i] = dial(*state);
  assert_room(*state, 10);
  for (int i = 0; i < LIMIT_CONTROL_CLIENTS; i++) close(fds[i]);
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  const struct CMUnitTest tests[] = {
      TEST(test_answers),
      cmocka_unit_test_setup_teardown(test_answers, open_deep_world, close_world),
      TEST(test_several_at_once),
      TEST(test_gone_before_the_answer),
      TEST(test_byte_by_byte),
      TEST(test_bad_requests),
      TEST(test_half_a_frame),
      TEST(test_wrong_sizes),
      TEST(test_many_clients),
      TEST(test_rate),
      TEST(test_large_answers),
      TEST(test_slow_reader),
      TEST(test_events),
      TEST(test_follower_that_is_late),
      TEST(test_another_user),
      TEST(test_another_engine),
      TEST(test_audit),
      TEST(test_arguments),
      TEST(test_cancel),
      TEST(test_same_id_twice),
      TEST(test_flood_is_cancelled),
      TEST(test_endless_output),
      TEST(test_idle_ones_go),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
