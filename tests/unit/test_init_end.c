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

/* An engine that ends at once, with a helper that is to finish its work. */
static int hasty_main(int channel_fd, int log_fd, void *arg) {
  (void)log_fd;
  struct loop *loop = loop_new();
  struct children *children = children_new(loop, channel_fd);
  struct err err = ERR_INIT;
  struct child_spec spec = {
      .kind = CHILD_HELPER, .name = "late", .argv = (char *[]){"/bin/sh", "-c", arg, NULL}, .finishes = true};
  if (!children_spawn(children, &spec, NULL, NULL, &err)) abort();
  children_exit(children, 3, false);
  children_free(children);
  loop_free(loop);
  return 99;
}

static int hasty_end(const char *shell) {
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) _exit(init_run(&(struct init_options){0}, hasty_main, (void *)(uintptr_t)shell));
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static void who_finishes_is_waited_for(void **state) {
  (void)state;
  char path[] = "/tmp/tend-init-XXXXXX"; /* mkstemp's */
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  char shell[128], text[32] = "";
  snprintf(shell, sizeof shell, "sleep 0.1; echo $$ >%s", path);
  assert_int_equal(hasty_end(shell), 3);
  assert_true(read(fd, text, sizeof text - 1) > 1);
  assert_true(scene_is_gone((pid_t)strtol(text, NULL, 10)));
  assert_int_equal(ftruncate(fd, 0), 0);
  lseek(fd, 0, SEEK_SET);
  snprintf(shell, sizeof shell, "echo $$ >%s; exec sleep 1000", path); /* but not for long */
  assert_int_equal(hasty_end(shell), 3);
  assert_true(read(fd, text, sizeof text - 1) > 1);
  assert_true(scene_is_gone((pid_t)strtol(text, NULL, 10)));
  close(fd);
  unlink(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_engine_that_lingers_is_ended),
      cmocka_unit_test(kill_9_leaves_nothing),
      cmocka_unit_test(who_finishes_is_waited_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
