/* Children seen from the engine: what comes in one turn, and who lets go of a child meanwhile. */
#include "fixture.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/proto.h"
#include "base/str.h"
#include "loop/children.h"

static struct {
  struct loop *loop;
  struct children *children;
  int init, output; /* the other end of the channel; where the helper writes */
  uint32_t child;
  bool forgets;
  unsigned said, exited;
  void *exited_arg;
} scene;

static void on_said(void *arg, uint32_t child, const struct buf *out) {
  assert_ptr_equal(arg, &scene);
  assert_string_equal(buf_cstr(out), "done\n");
  scene.said++;
  if (scene.forgets)
    children_forget(scene.children, child);
  else
    children_rebind(scene.children, child, NULL);
}

static void on_exited(void *arg, uint32_t child, const struct child_exit *x) {
  assert_int_equal(child, scene.child);
  assert_int_equal(x->status, 3 << 8);
  scene.exited++;
  scene.exited_arg = arg;
}

/* What it says comes in the turn in which its end is read: nobody has seen it before. */
static void on_started(void *arg, uint32_t child, pid_t pid) {
  (void)arg;
  (void)child;
  (void)pid;
  assert_int_equal(write(scene.output, "done\n", 5), 5);
  close(scene.output);
}

static const struct child_ops ops = {.started = on_started, .said = on_said, .exited = on_exited};

/* Takes the request to start the helper as init would, and keeps the end of the pipe that the helper gets. */
static void take_spawn(void) {
  static char text[64 * 1024];
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * PROTO_FDS)];
  } control;
  struct iovec v = {text, sizeof text};
  struct msghdr h = {
      .msg_iov = &v, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
  assert_true(recvmsg(scene.init, &h, MSG_DONTWAIT) > 0);
  assert_non_null(CMSG_FIRSTHDR(&h));
  memcpy(&scene.output, CMSG_DATA(CMSG_FIRSTHDR(&h)), sizeof scene.output);
}

/* The helper speaks and ends in one turn; then init goes, which ends the loop. */
static void speak_and_end(bool forgets) {
  struct err err = ERR_INIT;
  int channel[2];
  memset(&scene, 0, sizeof scene);
  scene.forgets = forgets;
  scene.exited_arg = &scene;
  assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel), 0);
  scene.init = channel[1];
  scene.loop = loop_new();
  scene.children = children_new(scene.loop, channel[0]);
  struct child_spec spec = {.kind = CHILD_HELPER, .name = "helper", .argv = (char *[]){"/bin/true", NULL}};
  scene.child = children_spawn(scene.children, &spec, &ops, &scene, &err);
  assert_int_not_equal(scene.child, 0);
  take_spawn();
  struct proto_started begin = {.head = {PROTO_STARTED, scene.child}, .pid = 4711};
  assert_int_equal(send(scene.init, &begin, sizeof begin, 0), sizeof begin);
  struct proto_exited end = {.head = {PROTO_EXITED, scene.child}, .status = 3 << 8};
  assert_int_equal(send(scene.init, &end, sizeof end, 0), sizeof end);
  close(scene.init);
  loop_run(scene.loop);
  assert_int_equal(scene.said, 1);
  assert_int_equal(children_lingering(scene.children), 0);
  children_free(scene.children);
  loop_free(scene.loop);
  close(channel[0]);
}

static void rebound_by_what_it_says(void **state) {
  (void)state;
  speak_and_end(false);
  assert_int_equal(scene.exited, 1);
  assert_null(scene.exited_arg);
}

static void forgotten_by_what_it_says(void **state) {
  (void)state;
  speak_and_end(true);
  assert_int_equal(scene.exited, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rebound_by_what_it_says),
      cmocka_unit_test(forgotten_by_what_it_says),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
