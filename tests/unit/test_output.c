/* What init makes of its children's output, with real processes and pipes. */
#include "init/state.h"
#include "init_scene.h"

static void lines_are_copied_byte_for_byte(void **state) {
  (void)state;
  struct shown s;
  scene_start(&s, &(struct scene){.shell = "printf 'a\\n\\nb\\000c\\n\\377\\n'; printf 'x\\n' >&2; printf 'no end'"});
  assert_int_equal(scene_end(&s), 0);
  assert_int_equal(s.out.len, 15);
  assert_memory_equal(s.out.data, "a\n\nb\0c\n\xff\nno end", 15);
  assert_non_null(strstr(buf_cstr(&s.err), "x\n"));
  scene_free(&s);
}

static void long_lines_stay_whole(void **state) {
  (void)state;
  struct shown s;
  scene_start(&s, &(struct scene){.one_pipe = true,
                                  .shell = "for i in 1 2 3; do head -c 1000000 /dev/zero | tr '\\0' x; echo; done &"
                                           "i=0; while [ $i -lt 2000 ]; do echo short $i >&2; i=$((i+1)); done; wait"});
  assert_int_equal(scene_end(&s), 0);
  int longs = 0;
  int shorts = 0;
  const char *p = buf_cstr(&s.out);
  for (const char *end; (end = strchr(p, '\n')); p = end + 1) {
    size_t n = (size_t)(end - p);
    if (*p == 'x') {
      assert_int_equal(n, 1000000);
      assert_null(memchr(p, 's', n));
      longs++;
    } else if (strncmp(p, "short ", 6) == 0) {
      assert_int_equal(strtol(p + 6, NULL, 10), shorts);
      shorts++;
    }
  }
  assert_int_equal(longs, 3);
  assert_int_equal(shorts, 2000);
  scene_free(&s);
}

/* A line longer than the bound that is left unfinished gives way after a second. */
static void a_silent_line_is_cut_in_on(void **state) {
  (void)state;
  struct shown s;
  scene_start(&s, &(struct scene){
                      .one_pipe = true,
                      .shell = "head -c 70000 /dev/zero | tr '\\0' x; while :; do echo other >&2; sleep 0.05; done"});
  scene_wait(&s, &s.out, "x\n");
  scene_wait(&s, &s.out, "\nother\n");
  kill(s.pid, SIGQUIT);
  assert_int_equal(scene_end(&s), 137);
  scene_free(&s);
}

static void labels(void **state) {
  (void)state;
  struct shown s;
  scene_start(&s, &(struct scene){.shell = "echo one; echo two; printf end", .output.format = OUTPUT_LABEL});
  assert_int_equal(scene_end(&s), 0);
  assert_string_equal(buf_cstr(&s.out), "main: one\nmain: two\nmain: end");
  scene_free(&s);
  scene_start(
      &s, &(struct scene){.shell = "echo one", .output.format = OUTPUT_LABEL, .spec = {.name = "web", .instance = 2}});
  assert_int_equal(scene_end(&s), 0);
  assert_string_equal(buf_cstr(&s.out), "web/2: one\n");
  scene_free(&s);
}

static void events(void **state) {
  (void)state;
  struct shown s;
  struct scene scene = {
      .shell = "printf 'a \"b\"\\n'; printf '\\377\\n'; head -c 40000 /dev/zero | tr '\\0' x; echo; printf end",
      .output = {.format = OUTPUT_JSON, .log_fd = 1, .container_id = "c", .flow = "f"}};
  scene_start(&s, &scene);
  assert_int_equal(scene_end(&s), 0);
  static const char *const expected[] = {
      "\", \"level\": \"INFO\", \"component\": \"workload\", \"container_id\": \"c\", \"flow\": \"f\", \"event\": "
      "\"output\", "
      "\"details\": {\"process\": \"main\", \"instance\": 0, \"stream\": \"stdout\", \"part\": 1, \"last\": true, "
      "\"text\": \"a \\\"b\\\"\"}}\n",
      "\"part\": 1, \"last\": true, \"base64\": \"/w==\"}}\n",
      "\"part\": 1, \"last\": false, \"text\": \"xxx",
      "\"part\": 2, \"last\": false, \"text\": \"xxx",
      "\"part\": 3, \"last\": true, \"text\": \"xxx",
      "\"part\": 1, \"last\": true, \"text\": \"end\"}}\n",
  };
  const char *at = buf_cstr(&s.out);
  for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
    at = strstr(at, expected[i]);
    if (!at) fail_msg("not there: %s", expected[i]);
  }
  scene_free(&s);
}

/* The bytes of `n` in a line of digits, enough to fill every pipe and buffer on the way. */
#define MUCH "i=0; while [ $i -lt 40000 ]; do echo line number $i; i=$((i+1)); done"

static void nothing_is_lost_to_a_slow_reader(void **state) {
  (void)state;
  struct shown s;
  scene_start(&s, &(struct scene){.shell = MUCH "; echo written >&2"});
  scene_number(&s, "started");
  struct pollfd full = {.fd = s.out_fd, .events = POLLIN};
  assert_int_equal(poll(&full, 1, 20000), 1);
  usleep(100000);
  assert_null(strstr(buf_cstr(&s.err), "written"));
  assert_int_equal(scene_end(&s), 0);
  const char *p = buf_cstr(&s.out);
  for (int i = 0; i < 40000; i++) {
    char line[32];
    int n = snprintf(line, sizeof line, "line number %d\n", i);
    assert_memory_equal(p, line, n);
    p += n;
  }
  assert_int_equal(*p, 0);
  scene_free(&s);
}

/* Waits for the end without reading tend's output. */
static int end_unread(struct shown *s) {
  int status = 0;
  int64_t due = clock_mono_ns() + SCENE_WAIT_NS;
  while (waitpid(s->pid, &status, WNOHANG) == 0) {
    assert_true(clock_mono_ns() < due);
    usleep(1000);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void an_unread_output_does_not_delay_a_stop(void **state) {
  (void)state;
  struct shown s;
  scene_start(&s, &(struct scene){.shell = "while :; do echo much output that nobody reads; done", .immediate = true});
  scene_number(&s, "started");
  usleep(200000);
  int64_t begin = clock_mono_ns();
  kill(s.pid, SIGTERM);
  assert_int_equal(end_unread(&s), 143);
  assert_in_range(clock_mono_ns() - begin, 0, 3 * NS_PER_S);
  scene_free(&s);
}

/* The end waits for a slow reader, but not against a stop. */
static void a_stop_ends_the_wait_for_a_reader(void **state) {
  (void)state;
  struct shown s;
  scene_start(&s, &(struct scene){.shell = "head -c 120000 /dev/zero | tr '\\0' '\\n'; exit 8"});
  while (!strstr(buf_cstr(&s.err), "left 0\n")) {
    char text[1024];
    ssize_t n = read(s.err_fd, text, sizeof text);
    assert_true(n > 0);
    buf_add(&s.err, text, (size_t)n);
  }
  usleep(100000);
  assert_int_equal(waitpid(s.pid, NULL, WNOHANG), 0);
  kill(s.pid, SIGTERM);
  assert_int_equal(end_unread(&s), 8);
  scene_free(&s);
  scene_start(&s, &(struct scene){.shell = "head -c 120000 /dev/zero | tr '\\0' '\\n'; exit 8"});
  struct pollfd full = {.fd = s.out_fd, .events = POLLIN};
  assert_int_equal(poll(&full, 1, 20000), 1);
  usleep(100000);
  assert_int_equal(scene_end(&s), 8);
  assert_int_equal(s.out.len, 120000);
  scene_free(&s);
}

static void drop_lets_the_workload_go_on(void **state) {
  (void)state;
  struct shown s;
  scene_start(&s, &(struct scene){.shell = MUCH "; echo written >&2", .output.overflow = OUTPUT_DROP});
  scene_wait(&s, &s.err, "started");
  int64_t due = clock_mono_ns() + SCENE_WAIT_NS;
  while (!strstr(buf_cstr(&s.err), "written")) {
    char text[4096];
    struct pollfd p = {.fd = s.err_fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, clock_ms_until(due, clock_mono_ns())), 1);
    ssize_t n = read(s.err_fd, text, sizeof text);
    assert_true(n > 0);
    buf_add(&s.err, text, (size_t)n);
  }
  assert_int_equal(scene_end(&s), 0);
  /* whole lines in order, the last one among them, and some missing */
  const char *p = buf_cstr(&s.out);
  long last = -1;
  long count = 0;
  for (const char *end; (end = strchr(p, '\n')); p = end + 1) {
    assert_memory_equal(p, "line number ", 12);
    char *rest;
    long i = strtol(p + 12, &rest, 10);
    assert_ptr_equal(rest, end);
    assert_true(i > last);
    last = i;
    count++;
  }
  assert_int_equal(last, 39999);
  assert_true(count < 40000);
  assert_non_null(strstr(buf_cstr(&s.err), "its oldest lines were dropped"));
  scene_free(&s);
}

static void a_gone_reader_stops_nobody(void **state) {
  (void)state;
  struct shown s;
  scene_start(&s, &(struct scene){.shell = "trap '' PIPE; " MUCH "; echo written >&2; exit 7"});
  close(s.out_fd);
  s.out_fd = -1;
  assert_int_equal(scene_end(&s), 7);
  assert_non_null(strstr(buf_cstr(&s.err), "written"));
  assert_non_null(strstr(buf_cstr(&s.err), "nobody reads this output any more"));
  scene_free(&s);
}

static void output_held_by_nobody_we_know_does_not_delay_the_end(void **state) {
  (void)state;
  struct shown s;
  scene_start(&s, &(struct scene){.shell = "setsid sleep 1000 & echo started late; exit 0"});
  assert_int_equal(scene_end(&s), 0);
  assert_string_equal(buf_cstr(&s.out), "started late\n");
  scene_free(&s);
}

/* Every way of writing takes what there is room for and never waits; what was taken arrives. */
static void writers_never_wait(void **state) {
  (void)state;
  static const enum writer_kind kinds[] = {WRITER_PIPE, WRITER_SMALL};
  static struct writer w;
  static char block[50000];
  for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
    int fd[2];
    assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
    writer_open(&w, fd[1]);
    assert_int_equal(w.kind, WRITER_PIPE);
    w.kind = kinds[i];
    size_t sent = 0;
    ssize_t r;
    while ((r = writer_write(&w, block, sizeof block)) > 0) sent += (size_t)r;
    assert_int_equal(r, -EAGAIN);
    assert_true(sent >= 65536 - PIPE_BUF);
    size_t got = 0;
    while (got < sent && (r = read(fd[0], block, sizeof block)) > 0) got += (size_t)r;
    assert_int_equal(got, sent);
    close(fd[0]);
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(writer_write(&w, block, 1), -EPIPE);
    close(fd[1]);
  }
}

/* The text that a tail gives from `since` on. */
static size_t tail_text(struct init *in, uint64_t since, char *to, size_t size, uint64_t *end) {
  int fd = tail_memfd(in, "web", 1, since, end);
  assert_true(fd >= 0);
  ssize_t n = pread(fd, to, size, 0);
  close(fd);
  return (size_t)n;
}

static void tails_keep_the_last_whole_lines(void **state) {
  (void)state;
  static struct init in;
  static char text[LIMIT_TAIL + 1];
  uint64_t end = 0;
  struct tail *t = tail_get(&in, "web", 1);
  assert_ptr_equal(tail_get(&in, "web", 1), t);
  assert_ptr_not_equal(tail_get(&in, "web", 0), t);
  assert_int_equal(tail_text(&in, 0, text, sizeof text, &end), 0);
  tail_add(t, "one\ntwo\n", 8, 7);
  in.now_ns = 10;
  assert_int_equal(tail_silent_ns(&in, t->name, -1), 3);
  assert_int_equal(tail_silent_ns(&in, "none", -1), -1);
  assert_int_equal(tail_text(&in, 0, text, sizeof text, &end), 8);
  assert_int_equal(end, 8);
  assert_int_equal(tail_text(&in, 4, text, sizeof text, &end), 4);
  assert_memory_equal(text, "two\n", 4);
  assert_int_equal(tail_text(&in, 8, text, sizeof text, &end), 0);
  for (int i = 0; i < 20000; i++) {
    char line[32];
    tail_add(t, line, (size_t)snprintf(line, sizeof line, "line %d\n", i), 8);
  }
  size_t n = tail_text(&in, 0, text, sizeof text, &end);
  assert_in_range(n, LIMIT_TAIL - 16, LIMIT_TAIL);
  assert_memory_equal(text, "line ", 5);
  assert_memory_equal(text + n - 11, "line 19999\n", 11);
  assert_int_equal(tail_text(&in, end - 6, text, sizeof text, &end), 6);
  assert_memory_equal(text, "19999\n", 6);
}

/* What the engine has written is in its pipe when it ends, more than one read takes. */
static void the_last_events_are_not_lost(void **state) {
  (void)state;
  enum { LINES = 1500 };
  struct shown s;
  scene_start(&s, &(struct scene){.shell = "true", .burst = LINES});
  assert_int_equal(scene_end(&s), 0);
  char last[32];
  snprintf(last, sizeof last, "burst %d ", LINES - 1);
  assert_non_null(strstr(buf_cstr(&s.err), last));
  int n = 0;
  for (const char *p = buf_cstr(&s.err); (p = strstr(p, "burst ")); p++) n++;
  assert_int_equal(n, LINES);
  scene_free(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines_are_copied_byte_for_byte),
      cmocka_unit_test(long_lines_stay_whole),
      cmocka_unit_test(a_silent_line_is_cut_in_on),
      cmocka_unit_test(labels),
      cmocka_unit_test(events),
      cmocka_unit_test(nothing_is_lost_to_a_slow_reader),
      cmocka_unit_test(an_unread_output_does_not_delay_a_stop),
      cmocka_unit_test(a_stop_ends_the_wait_for_a_reader),
      cmocka_unit_test(drop_lets_the_workload_go_on),
      cmocka_unit_test(a_gone_reader_stops_nobody),
      cmocka_unit_test(writers_never_wait),
      cmocka_unit_test(tails_keep_the_last_whole_lines),
      cmocka_unit_test(output_held_by_nobody_we_know_does_not_delay_the_end),
      cmocka_unit_test(the_last_events_are_not_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
