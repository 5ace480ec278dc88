/* Probes: parameters, deadlines, the built-in kinds; children are played by the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/frame.h"
#include "base/str.h"
#include "loop/part.h"
#include "probes/probe.h"

static struct probe_env env;
static struct timer *stopper;

/* --- the one child at a time --- */

static struct {
  const struct child_ops *ops;
  void *arg;
  char command[256];
  int spawned, forgotten;
  unsigned lingering;
  int input; /* a duplicate of what it was given */
  bool refuse;
} child;

uint32_t children_spawn(struct children *c, const struct child_spec *spec, const struct child_ops *ops, void *arg,
                        struct err *err) {
  (void)c;
  assert_int_equal(spec->kind, CHILD_HELPER);
  child.command[0] = 0;
  for (char *const *a = spec->argv; *a; a++) {
    size_t n = strlen(child.command);
    snprintf(child.command + n, sizeof child.command - n, "%s%s", n ? "|" : "", *a);
  }
  if (child.refuse) {
    err_set(err, -EAGAIN, "too many children");
    return 0;
  }
  child.ops = ops;
  child.arg = arg;
  if (child.input) close(child.input);
  child.input = spec->input_fd > 0 ? dup(spec->input_fd) : 0;
  return (uint32_t)++child.spawned;
}

void children_forget(struct children *c, uint32_t number) {
  (void)c;
  assert_int_equal(number, child.spawned);
  child.forgotten++;
}

void children_kill(struct children *c, uint32_t number, int sig, enum kill_scope scope) {
  (void)c;
  assert_int_equal(number, child.spawned);
  assert_int_equal(sig, SIGKILL);
  assert_int_equal(scope, KILL_GROUP);
}

unsigned children_lingering(const struct children *c) {
  (void)c;
  return child.lingering;
}

/* nobody asks for silence here */
void children_silent(struct children *c, const char *name, int instance, children_silent_fn *done, void *arg) {
  (void)c;
  (void)name;
  (void)instance;
  (void)done;
  (void)arg;
}

void children_ask_cancel(struct children *c, void *arg) {
  (void)c;
  (void)arg;
}

static void child_exits(int status, const char *said) {
  struct buf out = {0};
  buf_str(&out, said);
  struct child_exit e = {.status = status, .out = &out};
  child.ops->exited(child.arg, (uint32_t)child.spawned, &e);
  buf_free(&out);
}

/* --- attempts --- */

struct got {
  int calls;
  struct probe_result r;
  char data[512];
};

static void on_done(void *arg, const struct probe_result *r) {
  struct got *g = arg;
  g->calls++;
  g->r = *r;
  if (r->data) {
    char *text = cJSON_PrintUnformatted(r->data);
    str_copy(g->data, sizeof g->data, text);
    free(text);
  }
  loop_stop(env.loop);
}

static struct probe *begin(const char *kind, const char *params, int64_t timeout_ns, struct got *g) {
  struct err err = ERR_INIT;
  auto_json cJSON *json = cJSON_Parse(params);
  assert_non_null(json);
  memset(g, 0, sizeof *g);
  struct probe *p = probe_start(&env, kind, json, clock_mono_ns() + timeout_ns, on_done, g, &err);
  if (!p) fail_msg("%s", err.msg);
  assert_int_equal(g->calls, 0);
  return p;
}

static struct got finish(struct got *g) {
  loop_run(env.loop);
  assert_int_equal(g->calls, 1);
  return *g;
}

static void refused(const char *kind, const char *params, const char *message) {
  struct err err = ERR_INIT, again = ERR_INIT;
  auto_json cJSON *json = params ? cJSON_Parse(params) : NULL;
  assert_true(probe_check(kind, json, &err) < 0);
  assert_string_equal(err.msg, message);
  assert_null(probe_start(&env, kind, json, clock_mono_ns() + NS_PER_S, on_done, NULL, &again));
  assert_string_equal(again.msg, message);
}

static void stop(void *arg) {
  (void)arg;
  loop_stop(env.loop);
}

static int setup(void **state) {
  (void)state;
  memset(&child, 0, sizeof child);
  static char some_children;
  env = (struct probe_env){.loop = loop_new(), .children = (struct children *)(void *)&some_children};
  probe_env_init(&env);
  part_set_dir("/nonexistent");
  stopper = timer_new(env.loop, stop, NULL);
  return stopper ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  timer_free(stopper);
  probe_env_close(&env);
  if (child.input) close(child.input);
  loop_free(env.loop);
  return 0;
}

static void wrong_parameters_are_named(void **state) {
  (void)state;
  refused("tpc", "{}", "kind: unknown kind \"tpc\"; did you mean \"tcp\"?");
  refused("quantum", "{}",
          "kind: unknown kind \"quantum\"; there are tcp, dns, file, directory, command, unix, process, resource, "
          "usage, silence, postgres, http, and what lies in probes/ of the scripts directory");
  refused("../tcp", "{}",
          "kind: unknown kind \"../tcp\"; there are tcp, dns, file, directory, command, unix, process, resource, "
          "usage, silence, postgres, http, and what lies in probes/ of the scripts directory");
  refused("tcp", NULL, "host: required (host name or address)");
  refused("tcp", "[]", "host: required (host name or address)");
  refused("tcp", "[1]", "expected a table of parameters");
  refused("tcp", "{\"host\": \"a\"}", "port: required (port number)");
  refused("tcp", "{\"host\": \"\", \"port\": 1}", "host: expected a text that is not empty, got \"\"");
  refused("tcp", "{\"host\": \"a\", \"port\": 0}", "port: expected a whole number from 1 to 65535, got 0");
  refused("tcp", "{\"host\": \"a\", \"port\": 1.5}", "port: expected a whole number from 1 to 65535, got 1.5");
  refused("tcp", "{\"host\": \"a\", \"port\": \"http\"}",
          "port: expected a whole number from 1 to 65535, got \"http\"");
  refused("tcp", "{\"host\": \"a\", \"prot\": 1}", "prot: unknown parameter; did you mean \"port\"?");
  refused("tcp", "{\"host\": \"a\", \"colour\": 1}", "colour: unknown parameter; there are host, port");
  refused("file", "{\"path\": \"/x\", \"writable\": \"yes\"}", "writable: expected true or false, got \"yes\"");
  refused("file", "{\"path\": \"/x\", \"max_age\": \"old\"}",
          "max_age: expected seconds, or a text such as \"250ms\" or \"5m\", got \"old\"");
  refused("file", "{\"path\": \"/x\", \"max_age\": -1}",
          "max_age: expected seconds, or a text such as \"250ms\" or \"5m\", got -1");
  refused("command", "{\"command\": []}",
          "command: expected a shell line or a list of texts, not empty, got an empty list");
  refused("command", "{\"command\": \"x\", \"exits\": {\"256\": \"ok\"}}",
          "exits: expected exit codes from 0 to 255 as keys, got \"256\"");
  refused("command", "{\"command\": \"x\", \"exits\": {\"1\": \"good\"}}",
          "exits.1: expected \"ok\", \"warn\", \"fail\" or \"unknown\"");
  refused("postgres", "{}",
          "the part /nonexistent/postgres.so cannot be read: No such file or directory; install the library that it "
          "needs (Debian: libpq5) and tend whole");
}

static int listener(int *port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof a;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
  *port = ntohs(a.sin_port);
  return fd;
}

static void tcp_connects_or_says_why(void **state) {
  (void)state;
  struct got g;
  char params[128], detail[128];
  int port, fd = listener(&port);
  snprintf(params, sizeof params, "{\"host\": \"127.0.0.1\", \"port\": %d}", port);
  begin("tcp", params, NS_PER_S, &g);
  finish(&g);
  assert_int_equal(g.r.status, PROBE_FAIL);
  assert_string_equal(g.r.reason, "refused");
  snprintf(detail, sizeof detail, "cannot connect to 127.0.0.1 port %d (127.0.0.1:%d: Connection refused)", port, port);
  assert_string_equal(g.r.detail, detail);

  assert_int_equal(listen(fd, 4), 0);
  begin("tcp", params, NS_PER_S, &g);
  finish(&g);
  assert_int_equal(g.r.status, PROBE_OK);
  assert_string_equal(g.r.reason, "");
  assert_true(str_starts(g.data, "{\"address\":\"127.0.0.1:"));
  assert_true(g.r.duration_ns > 0);
  close(fd);

  begin("tcp", "{\"host\": \"not..a.name\", \"port\": 1}", NS_PER_S, &g);
  finish(&g);
  assert_string_equal(g.r.reason, "dns");
}

static void a_silent_peer_is_a_timeout(void **state) {
  (void)state;
  struct got g;
  begin("command", "{\"command\": [\"sleep\", \"9\"]}", 20 * NS_PER_MS, &g);
  assert_string_equal(child.command, "sleep|9");
  finish(&g);
  assert_int_equal(g.r.status, PROBE_FAIL);
  assert_string_equal(g.r.reason, "timeout");
  assert_string_equal(g.r.detail, "no answer within 20ms while running sleep");
  assert_int_equal(child.forgotten, 1); /* which kills it */
  /* what even that does not end is not added to without a bound */
  child.lingering = 64;
  begin("command", "{\"command\": [\"sleep\", \"9\"]}", 20 * NS_PER_MS, &g);
  finish(&g);
  assert_int_equal(g.r.status, PROBE_UNKNOWN);
  assert_string_equal(g.r.reason, "exec");
  assert_string_equal(g.r.detail,
                      "sleep cannot be run: 64 processes that were killed are still there: does a mount hang?");
  assert_int_equal(child.spawned, 1);
  child.lingering = 0;
}

static void cancel_ends_it_without_a_word(void **state) {
  (void)state;
  struct got g, h;
  int port, fd = listener(&port);
  char params[128];
  snprintf(params, sizeof params, "{\"host\": \"127.0.0.1\", \"port\": %d}", port);
  struct probe *running = begin("command", "{\"command\": \"sleep 9\"}", NS_PER_S, &g);
  assert_string_equal(child.command, "/bin/sh|-c|sleep 9");
  struct probe *connecting = begin("tcp", params, NS_PER_S, &h);
  probe_cancel(running);
  probe_cancel(connecting);
  probe_cancel(NULL);
  timer_after(stopper, 20 * NS_PER_MS);
  loop_run(env.loop);
  assert_int_equal(g.calls + h.calls, 0);
  assert_int_equal(child.forgotten, 1);
  close(fd);
}

static struct got command(const char *params, int status, const char *said) {
  struct got g;
  begin("command", params, NS_PER_S, &g);
  child_exits(status, said);
  assert_int_equal(g.calls, 0); /* from the loop, not from inside the child's callback */
  return finish(&g);
}

#define EXITED(code) ((code) << 8)

static void a_command_is_judged_by_its_exit(void **state) {
  (void)state;
  struct got g = command("{\"command\": [\"true\"]}", EXITED(0), "");
  assert_int_equal(g.r.status, PROBE_OK);
  assert_string_equal(g.data, "{\"exit_code\":0,\"output\":\"\"}");
  g = command("{\"command\": [\"check\", \"x\"]}", EXITED(3), "first\nno space left\n\n");
  assert_int_equal(g.r.status, PROBE_FAIL);
  assert_string_equal(g.r.reason, "exit");
  assert_string_equal(g.r.detail, "check exited with 3: first no space left");
  g = command("{\"command\": [\"check\"], \"exits\": {\"3\": \"warn\", \"0\": \"fail\"}}", EXITED(3), "");
  assert_int_equal(g.r.status, PROBE_WARN);
  assert_string_equal(g.r.detail, "check exited with 3");
  g = command("{\"command\": [\"check\"], \"exits\": {\"3\": \"warn\", \"0\": \"fail\"}}", EXITED(0), "");
  assert_int_equal(g.r.status, PROBE_FAIL);
  g = command("{\"command\": [\"check\"]}", SIGSEGV, "");
  assert_int_equal(g.r.status, PROBE_FAIL);
  assert_string_equal(g.r.reason, "signal");
  assert_string_equal(g.r.detail, "check was ended by signal SEGV");
}

static void a_command_that_cannot_run(void **state) {
  (void)state;
  struct got g;
  begin("command", "{\"command\": [\"nothing-here\"]}", NS_PER_S, &g);
  child.ops->failed(child.arg, 1, SPAWN_EXEC, ENOENT);
  finish(&g);
  assert_int_equal(g.r.status, PROBE_FAIL);
  assert_string_equal(g.r.reason, "exec");
  assert_string_equal(g.r.detail, "nothing-here cannot be run: No such file or directory");
  begin("command", "{\"command\": [\"x\"]}", NS_PER_S, &g);
  child.ops->failed(child.arg, 2, SPAWN_FORK, EAGAIN);
  finish(&g);
  assert_int_equal(g.r.status, PROBE_UNKNOWN); /* no word about what it was to check */
  child.refuse = true;
  begin("command", "{\"command\": [\"x\"]}", NS_PER_S, &g);
  finish(&g);
  assert_int_equal(g.r.status, PROBE_UNKNOWN);
  assert_string_equal(g.r.detail, "x cannot be run: too many children");
}

/* The request that the child reads: its words with | between. */
static const char *requested(void) {
  static char words[256];
  char frame[256];
  ssize_t n = recv(child.input, frame, sizeof frame, MSG_DONTWAIT);
  assert_true(n > FRAME_HEAD && frame[n - 1] == 0);
  for (ssize_t i = FRAME_HEAD; i < n; i++) words[i - FRAME_HEAD] = frame[i] || i == n - 1 ? frame[i] : '|';
  return words;
}

static void child_answers(const char *code_and_text) {
  auto_buf struct buf frame = {0};
  frame_add(&frame, code_and_text, strlen(code_and_text));
  assert_int_equal(send(child.input, frame.data, frame.len, 0), (ssize_t)frame.len);
}

/* All looks are taken by one child. */
static struct got look(const char *kind, const char *params, const char *said) {
  struct got g;
  auto_buf struct buf answer = {0};
  buf_fmt(&answer, "0%s", said);
  begin(kind, params, NS_PER_S, &g);
  assert_string_equal(child.command, "tend|helper|looks");
  assert_int_equal(child.spawned, 1);
  assert_string_equal(requested(), "stat|/x");
  child_answers(buf_cstr(&answer));
  return finish(&g);
}

static void files_are_judged_by_what_was_found(void **state) {
  (void)state;
  static const struct {
    const char *kind, *params, *found, *reason, *detail;
  } cases[] = {
      {"file", "{\"path\":\"/x\"}", "{\"type\":\"file\",\"readable\":true,\"size\":5}", "", ""},
      {"file", "{\"path\":\"/x\"}", "{\"errno\":2,\"error\":\"No such file or directory\"}", "missing",
       "file /x: No such file or directory"},
      {"file", "{\"path\":\"/x\"}", "{\"errno\":13,\"error\":\"Permission denied\"}", "permission",
       "file /x: Permission denied"},
      {"file", "{\"path\":\"/x\"}", "{\"type\":\"directory\",\"readable\":true}", "type",
       "/x is a directory, expected a file"},
      {"directory", "{\"path\":\"/x\"}", "{\"type\":\"file\",\"readable\":true}", "type",
       "/x is a file, expected a directory"},
      {"file", "{\"path\":\"/x\"}", "{\"type\":\"file\",\"readable\":false}", "permission",
       "file /x is not readable for tend's user"},
      {"file", "{\"path\":\"/x\",\"readable\":false}", "{\"type\":\"file\",\"readable\":false}", "", ""},
      {"directory", "{\"path\":\"/x\",\"writable\":true}", "{\"type\":\"directory\",\"readable\":true}", "permission",
       "directory /x is not writable for tend's user"},
      {"directory", "{\"path\":\"/x\",\"writable\":true}",
       "{\"type\":\"directory\",\"readable\":true,\"read_only\":true}", "read_only",
       "directory /x is not writable for anyone: its file system is mounted read-only"},
      {"directory", "{\"path\":\"/x\",\"non_empty\":true}", "{\"type\":\"directory\",\"readable\":true,\"empty\":true}",
       "empty", "directory /x is empty"},
      {"file", "{\"path\":\"/x\",\"min_size\":10}", "{\"type\":\"file\",\"readable\":true,\"size\":9}", "small",
       "file /x has 9 bytes, expected at least 10"},
      {"file", "{\"path\":\"/x\",\"max_age\":\"1m\"}", "{\"type\":\"file\",\"readable\":true,\"age_s\":61}", "old",
       "file /x was modified 61 s ago, expected at most 1m"},
      {"file", "{\"path\":\"/x\",\"max_age\":60}", "{\"type\":\"file\",\"readable\":true,\"age_s\":59.5}", "", ""},
  };
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    struct got g = look(cases[i].kind, cases[i].params, cases[i].found);
    assert_string_equal(g.r.detail, cases[i].detail);
    assert_string_equal(g.r.reason, cases[i].reason);
    assert_int_equal(g.r.status, *cases[i].reason ? PROBE_FAIL : PROBE_OK);
  }
  struct got g;
  begin("file", "{\"path\":\"/x\"}", NS_PER_S, &g);
  requested();
  child_answers("1tend helper stat: no memory");
  finish(&g);
  assert_int_equal(g.r.status, PROBE_UNKNOWN);
  assert_string_equal(g.r.detail, "the look stat: tend helper stat: no memory");
  begin("file", "{\"path\":\"/x\"}", NS_PER_S, &g);
  child_exits(SIGKILL, "");
  finish(&g);
  assert_int_equal(g.r.status, PROBE_UNKNOWN);
  begin("file", "{\"path\":\"/x\"}", NS_PER_S, &g);
  assert_int_equal(child.spawned, 2);
  requested();
  child_answers("0{\"type\":\"file\",\"readable\":true}");
  finish(&g);
  assert_int_equal(g.r.status, PROBE_OK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(wrong_parameters_are_named, setup, teardown),
      cmocka_unit_test_setup_teardown(tcp_connects_or_says_why, setup, teardown),
      cmocka_unit_test_setup_teardown(a_silent_peer_is_a_timeout, setup, teardown),
      cmocka_unit_test_setup_teardown(cancel_ends_it_without_a_word, setup, teardown),
      cmocka_unit_test_setup_teardown(a_command_is_judged_by_its_exit, setup, teardown),
      cmocka_unit_test_setup_teardown(a_command_that_cannot_run, setup, teardown),
      cmocka_unit_test_setup_teardown(files_are_judged_by_what_was_found, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
