/* init's end, and the guard's: whom they wait for, and that nobody is left. */
#include <stdlib.h>

#include "init_scene.h"

static void an_engine_that_lingers_is_ended(void **state) {
  (void)state;
  struct shown s;
  scene_start(&s, &(struct scene){.shell = "echo ready; sleep 1000", .lingers = true});
  scene_wait(&s, &s.out, "ready\n");
  pid_t init = scene_child(s.pid);
  pid_t engine = scene_child(init);
  kill(s.pid, SIGTERM);
  assert_int_equal(scene_end(&s), 143);
  assert_true(scene_is_gone(engine));
  assert_true(scene_is_gone(init));
  assert_non_null(strstr(buf_cstr(&s.err), "left 0\n")); /* its last word */
  scene_free(&s);
}

static void kill_9_leaves_nothing(void **state) {
  (void)state;
  for (int which = 0; which < 2; which++) {
    struct shown s;
    scene_start(
        &s, &(struct scene){
                .shell = "sleep 1000 & echo group $! >&2; setsid sleep 1000 & echo alone $! >&2; echo ready; wait"});
    scene_wait(&s, &s.out, "ready\n");
    pid_t below[] = {scene_number(&s, "group"), scene_number(&s, "alone"), scene_number(&s, "started")};
    pid_t init = scene_child(s.pid);
    pid_t engine = scene_child(init);
    kill(which ? init : s.pid, SIGKILL);
    assert_int_equal(scene_end(&s), 137);
    assert_true(scene_is_gone(init));
    assert_true(scene_is_gone(engine));
    for (size_t i = 0; i < ARRAY_LEN(below); i++) assert_true(scene_is_gone(below[i]));
    scene_free(&s);
  }
}

/* An engine that ends once its helper runs, which is to finish its work. */
static struct {
  struct loop *loop;
  struct children *children;
  int told; /* a file: the helper's pid goes there */
} hasty;

static void hasty_started(void *arg, uint32_t child, pid_t pid) {
  (void)arg;
  (void)child;
  dprintf(hasty.told, "%d\n", (int)pid);
  children_exit(hasty.children, 3, false);
  loop_stop(hasty.loop);
}

static int hasty_main(int channel_fd, int log_fd, void *arg) {
  (void)log_fd;
  static const struct child_ops ops = {.started = hasty_started};
  int input[2]; /* ends with the engine */
  if (pipe2(input, O_CLOEXEC)) abort();
  hasty.loop = loop_new();
  hasty.children = children_new(hasty.loop, channel_fd);
  struct err err = ERR_INIT;
  struct child_spec spec = {.kind = CHILD_HELPER,
                            .name = "late",
                            .argv = (char *[]){"/bin/sh", "-c", arg, NULL},
                            .input_fd = input[0],
                            .finishes = true};
  if (!children_spawn(hasty.children, &spec, &ops, NULL, &err)) abort();
  close(input[0]);
  loop_run(hasty.loop);
  children_free(hasty.children);
  loop_free(hasty.loop);
  return 99;
}

/* What is in the file then: the helper's pid, and what it has written. */
static void hasty_end(const char *shell, char *text, size_t size) {
  char path[] = "/tmp/tend-init-XXXXXX"; /* mkstemp's */
  hasty.told = mkstemp(path);
  assert_true(hasty.told >= 0);
  char command[128];
  snprintf(command, sizeof command, shell, path);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) _exit(init_run(&(struct init_options){0}, hasty_main, command));
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 3);
  ssize_t n = pread(hasty.told, text, size - 1, 0);
  assert_true(n > 1);
  text[n] = 0;
  assert_true(scene_is_gone((pid_t)strtol(text, NULL, 10)));
  close(hasty.told);
  unlink(path);
}

static void who_finishes_is_waited_for(void **state) {
  (void)state;
  char text[64];
  hasty_end("cat; echo done >>%s", text, sizeof text);
  assert_non_null(strstr(text, "\ndone\n"));
  hasty_end("cat; exec sleep 1000; : %s", text, sizeof text); /* but not for long */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_engine_that_lingers_is_ended),
      cmocka_unit_test(kill_9_leaves_nothing),
      cmocka_unit_test(who_finishes_is_waited_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
