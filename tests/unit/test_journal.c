#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/limits.h"
#include "helper/helper.h"
#include "loop/journal.h"

/* --- children without init: fork, and the helper's function ------------------------------------------------------ */

struct children {
  struct loop *loop;
  bool refuse, deaf; /* cannot be spawned; a helper that never reads */
  unsigned spawned;
  rlim_t file_limit; /* of the helper; 0: none */
  struct fake {
    struct children *owner;
    uint32_t number;
    pid_t pid;
    int out;
    struct watch *watch;
    struct buf text;
    const struct child_ops *ops;
    void *arg;
  } one;
};

static void on_output(void *arg, int fd, int events) {
  (void)events;
  struct fake *f = arg;
  char *to = buf_room(&f->text, 4096);
  ssize_t n = read(fd, to, 4096);
  if (n > 0) {
    f->text.len += (size_t)n;
    if (f->ops && f->ops->said) f->ops->said(f->arg, f->number, &f->text);
    return;
  }
  watch_free(f->watch);
  close(f->out);
  f->watch = NULL;
  struct child_exit e = {.out = &f->text};
  assert_int_equal(waitpid(f->pid, &e.status, 0), f->pid);
  f->pid = 0;
  if (f->ops) f->ops->exited(f->arg, f->number, &e);
}

uint32_t children_spawn(struct children *c, const struct child_spec *spec, const struct child_ops *ops, void *arg,
                        struct err *err) {
  if (c->refuse) {
    err_set(err, -EAGAIN, "no room");
    return 0;
  }
  int p[2];
  assert_int_equal(c->one.pid, 0);
  assert_int_equal(pipe2(p, O_CLOEXEC), 0);
  auto_close int input = spec->input ? memfd_create("input", MFD_CLOEXEC) : dup(spec->input_fd);
  if (spec->input) {
    assert_int_equal(write(input, spec->input, spec->input_len), spec->input_len);
    lseek(input, 0, SEEK_SET);
  }
  pid_t pid = fork();
  if (pid == 0) {
    dup2(input, 0);
    dup2(p[1], 1);
    dup2(p[1], 2);
    closefrom(3);
    if (c->deaf)
      for (;;) pause();
    if (c->file_limit) setrlimit(RLIMIT_FSIZE, &(struct rlimit){c->file_limit, c->file_limit});
    int argc = 0;
    while (spec->argv[argc]) argc++;
    int code = helper_main(argc - 1, (char **)(void *)spec->argv + 1);
    fflush(stdout);
    _exit(code);
  }
  close(p[1]);
  c->spawned++;
  buf_clear(&c->one.text);
  c->one = (struct fake){
      .owner = c, .number = c->spawned, .pid = pid, .out = p[0], .text = c->one.text, .ops = ops, .arg = arg};
  c->one.watch = watch_new(c->loop, p[0], WATCH_READ, on_output, &c->one);
  return c->spawned;
}

void children_forget(struct children *c, uint32_t child) {
  if (c->one.number != child || !c->one.pid) return;
  kill(c->one.pid, SIGKILL);
  waitpid(c->one.pid, NULL, 0);
  watch_free(c->one.watch);
  close(c->one.out);
  c->one.pid = 0;
}

/* --- the world --------------------------------------------------------------------------------------------------- */

struct world {
  char dir[32];
  struct loop *loop;
  struct sink *sink;
  struct children children;
  struct timer *guard;
  bool done;
  int rc;
  char why[ERR_MSG_MAX];
};

static void stop_loop(void *arg) { loop_stop(arg); }

static int open_world(void **state) {
  struct world *w = calloc(1, sizeof *w);
  snprintf(w->dir, sizeof w->dir, "/tmp/tend-test-XXXXXX");
  assert_non_null(mkdtemp(w->dir));
  w->loop = loop_new();
  struct sink_options o = {.fd = open("/dev/null", O_WRONLY | O_CLOEXEC), .who = {"c", "f"}};
  w->sink = sink_new(w->loop, &o);
  w->children.loop = w->loop;
  w->guard = timer_new(w->loop, stop_loop, w->loop);
  *state = w;
  return 0;
}

static int close_world(void **state) {
  struct world *w = *state;
  static const char *const names[] = {"events.jsonl", "events.jsonl.1", "events.jsonl.2", "events.jsonl.3",
                                      "report.json"};
  int dir = open(w->dir, O_RDONLY | O_DIRECTORY);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) unlinkat(dir, names[i], 0);
  close(dir);
  assert_int_equal(rmdir(w->dir), 0); /* nothing else is left */
  timer_free(w->guard);
  sink_free(w->sink);
  loop_free(w->loop);
  buf_free(&w->children.one.text);
  free(w);
  return 0;
}

static void on_done(void *arg) {
  struct world *w = arg;
  w->done = true;
  loop_stop(w->loop);
}

static void on_written(void *arg, int rc, const struct err *err) {
  struct world *w = arg;
  w->rc = rc;
  memcpy(w->why, err->msg, sizeof w->why);
  on_done(w);
}

static void run(struct world *w, int64_t ns) {
  timer_after(w->guard, ns);
  loop_run(w->loop);
  timer_stop(w->guard);
}

static struct journal *start(struct world *w, int64_t max_bytes, unsigned keep) {
  struct err err = ERR_INIT;
  struct journal *j = journal_new(w->loop, &w->children, w->sink,
                                  &(struct journal_options){.dir = w->dir, .max_bytes = max_bytes, .keep = keep}, &err);
  assert_non_null(j);
  return j;
}

static void finish(struct world *w, struct journal *j, int64_t patience_ns) {
  w->done = false;
  journal_finish(j, loop_update_now(w->loop) + patience_ns, on_done, w);
  run(w, 10 * NS_PER_S);
  assert_true(w->done);
}

/* All lines of a file, each checked to be JSON; returns how many. */
static int lines_of(const struct world *w, const char *name, struct buf *text) {
  char path[64];
  snprintf(path, sizeof path, "%s/%s", w->dir, name);
  auto_file FILE *f = fopen(path, "r");
  if (!f) return -1;
  char line[LIMIT_EVENT_LINE];
  int n = 0;
  while (fgets(line, sizeof line, f)) {
    assert_int_equal(line[strlen(line) - 1], '\n');
    auto_json cJSON *v = NULL;
    assert_int_equal(json_parse(line, strlen(line), name, &v, NULL), 0);
    if (text) buf_str(text, line);
    n++;
  }
  return n;
}

/* --- the tests --------------------------------------------------------------------------------------------------- */

static void test_all_events(void **state) {
  struct world *w = *state;
  sink_say(w->sink, EVENT_NOTICE, LEVEL_INFO, "before");
  struct journal *j = start(w, 0, 0);
  for (int i = 0; i < 500; i++) sink_say(w->sink, EVENT_NOTICE, LEVEL_INFO, "event %d", i);
  sink_say(w->sink, EVENT_NOTICE, LEVEL_DEBUG, "not for the file");
  finish(w, j, 5 * NS_PER_S);
  assert_int_equal(journal_dropped(j), 0);
  journal_free(j);
  auto_buf struct buf text = {0};
  assert_int_equal(lines_of(w, "events.jsonl", &text), 501);
  assert_non_null(strstr(text.data, "before"));
  assert_non_null(strstr(text.data, "event 499"));
}

static void test_rotation(void **state) {
  struct world *w = *state;
  struct journal *j = start(w, 4000, 2);
  for (int i = 0; i < 100; i++) sink_say(w->sink, EVENT_NOTICE, LEVEL_INFO, "event %d", i);
  finish(w, j, 5 * NS_PER_S);
  journal_free(j);
  auto_buf struct buf text = {0};
  assert_in_range(lines_of(w, "events.jsonl.2", &text), 20, 30);
  assert_in_range(lines_of(w, "events.jsonl.1", &text), 20, 30);
  assert_in_range(lines_of(w, "events.jsonl", &text), 1, 30);
  assert_int_equal(lines_of(w, "events.jsonl.3", NULL), -1);
  char path[64];
  snprintf(path, sizeof path, "%s/events.jsonl.1", w->dir);
  struct stat st;
  assert_int_equal(stat(path, &st), 0);
  assert_true(st.st_size <= 4000);
  assert_non_null(strstr(text.data, "event 99\""));
}

static void test_helper_that_hangs(void **state) {
  struct world *w = *state;
  w->children.deaf = true;
  struct journal *j = start(w, 0, 0);
  char text[1000];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = 0;
  for (int i = 0; i < 2000; i++) sink_say(w->sink, EVENT_NOTICE, LEVEL_INFO, "%s", text);
  assert_in_range(journal_dropped(j), 500, 1500);
  int64_t start_ns = clock_mono_ns();
  finish(w, j, 50 * NS_PER_MS);
  assert_true(clock_mono_ns() - start_ns < 5 * NS_PER_S);
  journal_free(j);
  assert_int_equal(w->children.one.pid, 0);
}

static void test_no_helper(void **state) {
  struct world *w = *state;
  w->children.refuse = true;
  struct journal *j = start(w, 0, 0);
  sink_say(w->sink, EVENT_NOTICE, LEVEL_INFO, "kept meanwhile");
  const struct event *told = event_ring_from(sink_ring(w->sink), 1);
  assert_non_null(strstr(told->message, "no room"));
  w->children.refuse = false;
  for (int i = 0; i < 50 && !w->children.spawned; i++) run(w, 100 * NS_PER_MS); /* back-off of a second */
  assert_int_equal(w->children.spawned, 1);
  finish(w, j, 5 * NS_PER_S);
  journal_free(j);
  assert_int_equal(lines_of(w, "events.jsonl", NULL), 2);
}

static void test_no_directory(void **state) {
  struct world *w = *state;
  struct err err = ERR_INIT;
  struct journal *j =
      journal_new(w->loop, &w->children, w->sink, &(struct journal_options){.dir = "/tmp/tend-test-none"}, &err);
  assert_non_null(j);
  for (int i = 0; i < 50 && !event_ring_last(sink_ring(w->sink)); i++) run(w, 100 * NS_PER_MS);
  const struct event *e = event_ring_from(sink_ring(w->sink), 1);
  assert_non_null(strstr(e->message, "/tmp/tend-test-none/events.jsonl: No such file"));
  finish(w, j, NS_PER_S);
  journal_free(j);
}

static void write_report(struct world *w, const char *path, const char *text) {
  struct err err = ERR_INIT;
  w->done = false;
  assert_int_equal(journal_write_file(w->loop, &w->children, &(struct journal_file){path, text, strlen(text), false},
                                      loop_update_now(w->loop) + 5 * NS_PER_S, on_written, w, &err),
                   0);
  run(w, 10 * NS_PER_S);
  assert_true(w->done);
}

static void test_write_file(void **state) {
  struct world *w = *state;
  char path[64];
  snprintf(path, sizeof path, "%s/report.json", w->dir);
  write_report(w, path, "{\"a\": 1}\n");
  assert_int_equal(w->rc, 0);
  write_report(w, path, "{\"b\": 2}\n");
  assert_int_equal(w->rc, 0);
  auto_buf struct buf text = {0};
  assert_int_equal(lines_of(w, "report.json", &text), 1);
  assert_string_equal(text.data, "{\"b\": 2}\n");
  /* the old one stays when the new one cannot be written: the limit counts for the child that is forked under it */
  w->children.file_limit = 4;
  write_report(w, path, "longer than four bytes");
  assert_int_equal(w->rc, -EIO);
  assert_non_null(strstr(w->why, "File too large"));
  w->children.file_limit = 0;
  buf_clear(&text);
  assert_int_equal(lines_of(w, "report.json", &text), 1);
  assert_string_equal(text.data, "{\"b\": 2}\n");
  write_report(w, "/tmp/tend-test-none/report.json", "x");
  assert_int_equal(w->rc, -EIO);
  assert_non_null(strstr(w->why, "No such file"));
}

static void test_write_that_hangs(void **state) {
  struct world *w = *state;
  w->children.deaf = true;
  struct err err = ERR_INIT;
  assert_int_equal(journal_write_file(w->loop, &w->children, &(struct journal_file){"/tmp/x", "x", 1, false},
                                      loop_update_now(w->loop) + 30 * NS_PER_MS, on_written, w, &err),
                   0);
  run(w, 10 * NS_PER_S);
  assert_true(w->done);
  assert_int_equal(w->rc, -ETIMEDOUT);
  assert_int_equal(w->children.one.pid, 0);
}

static bool replace(struct world *w, struct journal *j, const char *path, const char *text, int64_t patience_ns) {
  w->done = false;
  bool r = journal_replace_file(j, &(struct journal_file){path, text, strlen(text), false},
                                loop_update_now(w->loop) + patience_ns, on_written, w);
  if (r) run(w, 10 * NS_PER_S);
  assert_int_equal(r, w->done);
  return r;
}

/* A file between the events, by the helper that writes them. */
static void test_replace_file(void **state) {
  struct world *w = *state;
  struct journal *j = start(w, 0, 0);
  char path[64];
  snprintf(path, sizeof path, "%s/report.json", w->dir);
  for (int i = 0; i < 100; i++) sink_say(w->sink, EVENT_NOTICE, LEVEL_INFO, "event %d", i);
  assert_true(replace(w, j, path, "{\"a\": 1}\n", 5 * NS_PER_S));
  assert_int_equal(w->rc, 0);
  sink_say(w->sink, EVENT_NOTICE, LEVEL_INFO, "between");
  assert_true(replace(w, j, path, "{\"b\": 2}\n", 5 * NS_PER_S));
  assert_int_equal(w->rc, 0);
  auto_buf struct buf text = {0};
  assert_int_equal(lines_of(w, "report.json", &text), 1);
  assert_string_equal(text.data, "{\"b\": 2}\n");
  assert_int_equal(unlink(path), 0);
  assert_int_equal(mkdir(path, 0755), 0);
  assert_true(replace(w, j, path, "{}\n", 5 * NS_PER_S));
  assert_int_equal(w->rc, -EIO);
  assert_non_null(strstr(w->why, "report.json: Is a directory"));
  assert_int_equal(rmdir(path), 0);
  assert_false(replace(w, j, "/tmp/tend-test-none/report.json", "{}\n", NS_PER_S));
  assert_false(replace(w, j, path, "two\nlines\n", NS_PER_S));
  sink_say(w->sink, EVENT_NOTICE, LEVEL_INFO, "after");
  finish(w, j, 5 * NS_PER_S);
  assert_int_equal(w->children.spawned, 1);
  journal_free(j);
  assert_int_equal(lines_of(w, "events.jsonl", NULL), 102);
}

static void test_replace_that_hangs(void **state) {
  struct world *w = *state;
  w->children.deaf = true;
  struct journal *j = start(w, 0, 0);
  char path[64];
  snprintf(path, sizeof path, "%s/report.json", w->dir);
  assert_true(replace(w, j, path, "{}\n", 30 * NS_PER_MS));
  assert_int_equal(w->rc, -ETIMEDOUT);
  finish(w, j, 30 * NS_PER_MS);
  journal_free(j);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  const struct CMUnitTest tests[] = {
      TEST(test_all_events),       TEST(test_rotation),     TEST(test_helper_that_hangs),
      TEST(test_no_helper),        TEST(test_no_directory), TEST(test_write_file),
      TEST(test_write_that_hangs), TEST(test_replace_file), TEST(test_replace_that_hangs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
