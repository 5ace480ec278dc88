#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/place.h"
#include "base/str.h"
#include "client/client.h"
#include "loop/control.h"

#define SOME_TIME (INT64_C(1705314600) * NS_PER_S) /* 2024-01-15T10:30:00.000Z */

/* --- text ----------------------------------------------------------------------------------------------------------
 */

static void assert_shown(void (*show)(const cJSON *, int64_t, struct buf *), const char *json, const char *expected) {
  auto_json cJSON *v = cJSON_Parse(json);
  assert_non_null(v);
  auto_buf struct buf b = {0};
  show(v, SOME_TIME + 80 * NS_PER_S, &b);
  assert_string_equal(buf_cstr(&b), expected);
}

static void test_status_text(void **state) {
  (void)state;
  assert_shown(
      show_status,
      "{\"container_id\": \"w1\", \"flow\": \"rpa1\", \"state\": \"RESTARTING\", \"since\": "
      "\"2024-01-15T10:30:00.000Z\", \"reason\": \"main: exit code 3\", \"health\": \"unhealthy\", \"ready\": false, "
      "\"restarts\": 2, \"next\": {\"what\": \"restart of main\", \"due\": \"x\", \"in_seconds\": 6.2}, \"processes\": "
      "[{\"name\": \"main\", \"instance\": 0, \"state\": \"waiting\", \"pid\": null, \"since\": "
      "\"2024-01-15T10:31:00.000Z\", \"runs\": 3, \"restarts\": 2, \"last_exit\": {\"text\": \"exit code 3\"}, "
      "\"next\": "
      "null}, {\"name\": \"side\", \"instance\": 1, \"state\": \"running\", \"pid\": 42, \"since\": null, \"runs\": 1, "
      "\"restarts\": 0}], \"dependencies\": [{\"name\": \"rpa_db\", \"kind\": \"postgres\", \"required\": true, "
      "\"status\": \"failed\", \"reason\": \"refused\", \"detail\": \"db:5432\\u001b[2J\", \"at\": "
      "\"2024-01-15T10:31:10.000Z\"}, {\"name\": \"prefect\", \"required\": false, \"status\": \"ready\"}], "
      "\"checks\": "
      "[], \"warnings\": [\"no log directory\"]}",
      "rpa1 (w1): RESTARTING for 1 m 20 s, unhealthy, not ready\n"
      "main: exit code 3\n"
      "restarts: 2\n"
      "next: restart of main in 6 s\n"
      "warning: no log directory\n"
      "\n"
      "PROCESS  STATE    PID  FOR   RUNS  RESTARTS  LAST END     NEXT\n"
      "main     waiting  -    20 s  3     2         exit code 3  -\n"
      "side/1   running  42   -     1     0         -            -\n"
      "\n"
      "DEPENDENCY          STATUS  KIND      LAST      DETAIL\n"
      "rpa_db              failed  postgres  10 s ago  refused: db:5432?[2J\n"
      "prefect (optional)  ready   -         -\n");
  assert_shown(show_status, "{}",
               "? (?): ? for -, not ready\n\nPROCESS  STATE  PID  FOR  RUNS  RESTARTS  LAST END  NEXT\n");
}

static void test_other_texts(void **state) {
  (void)state;
  assert_shown(
      show_why,
      "{\"state\": \"FAILED\", \"answer\": \"the database refused\", \"chain\": [{\"what\": \"no start\", \"at\": "
      "\"2024-01-15T10:31:00.000Z\"}, {\"what\": \"rpa_db: refused\", \"at\": null}]}",
      "FAILED: the database refused\n  no start (20 s ago)\n    because rpa_db: refused\n");
  assert_shown(show_health, "{\"status\": \"degraded\", \"reasons\": [\"disk at 96 %\"]}",
               "degraded\n  disk at 96 %\n");
  assert_shown(show_metrics, "{\"restart_count\": 2, \"cpu_usage_percent\": null}",
               "restart_count              2\ncpu_usage_percent          -\n");
  assert_shown(show_message, "{\"message\": \"stopped\"}", "stopped\n");
  assert_shown(show_message, "null", "done\n");
  assert_shown(show_text, "{\"text\": \"a\\u0001b\"}", "a\001b");
}

static void test_durations(void **state) {
  (void)state;
  const struct {
    int64_t s;
    const char *text;
  } cases[] = {{0, "0 s"}, {59, "59 s"}, {200, "3 m 20 s"}, {7500, "2 h 5 m"}, {273600, "3 d 4 h"}};
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    auto_buf struct buf b = {0};
    show_duration(cases[i].s * NS_PER_S, &b);
    assert_string_equal(buf_cstr(&b), cases[i].text);
  }
}

static void test_event_text(void **state) {
  (void)state;
  auto_buf struct buf b = {0};
  auto_json cJSON *v = cJSON_Parse(
      "{\"timestamp\": \"2024-01-15T10:30:00.007Z\", \"level\": \"ERROR\", \"event\": \"process_exited\", "
      "\"duration_ms\": "
      "12, \"message\": \"main: exit code 3\", \"details\": {\"code\": 3}}");
  show_event(v, false, &b);
  assert_string_equal(b.data, "10:30:00.007 ERROR    process_exited: main: exit code 3 duration_ms=12 code=3\n");
  auto_json cJSON *strange = cJSON_Parse("{\"event\": \"of_the_future\"}");
  buf_clear(&b);
  show_event(strange, false, &b);
  assert_string_equal(b.data, "{\"event\": \"of_the_future\"}\n");
}

/* --- against an engine ---------------------------------------------------------------------------------------------
 */

struct engine {
  struct loop *loop;
  struct sink *sink;
};

static void op_answer(void *arg, const struct control_request *q, struct control_reply *r) {
  (void)arg;
  if (STR_EQ(q->op, "health"))
    control_answer(r, "{\"status\": \"unhealthy\", \"healthy\": false, \"reasons\": [\"a\\u001bb\"]}");
  else if (STR_EQ(q->op, "report"))
    control_answer(r, "{\"container_info\": {}, \"exit\": null}");
  else if (STR_EQ(q->op, "restart") && STR_EQ(control_arg_str(q, "process", "main"), "main"))
    control_answer(r, control_arg_bool(q, "wait", true) ? "{\"message\": \"main runs again\"}"
                                                        : "{\"message\": \"main will run again\"}");
  else if (STR_EQ(q->op, "maintenance"))
    control_answer(r, control_arg_bool(q, "on", false) ? "{\"message\": \"on\"}" : "{\"message\": \"off\"}");
  else
    control_refuse(r, "there is no process \"%s\"", control_arg_str(q, "process", "?"));
}

static void op_shutdown(void *arg, const struct control_request *q, struct control_reply *r) {
  (void)q;
  (void)r; /* ends without an answer; the memory goes with the process */
  struct engine *e = arg;
  loop_stop(e->loop);
}

static const struct control_op ops[] = {{"health", op_answer, NULL},     {"report", op_answer, NULL},
                                        {"restart", op_answer, NULL},    {"maintenance", op_answer, NULL},
                                        {"shutdown", op_shutdown, NULL}, {0}};

static int engine_main(const struct state_dir *dir, int ready) {
  struct engine e = {.loop = loop_new()};
  struct sink_options o = {.fd = open("/dev/null", O_WRONLY | O_CLOEXEC), .who = {"c", "f"}};
  e.sink = sink_new(e.loop, &o);
  struct control *c = control_new(e.loop, e.sink, dir, -1, NULL);
  control_add(c, ops, &e);
  if (!c || write(ready, "x", 1) != 1) return 1;
  loop_run(e.loop);
  control_free(c);
  sink_free(e.sink);
  loop_free(e.loop);
  return 0;
}

struct world {
  char root[32];
  struct state_dir dirs[2];
  pid_t engines[2];
};

static void start_engine(struct world *w, int i, const char *flow) {
  w->dirs[i] = (struct state_dir)STATE_DIR_INIT;
  assert_int_equal(state_open(&w->dirs[i], w->root, flow, 4711 + i, NULL), 0);
  int p[2];
  assert_int_equal(pipe2(p, O_CLOEXEC), 0);
  w->engines[i] = fork();
  if (w->engines[i] == 0) _exit(engine_main(&w->dirs[i], p[1]));
  char c;
  close(p[1]);
  assert_int_equal(read(p[0], &c, 1), 1);
  close(p[0]);
}

static int open_world(void **state) {
  struct world *w = calloc(1, sizeof *w);
  snprintf(w->root, sizeof w->root, "/tmp/tend-test-XXXXXX");
  assert_non_null(mkdtemp(w->root));
  start_engine(w, 0, "rpa1");
  *state = w;
  return 0;
}

static int close_world(void **state) {
  struct world *w = *state;
  for (int i = 0; i < 2; i++) {
    if (!w->engines[i]) continue;
    kill(w->engines[i], SIGKILL);
    waitpid(w->engines[i], NULL, 0);
    unlinkat(w->dirs[i].fd, "lock", 0);
    unlinkat(w->dirs[i].fd, PLACE_SOCKET, 0);
    state_close(&w->dirs[i]);
    rmdir(w->dirs[i].path);
  }
  assert_int_equal(rmdir(w->root), 0);
  free(w);
  return 0;
}

/* The client in a process of its own; what it wrote (standard output, then error) and its exit code. */
static int client(struct buf *text, const char *const *words) {
  int out = memfd_create("out", MFD_CLOEXEC);
  int errors = memfd_create("errors", MFD_CLOEXEC);
  pid_t pid = fork();
  if (pid == 0) {
    dup2(out, 1);
    dup2(errors, 2);
    int n = 0;
    while (words[n]) n++;
    int code = client_main(n, (char **)(void *)words);
    fflush(stdout);
    _exit(code);
  }
  int status = -1;
  waitpid(pid, &status, 0);
  buf_clear(text);
  for (int i = 0; i < 2; i++) {
    int fd = i ? errors : out;
    char *to = buf_room(text, 65536);
    ssize_t n = pread(fd, to, 65536, 0);
    text->len += n > 0 ? (size_t)n : 0;
    text->data[text->len] = 0;
    close(fd);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
#define CLIENT(text, ...) client(text, (const char *const[]){__VA_ARGS__, NULL})

static void test_commands(void **state) {
  struct world *w = *state;
  auto_buf struct buf text = {0};
  assert_int_equal(CLIENT(&text, "health", "--state-dir", w->root), 1);
  assert_string_equal(text.data, "unhealthy\n  a?b\n");
  assert_int_equal(CLIENT(&text, "restart", "--state-dir", w->root), 0);
  assert_string_equal(text.data, "main runs again\n");
  assert_int_equal(CLIENT(&text, "restart", "main", "--no-wait", "--state-dir", w->root), 0);
  assert_string_equal(text.data, "main will run again\n");
  assert_int_equal(CLIENT(&text, "restart", "mian", "--state-dir", w->root), 1);
  assert_string_equal(text.data, "tend restart: there is no process \"mian\"\n");
  assert_int_equal(CLIENT(&text, "maintenance", "on", "--json", "--state-dir", w->root), 0);
  assert_string_equal(text.data, "{\"message\": \"on\"}\n");
  assert_int_equal(CLIENT(&text, "why", "--state-dir", w->root), 1);
  assert_string_equal(text.data, "tend why: this engine does not know \"why\"\n");
  assert_int_equal(CLIENT(&text, "events", "--last", "2", "--state-dir", w->root), 0);
  assert_non_null(strstr(text.data, "audit: maintenance, asked for by uid "));
  assert_int_equal(CLIENT(&text, "events", "--json", "--level", "warning", "--state-dir", w->root), 0);
  assert_string_equal(buf_cstr(&text), "");
  assert_int_equal(CLIENT(&text, "shutdown", "--state-dir", w->root), 0);
}

static void test_report(void **state) {
  struct world *w = *state;
  auto_buf struct buf text = {0};
  char path[64];
  snprintf(path, sizeof path, "%s/report.json", w->root);
  assert_int_equal(CLIENT(&text, "report", path, "--state-dir", w->root), 0);
  auto_file FILE *f = fopen(path, "r");
  assert_non_null(f);
  char line[200];
  assert_non_null(fgets(line, sizeof line, f));
  assert_string_equal(line, "{\"container_info\": {}, \"exit\": null}\n");
  assert_int_equal(unlink(path), 0);
  assert_int_equal(CLIENT(&text, "report", "/tmp/tend-test-none/r.json", "--state-dir", w->root), 1);
  assert_string_equal(text.data, "tend report: /tmp/tend-test-none/r.json: No such file or directory\n");
  assert_int_equal(CLIENT(&text, "report", "--state-dir", w->root), 0);
  assert_string_equal(text.data, "{\"container_info\": {}, \"exit\": null}\n");
}

static void test_several_engines(void **state) {
  struct world *w = *state;
  start_engine(w, 1, "demo");
  auto_buf struct buf text = {0};
  unsetenv("CONTAINER_FLOW_NAME");
  assert_int_equal(CLIENT(&text, "restart", "--state-dir", w->root), 64);
  assert_non_null(strstr(text.data, "--flow-name"));
  assert_non_null(strstr(text.data, "rpa1                 pid 4711 "));
  assert_non_null(strstr(text.data, "demo                 pid 4712 "));
  assert_int_equal(CLIENT(&text, "restart", "--flow-name", "demo", "--state-dir", w->root), 0);
  setenv("CONTAINER_FLOW_NAME", "rpa1", 1);
  assert_int_equal(CLIENT(&text, "restart", "--state-dir", w->root), 0);
  unsetenv("CONTAINER_FLOW_NAME");
  assert_int_equal(CLIENT(&text, "restart", "--flow-name", "none", "--state-dir", w->root), 69);
  assert_non_null(strstr(text.data, "no engine of flow \"none\" is reachable (looked in "));
}

/* The environment names the directory; an engine that has died leaves a socket on which nobody answers. */
static void test_dead_engine(void **state) {
  struct world *w = *state;
  auto_buf struct buf text = {0};
  setenv("CONTAINER_STATE_DIR", w->root, 1);
  assert_int_equal(CLIENT(&text, "restart"), 0);
  kill(w->engines[0], SIGKILL);
  waitpid(w->engines[0], NULL, 0);
  assert_int_equal(CLIENT(&text, "restart", "--state-dir", w->root), 69);
  assert_non_null(strstr(text.data, "Connection refused"));
  unsetenv("CONTAINER_STATE_DIR");
  /* a new engine takes the place of the dead one */
  unlinkat(w->dirs[0].fd, "lock", 0);
  state_close(&w->dirs[0]);
  start_engine(w, 0, "rpa1");
  assert_int_equal(CLIENT(&text, "restart", "--state-dir", w->root), 0);
}

static void test_folder_of_another(void **state) {
  struct world *w = *state;
  if (geteuid() != 0) {
    print_message("# needs root, to become another user\n");
    skip();
  }
  auto_buf struct buf text = {0};
  assert_int_equal(fchown(w->dirs[0].fd, 65534, 65534), 0);
  assert_int_equal(CLIENT(&text, "restart", "--state-dir", w->root), 69);
  assert_non_null(strstr(text.data, "is not trusted: uid 65534 owns it, uid 0 answers"));
  assert_int_equal(fchown(w->dirs[0].fd, 0, 0), 0);
}

static void test_wrong_use(void **state) {
  (void)state;
  auto_buf struct buf text = {0};
  static const struct {
    const char *words[5], *says;
  } cases[] = {
      {{"status", "--jsn"}, "tend status: unknown option --jsn; did you mean \"--json\"?\n"},
      {{"status", "--follow"}, "unknown option --follow"},
      {{"status", "--state-dir"}, "a value is missing after --state-dir"},
      {{"status", "word"}, "unexpected argument word"},
      {{"logs", "a", "b"}, "unexpected argument b"},
      {{"remediate"}, "an argument is missing: ACTION"},
      {{"remediate", "disk", "--dry-rum"}, "did you mean \"--dry-run\"?"},
      {{"restart", "main", "--dry-run"}, "unknown option --dry-run"},
      {{"maintenance", "onn"}, "expected on or off, not onn"},
      {{"maintenance", "on", "for"}, "unexpected argument for"},
      {{"maintenance", "on", "for", "ever"}, "expected a duration like 90, 30m or 2h, not ever"},
      {{"maintenance", "off", "for", "3m"}, "off takes no duration: 3m"},
      {{"events", "--last", "x"}, "expects a number from 0 to 1000, not x"},
      {{"nonsense"}, "unknown command"},
  };
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    assert_int_equal(client(&text, cases[i].words), 64);
    if (!strstr(text.data, cases[i].says)) fail_msg("%s", text.data);
  }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_status_text),
      cmocka_unit_test(test_other_texts),
      cmocka_unit_test(test_durations),
      cmocka_unit_test(test_event_text),
      cmocka_unit_test(test_wrong_use),
      TEST(test_commands),
      TEST(test_report),
      TEST(test_several_engines),
      TEST(test_dead_engine),
      TEST(test_folder_of_another),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
