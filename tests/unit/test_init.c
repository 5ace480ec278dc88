/* init and children with real processes. */
#include <sys/stat.h>

#include "init_scene.h"

static void codes_are_passed_on(void **state) {
  (void)state;
  static const int codes[] = {0, 1, 2, 42, 99, 125, 126, 127, 128, 143, 255};
  for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
    char shell[32];
    snprintf(shell, sizeof shell, "exit %d", codes[i]);
    assert_int_equal(scene_code(&(struct scene){.shell = shell}), codes[i]);
  }
  static const int signals[] = {SIGHUP, SIGINT, SIGKILL, SIGSEGV, SIGTERM, SIGUSR1};
  for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
    char shell[48];
    snprintf(shell, sizeof shell, "kill -%d $$; sleep 9", signals[i]);
    assert_int_equal(scene_code(&(struct scene){.shell = shell}), 128 + signals[i]);
  }
}

static void fails(const struct scene *scene, enum spawn_stage stage, int error) {
  struct shown s;
  scene_start(&s, scene);
  scene_end(&s);
  char text[32];
  snprintf(text, sizeof text, "failed %d %d\n", (int)stage, error);
  assert_non_null(strstr(buf_cstr(&s.err), text));
  assert_null(strstr(buf_cstr(&s.err), "started"));
  scene_free(&s);
}

static void failures_name_their_stage(void **state) {
  (void)state;
  fails(&(struct scene){.argv = (char *[]){"no-such-command", NULL}}, SPAWN_EXEC, ENOENT);
  fails(&(struct scene){.argv = (char *[]){"/no/such/command", NULL}}, SPAWN_EXEC, ENOENT);
  fails(&(struct scene){.argv = (char *[]){"", NULL}}, SPAWN_EXEC, ENOENT);
  fails(&(struct scene){.argv = (char *[]){"/etc/passwd", NULL}}, SPAWN_EXEC, EACCES);
  fails(&(struct scene){.argv = (char *[]){"/", NULL}}, SPAWN_EXEC, EACCES);
  fails(&(struct scene){.shell = "true", .spec.cwd = "/no/such/directory"}, SPAWN_CWD, ENOENT);
  if (geteuid() != 0) fails(&(struct scene){.shell = "true", .spec.user = "0"}, SPAWN_USER, EPERM);
  assert_int_equal(scene_code(&(struct scene){.shell = "true", .spec.user = "no-such-user"}), 71);
}

/* What a workload finds, in one line each. */
static void children_start_clean(void **state) {
  (void)state;
  struct shown s;
  scene_start(&s, &(struct scene){.shell = "echo fds $(ls /proc/self/fd | wc -l); readlink /proc/self/fd/0;"
                                           "grep -E '^Sig(Blk|Ign|Cgt)|^NoNew' /proc/self/status; pwd;"
                                           "[ $(cut -d' ' -f6 /proc/$$/stat) = $$ ] && echo own session",
                                  .spec = {.cwd = "/usr", .no_new_privs = true}});
  assert_int_equal(scene_end(&s), 0);
  const char *out = buf_cstr(&s.out);
  assert_non_null(strstr(out, "fds 4\n")); /* 0, 1, 2 and ls's own */
  assert_non_null(strstr(out, "/dev/null\n"));
  assert_non_null(strstr(out, "SigBlk:\t0000000000000000\n"));
  assert_non_null(strstr(out, "SigIgn:\t0000000000000000\n"));
  assert_non_null(strstr(out, "NoNewPrivs:\t1\n"));
  assert_non_null(strstr(out, "\n/usr\n"));
  assert_non_null(strstr(out, "own session\n"));
  scene_free(&s);
}

static void standard_input_is_handed_on(void **state) {
  (void)state;
  struct shown s;
  scene_start(&s, &(struct scene){.shell = "cat", .in = "given\n", .spec.own_stdin = true});
  assert_int_equal(scene_end(&s), 0);
  assert_string_equal(buf_cstr(&s.out), "given\n");
  scene_free(&s);
}

static void missing_descriptors_do_no_harm(void **state) {
  (void)state;
  assert_int_equal(scene_code(&(struct scene){.no_stdio = true, .shell = "echo x; echo y >&2; exit 5"}), 5);
}

static void users_are_changed(void **state) {
  (void)state;
  if (geteuid() != 0) {
    print_message("# needs root, to become another user\n");
    skip();
  }
  struct shown s;
  scene_start(&s,
              &(struct scene){.shell = "id -u; id -g; id -G; echo opened > /dev/stdout", .spec.user = "12345:23456"});
  assert_int_equal(scene_end(&s), 0);
  assert_string_equal(buf_cstr(&s.out), "12345\n23456\n23456\nopened\n");
  scene_free(&s);
}

static void scripts_without_a_format_get_a_shell(void **state) {
  (void)state;
  char path[] = "/tmp/tend-init-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "exit $1\n", 8), 8);
  fchmod(fd, 0755);
  close(fd);
  assert_int_equal(scene_code(&(struct scene){.argv = (char *[]){path, "17", NULL}}), 17);
  unlink(path);
}

static void a_stop_is_begun_by_init(void **state) {
  (void)state;
  struct shown s;
  scene_start(&s, &(struct scene){.shell = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done",
                                  .immediate = true});
  scene_wait(&s, &s.out, "ready\n");
  kill(s.pid, SIGTERM);
  assert_int_equal(scene_end(&s), 3);
  assert_non_null(strstr(buf_cstr(&s.err), "signal 15 1 1\n"));
  assert_string_equal(buf_cstr(&s.out), "ready\nbye\n");
  scene_free(&s);
}

static void a_stopped_process_is_stopped(void **state) {
  (void)state;
  struct shown s;
  scene_start(&s, &(struct scene){.shell = "echo ready; kill -STOP $$", .immediate = true});
  scene_wait(&s, &s.out, "ready\n");
  kill(s.pid, SIGTERM);
  int code = scene_end(&s);
  assert_true(code == 143 || code == 0); /* the signal may have come before the STOP */
  scene_free(&s);
}

static void quit_kills_what_ignores(void **state) {
  (void)state;
  struct shown s;
  scene_start(&s, &(struct scene){.shell = "trap '' TERM INT; echo ready; while :; do sleep 0.01; done"});
  scene_wait(&s, &s.out, "ready\n");
  kill(s.pid, SIGTERM);
  scene_wait(&s, &s.err, "signal 15 1 0\n");
  kill(s.pid, SIGINT);
  scene_wait(&s, &s.err, "signal 2 2 0\n");
  kill(s.pid, SIGQUIT);
  assert_int_equal(scene_end(&s), 137);
  assert_non_null(strstr(buf_cstr(&s.err), "signal 3 3 1\n"));
  scene_free(&s);
}

/* One by one, as a shell runs its traps only between commands. */
static void signals_are_forwarded(void **state) {
  (void)state;
  static const int wanted[] = {SIGUSR1, SIGUSR2, SIGWINCH, SIGALRM, SIGURG, SIGIO, SIGPWR, 37, 60};
  static const int unwanted[] = {SIGPIPE, SIGTTIN, SIGTTOU, SIGTSTP, SIGVTALRM};
  struct shown s;
  scene_start(&s,
              &(struct scene){.argv = (char *[]){"bash", "-c",
                                                 "for s in $(seq 1 64); do trap \"echo got $s\" $s; done 2>/dev/null; "
                                                 "trap - CHLD; echo ready; while :; do sleep 0.01; done",
                                                 NULL}});
  scene_wait(&s, &s.out, "ready\n");
  for (size_t i = 0; i < ARRAY_LEN(unwanted); i++) kill(s.pid, unwanted[i]);
  for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
    char text[16];
    snprintf(text, sizeof text, "got %d\n", wanted[i]);
    kill(s.pid, wanted[i]);
    scene_wait(&s, &s.out, text);
  }
  for (size_t i = 0; i < ARRAY_LEN(unwanted); i++) {
    char text[16];
    snprintf(text, sizeof text, "got %d\n", unwanted[i]);
    assert_null(strstr(buf_cstr(&s.out), text));
  }
  kill(s.pid, SIGQUIT);
  assert_int_equal(scene_end(&s), 137);
  scene_free(&s);
}

static void hup_is_for_the_engine(void **state) {
  (void)state;
  struct shown s;
  scene_start(&s, &(struct scene){.shell = "trap 'echo wrong' HUP; echo ready; while :; do sleep 0.01; done"});
  scene_wait(&s, &s.out, "ready\n");
  kill(s.pid, SIGHUP);
  scene_wait(&s, &s.err, "signal 1 0 0\n");
  kill(s.pid, SIGQUIT);
  assert_int_equal(scene_end(&s), 137);
  assert_null(strstr(buf_cstr(&s.out), "wrong"));
  scene_free(&s);
}

static void descendants_are_ended(void **state) {
  (void)state;
  struct shown s;
  scene_start(&s,
              &(struct scene){
                  .shell = "sleep 1000 & echo group $! >&2; setsid sh -c 'trap \"\" TERM; echo alone $$ >&2;"
                           "while :; do sleep 0.01; done' & while ! [ -e /proc/$! ]; do :; done; sleep 0.2; exit 6"});
  int code = scene_end(&s);
  assert_int_equal(code, 6);
  assert_non_null(strstr(buf_cstr(&s.err), "exited 6 group 1\n"));
  assert_true(scene_is_gone(scene_number(&s, "group")));
  assert_true(scene_is_gone(scene_number(&s, "alone")));
  scene_free(&s);
}

static void orphans_are_reaped(void **state) {
  (void)state;
  assert_int_equal(
      scene_code(&(struct scene){
          .shell = "for i in 1 2 3 4 5 6 7 8 9 10; do (true & true & true &); done; sleep 0.1;"
                   "p=$(cut -d' ' -f4 /proc/$$/stat); ! grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null |"
                   "xargs -r grep -l \"^PPid:.$p$\" | grep -q ."}),
      0);
}

static void the_workload_outlives_the_engine(void **state) {
  (void)state;
  struct shown s;
  scene_start(
      &s, &(struct scene){
              .shell = "echo $$; i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); sleep 0.002; done; exit 9"});
  scene_wait(&s, &s.out, "line 10\n");
  int main_pid = scene_number(&s, "started");
  kill(scene_engine(&s), SIGKILL);
  assert_int_equal(scene_end(&s), 9);
  struct buf expected = {0};
  buf_fmt(&expected, "%d\n", main_pid);
  for (int i = 0; i < 200; i++) buf_fmt(&expected, "line %d\n", i);
  assert_string_equal(buf_cstr(&s.out), buf_cstr(&expected));
  assert_non_null(strstr(buf_cstr(&s.err), "\"event\": \"notice\", \"message\": \"the engine ended"));
  buf_free(&expected);
  scene_free(&s);
}

static void without_the_engine_a_stop_is_bounded(void **state) {
  (void)state;
  struct shown s;
  scene_start(
      &s, &(struct scene){
              .shell = "trap '' TERM; setsid sleep 1000 & echo alone $! >&2; echo ready; while :; do sleep 0.01; done",
              .immediate = true,
              .grace_ns = 300 * NS_PER_MS});
  scene_wait(&s, &s.out, "ready\n");
  pid_t alone = scene_number(&s, "alone");
  kill(scene_engine(&s), SIGKILL);
  scene_wait(&s, &s.err, "the engine ended");
  int64_t begin = clock_mono_ns();
  kill(s.pid, SIGTERM);
  assert_int_equal(scene_end(&s), 137);
  int64_t took = clock_mono_ns() - begin;
  assert_in_range(took, 290 * NS_PER_MS, 5 * NS_PER_S);
  assert_true(scene_is_gone(alone));
  scene_free(&s);
}

static void a_silent_engine_is_passed_over(void **state) {
  (void)state;
  struct shown s;
  scene_start(&s, &(struct scene){.shell = "echo ready; exec sleep 1000", .hang = true, .stopped_is_0 = true});
  scene_wait(&s, &s.out, "ready\n");
  scene_wait(&s, &s.err, "started");
  int64_t begin = clock_mono_ns();
  kill(s.pid, SIGTERM);
  assert_int_equal(scene_end(&s), 0);
  assert_in_range(clock_mono_ns() - begin, 990 * NS_PER_MS, 4 * NS_PER_S);
  assert_non_null(strstr(buf_cstr(&s.err), "does not answer"));
  scene_free(&s);
}

static void helpers_answer_to_the_engine(void **state) {
  (void)state;
  struct shown s;
  scene_start(&s, &(struct scene){.shell = "cat; echo problem >&2; sleep 1000 & exit 2",
                                  .spec = {.kind = CHILD_HELPER, .name = "check", .input = "asked ", .input_len = 6}});
  assert_int_equal(scene_end(&s), 2);
  assert_non_null(strstr(buf_cstr(&s.err), "helper 14 0 asked problem\n"));
  assert_string_equal(buf_cstr(&s.out), "");
  scene_free(&s);
  scene_start(&s, &(struct scene){.shell = "head -c 300000 /dev/zero | tr '\\0' x", .spec = {.kind = CHILD_HELPER}});
  assert_int_equal(scene_end(&s), 0);
  assert_non_null(strstr(buf_cstr(&s.err), "helper 65536 1 xxx"));
  scene_free(&s);
}

/* More at once than the channel takes: processes and helpers in turns, each sixth with a command that is not there. */
enum { CROWD = 600 };
static struct {
  struct loop *loop;
  struct children *children;
  unsigned started, exited, output, failed;
} crowd;

static void crowd_ends(void) {
  if (crowd.exited + crowd.failed < CROWD) return;
  bool all = crowd.failed == CROWD / 6 && crowd.started == crowd.exited && crowd.output == CROWD / 2;
  children_exit(crowd.children, all ? 0 : 1, false);
  loop_stop(crowd.loop);
}

static void crowd_failed(void *arg, uint32_t child, enum spawn_stage stage, int error) {
  (void)arg;
  (void)child;
  crowd.failed += stage == SPAWN_EXEC && error == ENOENT;
  crowd_ends();
}

static void crowd_started(void *arg, uint32_t child, pid_t pid) {
  (void)arg;
  (void)child;
  crowd.started += pid > 0;
}

static void crowd_exited(void *arg, uint32_t child, const struct child_exit *e) {
  (void)arg;
  (void)child;
  if (e->out && STR_EQ(buf_cstr(e->out), "x\n")) crowd.output++;
  crowd.exited++;
  crowd_ends();
}

static int crowd_main(int channel_fd, int log_fd, void *arg) {
  (void)log_fd;
  (void)arg;
  static const struct child_ops ops = {.started = crowd_started, .exited = crowd_exited, .failed = crowd_failed};
  crowd.loop = loop_new();
  crowd.children = children_new(crowd.loop, channel_fd);
  for (unsigned i = 0; i < CROWD; i++) {
    struct err err = ERR_INIT;
    struct child_spec spec = {.kind = i % 2 ? CHILD_HELPER : CHILD_PROCESS,
                              .name = "crowd",
                              .instance = i,
                              .argv = (char *[]){i % 6 == 4 ? "/bin/nowhere" : "/bin/echo", i % 2 ? "x" : "y", NULL}};
    if (!children_spawn(crowd.children, &spec, &ops, NULL, &err)) abort();
  }
  loop_run(crowd.loop);
  children_free(crowd.children);
  loop_free(crowd.loop);
  return 99;
}

static void many_at_once(void **state) {
  (void)state;
  int out[2];
  assert_int_equal(pipe2(out, O_CLOEXEC), 0);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    dup2(out[1], 1);
    close(out[0]);
    close(out[1]);
    struct init_options options = {0};
    _exit(init_run(&options, crowd_main, NULL));
  }
  close(out[1]);
  char text[CROWD * 2];
  size_t n = 0;
  for (ssize_t r; (r = read(out[0], text + n, sizeof text - n)) > 0;) n += (size_t)r;
  close(out[0]);
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  assert_int_equal(n, 2 * (CROWD / 2 - CROWD / 6));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(codes_are_passed_on),
      cmocka_unit_test(failures_name_their_stage),
      cmocka_unit_test(children_start_clean),
      cmocka_unit_test(standard_input_is_handed_on),
      cmocka_unit_test(missing_descriptors_do_no_harm),
      cmocka_unit_test(users_are_changed),
      cmocka_unit_test(scripts_without_a_format_get_a_shell),
      cmocka_unit_test(a_stop_is_begun_by_init),
      cmocka_unit_test(a_stopped_process_is_stopped),
      cmocka_unit_test(quit_kills_what_ignores),
      cmocka_unit_test(signals_are_forwarded),
      cmocka_unit_test(hup_is_for_the_engine),
      cmocka_unit_test(descendants_are_ended),
      cmocka_unit_test(orphans_are_reaped),
      cmocka_unit_test(the_workload_outlives_the_engine),
      cmocka_unit_test(without_the_engine_a_stop_is_bounded),
      cmocka_unit_test(a_silent_engine_is_passed_over),
      cmocka_unit_test(helpers_answer_to_the_engine),
      cmocka_unit_test(many_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
