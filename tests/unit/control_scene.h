/* A control socket with an engine behind it in a process of its own, and a client that speaks the frames by hand. */
#ifndef TESTS_CONTROL_SCENE_H
#define TESTS_CONTROL_SCENE_H

#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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

static UNUSED void hurry(const struct world *w) {
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
static UNUSED void assert_room(const struct world *e, int seconds) {
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

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

#endif
