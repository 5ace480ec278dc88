#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "core/settings.h"
#include "loop/loop.h"
#include "loop/sink.h"

struct world {
  struct loop *loop;
  struct sink *sink;
  struct settings *settings; /* with one secret, hunter2! */
  int in;                    /* the reader's end */
};

static struct sink_options options_for(int fd, enum level level) {
  struct sink_options o = {.fd = fd, .level = level, .who = {"worker-1", "demo"}};
  return o;
}

static void world_open(struct world *w, enum level level) {
  int p[2];
  assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
  w->in = p[0];
  w->loop = loop_new();
  struct sink_options o = options_for(p[1], level);
  w->sink = sink_new(w->loop, &o);
  assert_non_null(w->sink);
  w->settings = settings_new();
  settings_give(w->settings, LAYER_ENVIRONMENT, "CONTAINER_HTTP_TOKEN", "hunter2!", "environment");
  settings_resolve(w->settings, NULL);
}

static void world_close(struct world *w) {
  sink_free(w->sink);
  settings_free(w->settings);
  loop_free(w->loop);
  if (w->in >= 0) close(w->in);
}

/* Everything that is in the pipe now, appended. */
static void drain(struct world *w, struct buf *b) {
  sink_flush(w->sink, 0); /* what a turn of the loop does */
  for (;;) {
    char *to = buf_room(b, 65536);
    ssize_t n = read(w->in, to, 65536);
    if (n <= 0) return;
    b->len += (size_t)n;
    b->data[b->len] = 0;
  }
}

static void test_line(void **state) {
  (void)state;
  struct world w;
  auto_buf struct buf out = {0};
  world_open(&w, LEVEL_INFO);
  struct sink_options o = options_for(-1, LEVEL_INFO);
  sink_configure(w.sink, &o, w.settings);
  sink_emit(w.sink, EVENT_AUDIT,
            &(struct sink_event){.level = LEVEL_INFO,
                                 .message = "login with hunter2! done",
                                 .details = "{\"password\":\"hunter2!\"}",
                                 .timed = true,
                                 .duration_ns = 3 * NS_PER_MS});
  drain(&w, &out);
  assert_non_null(strstr(buf_cstr(&out),
                         "\"container_id\": \"worker-1\", \"flow\": \"demo\", \"event\": \"audit\", "
                         "\"duration_ms\": 3, \"message\": \"login with *** done\", \"details\": "
                         "{\"password\": \"***\"}}\n"));
  const struct event *e = event_ring_from(sink_ring(w.sink), 1);
  assert_string_equal(e->message, "login with *** done");
  assert_string_equal(e->details, "{\"password\": \"***\"}");
  world_close(&w);
}

static void test_redaction_that_breaks_json(void **state) {
  (void)state;
  struct world w;
  auto_buf struct buf out = {0};
  world_open(&w, LEVEL_INFO);
  struct sink_options o = options_for(-1, LEVEL_INFO);
  sink_configure(w.sink, &o, w.settings);
  sink_emit(w.sink, EVENT_AUDIT, &(struct sink_event){.level = LEVEL_INFO, .details = "hunter2!"});
  drain(&w, &out);
  assert_non_null(strstr(buf_cstr(&out), "\"details\": {\"text\": \"***\"}}\n"));
  world_close(&w);
}

static void test_levels(void **state) {
  (void)state;
  struct world w;
  auto_buf struct buf out = {0};
  world_open(&w, LEVEL_ERROR);
  sink_say(w.sink, EVENT_NOTICE, LEVEL_INFO, "quiet %d", 1);
  sink_say(w.sink, EVENT_NOTICE, LEVEL_ERROR, "loud");
  drain(&w, &out);
  assert_null(strstr(buf_cstr(&out), "quiet"));
  assert_non_null(strstr(buf_cstr(&out), "loud"));
  assert_int_equal(event_ring_last(sink_ring(w.sink)), 2);
  struct sink_options o = options_for(-1, LEVEL_DEBUG);
  sink_configure(w.sink, &o, NULL);
  sink_say(w.sink, EVENT_NOTICE, LEVEL_DEBUG, "detail");
  drain(&w, &out);
  assert_non_null(strstr(buf_cstr(&out), "detail"));
  assert_int_equal(event_ring_last(sink_ring(w.sink)), 2);
  world_close(&w);
}

static void on_held(void *arg, const struct event *e) {
  struct buf *out = arg;
  buf_fmt(out, "%s;", e->message);
}

static void test_held_events(void **state) {
  (void)state;
  struct world w;
  auto_buf struct buf told = {0}, out = {0};
  world_open(&w, LEVEL_INFO);
  assert_int_equal(sink_subscribe(w.sink, on_held, &told), 0);
  sink_hold(w.sink);
  sink_hold(w.sink);
  int64_t before = clock_real_ns();
  char text[] = "first";
  sink_emit(w.sink, EVENT_AUDIT, &(struct sink_event){.level = LEVEL_INFO, .message = text, .details = "{\"a\": 1}"});
  int64_t after = clock_real_ns();
  text[0] = 'x'; /* it was copied */
  sink_say(w.sink, EVENT_NOTICE, LEVEL_DEBUG, "not told");
  sink_release(w.sink);
  assert_int_equal(told.len, 0);
  assert_int_equal(event_ring_last(sink_ring(w.sink)), 1); /* who looks sees it */
  const struct event *e = event_ring_from(sink_ring(w.sink), 1);
  assert_string_equal(e->details, "{\"a\": 1}");
  assert_true(e->real_ns >= before && e->real_ns <= after);
  sink_say(w.sink, EVENT_NOTICE, LEVEL_INFO, "second");
  sink_say(w.sink, EVENT_NOTICE, LEVEL_CRITICAL, "third"); /* at once, and what was before it */
  assert_string_equal(buf_cstr(&told), "first;second;third;");
  sink_say(w.sink, EVENT_NOTICE, LEVEL_INFO, "fourth");
  assert_string_equal(buf_cstr(&told), "first;second;third;");
  sink_release(w.sink);
  assert_string_equal(buf_cstr(&told), "first;second;third;fourth;");
  sink_hold(w.sink);
  for (int i = 0; i < 200; i++) sink_say(w.sink, EVENT_NOTICE, LEVEL_INFO, "%d", i);
  sink_release(w.sink);
  assert_int_equal(event_ring_last(sink_ring(w.sink)), 204);
  assert_non_null(strstr(buf_cstr(&told), ";198;199;"));
  drain(&w, &out);
  assert_non_null(strstr(buf_cstr(&out), "\"message\": \"fourth\""));
  sink_hold(w.sink);
  sink_say(w.sink, EVENT_NOTICE, LEVEL_INFO, "left behind");
  world_close(&w);
}

static void stop_loop(void *arg) { loop_stop(arg); }

static void run_for(struct loop *loop, int64_t ns) {
  struct timer *t = timer_new(loop, stop_loop, loop);
  timer_after(t, ns);
  loop_run(loop);
  timer_free(t);
}

/* A reader that is slow loses whole lines only, and is told how many; whoever emits never waits. */
static void test_slow_reader(void **state) {
  (void)state;
  struct world w;
  world_open(&w, LEVEL_INFO);
  fcntl(w.in, F_SETPIPE_SZ, 4096);
  enum { LINES = 2000 };
  char text[1500];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = 0;
  int64_t start = clock_mono_ns();
  for (int i = 0; i < LINES; i++) sink_say(w.sink, EVENT_NOTICE, LEVEL_INFO, "%s", text);
  assert_true(clock_mono_ns() - start < 5 * NS_PER_S);
  uint64_t lost = sink_dropped(w.sink);
  assert_in_range(lost, 100, LINES - 600);

  auto_buf struct buf out = {0};
  for (int i = 0; i < 5000; i++) {
    size_t before = out.len;
    drain(&w, &out);
    run_for(w.loop, 0);
    if (out.len == before && i > 10) break;
  }
  char expected[100];
  snprintf(expected, sizeof expected, "%llu log lines were lost", (unsigned long long)lost);
  assert_non_null(strstr(out.data, expected));
  unsigned lines = 0;
  for (char *p = out.data; *p; lines++) {
    char *end = strchr(p, '\n');
    assert_non_null(end);
    auto_json cJSON *v = NULL;
    assert_int_equal(json_parse(p, (size_t)(end - p), "line", &v, NULL), 0);
    p = end + 1;
  }
  assert_int_equal(lines, LINES - lost + 1);
  world_close(&w);
}

static void test_flush(void **state) {
  (void)state;
  struct world w;
  world_open(&w, LEVEL_INFO);
  fcntl(w.in, F_SETPIPE_SZ, 4096);
  for (int i = 0; i < 100; i++) sink_say(w.sink, EVENT_NOTICE, LEVEL_INFO, "line %d", i);
  int64_t start = clock_mono_ns();
  sink_flush(w.sink, 30 * NS_PER_MS); /* nobody reads */
  assert_in_range(clock_mono_ns() - start, 20 * NS_PER_MS, 2 * NS_PER_S);
  close(w.in);
  w.in = -1;
  sink_flush(w.sink, 10 * NS_PER_S); /* nobody will: at once */
  assert_true(clock_mono_ns() - start < 5 * NS_PER_S);
  sink_say(w.sink, EVENT_NOTICE, LEVEL_INFO, "into the void");
  assert_int_equal(event_ring_last(sink_ring(w.sink)), 101);
  world_close(&w);
}

struct listener {
  struct sink *sink;
  unsigned heard;
  struct listener *other;
};

static void listen_once(void *arg, const struct event *e) {
  struct listener *l = arg;
  l->heard++;
  assert_true(e->seq > 0);
  sink_unsubscribe(l->sink, listen_once, l);
  if (l->other) {
    assert_int_equal(sink_subscribe(l->sink, listen_once, l->other), 0);
    sink_say(l->sink, EVENT_NOTICE, LEVEL_INFO, "from inside");
  }
}

static void test_subscribers(void **state) {
  (void)state;
  struct world w;
  world_open(&w, LEVEL_CRITICAL);
  struct listener b = {w.sink, 0, NULL};
  struct listener a = {w.sink, 0, &b};
  assert_int_equal(sink_subscribe(w.sink, listen_once, &a), 0);
  sink_say(w.sink, EVENT_NOTICE, LEVEL_DEBUG, "not kept, not told");
  assert_int_equal(a.heard, 0);
  sink_say(w.sink, EVENT_NOTICE, LEVEL_INFO, "one");
  sink_say(w.sink, EVENT_NOTICE, LEVEL_INFO, "two");
  assert_int_equal(a.heard, 1);
  assert_int_equal(b.heard, 1);
  assert_int_equal(event_ring_last(sink_ring(w.sink)), 3);
  world_close(&w);
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_line),        cmocka_unit_test(test_redaction_that_breaks_json),
      cmocka_unit_test(test_levels),      cmocka_unit_test(test_held_events),
      cmocka_unit_test(test_slow_reader), cmocka_unit_test(test_flush),
      cmocka_unit_test(test_subscribers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
