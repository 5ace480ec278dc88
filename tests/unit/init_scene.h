/* A small engine over init and children, and the means to run a scene with it and look at what it did. The engine
 * tells what it hears on the log stream, one line each: "started PID", "failed STAGE ERRNO", "exited STATUS",
 * "signal N LEVEL BEGUN", "left N", "helper TEXT". */
#ifndef TEND_TESTS_INIT_SCENE_H
#define TEND_TESTS_INIT_SCENE_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "init/init.h"
#include "loop/children.h"

#define SCENE_WAIT_NS (20 * NS_PER_S)

struct scene {
  const char *shell; /* a command for sh -c; or: */
  char **argv;
  struct child_spec spec; /* what else is asked for */
  struct proto_output output;
  bool immediate; /* init begins the stop */
  bool stopped_is_0;
  int64_t grace_ns;
  bool hang;      /* the engine answers nothing once the process runs */
  bool lingers;   /* the engine does not end when it has asked for the end */
  bool one_pipe;  /* tend's standard output and error are the same */
  bool no_stdio;  /* tend is started without descriptors 0 to 2 */
  bool passive;   /* the engine leaves a stop to init */
  int burst;      /* lines that the engine writes at once just before its end */
  const char *in; /* tend's standard input */
};

struct shown {
  pid_t pid;
  int out_fd, err_fd; /* -1: closed */
  struct buf out, err;
};

/* The engine's side. */
static struct {
  const struct scene *scene;
  struct loop *loop;
  struct children *children;
  uint32_t main;
  int log, code;
} eng;

__attribute__((format(printf, 1, 2))) static void eng_say(const char *fmt, ...) {
  char line[1024];
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(line, sizeof line, fmt, ap);
  va_end(ap);
  if (write(eng.log, line, (size_t)n) != n) abort();
}

static void eng_end(int code) {
  eng.code = code;
  children_exit(eng.children, code, false);
  while (eng.scene->lingers) pause();
  loop_stop(eng.loop);
}

static void eng_started(void *arg, uint32_t child, pid_t pid) {
  (void)arg;
  (void)child;
  eng_say("started %d\n", (int)pid);
  while (eng.scene->hang) pause();
}

static void eng_failed(void *arg, uint32_t child, enum spawn_stage stage, int error) {
  (void)arg;
  (void)child;
  eng_say("failed %d %d\n", (int)stage, error);
  eng_end(error == ENOENT ? 127 : 126);
}

static void eng_swept(void *arg, unsigned left) {
  (void)arg;
  eng_say("left %u\n", left);
  if (left) {
    children_sweep(eng.children, SIGKILL, eng_swept, NULL);
    return;
  }
  for (int i = 0; i < eng.scene->burst; i++) eng_say("burst %d %500s\n", i, "");
  eng_end(eng.code);
}

static void eng_exited(void *arg, uint32_t child, const struct child_exit *e) {
  (void)arg;
  eng.code = WIFEXITED(e->status) ? WEXITSTATUS(e->status) : 128 + WTERMSIG(e->status);
  if (e->out) eng_say("helper %zu %d %.100s\n", e->out->len, e->out_cut, buf_cstr(e->out));
  eng_say("exited %d group %d\n", eng.code, e->group_left);
  if (e->group_left) children_kill(eng.children, child, SIGTERM, KILL_GROUP);
  children_sweep(eng.children, SIGTERM, eng_swept, NULL);
}

static void eng_signal(void *arg, int sig, int level, bool begun) {
  (void)arg;
  eng_say("signal %d %d %d\n", sig, level, begun);
  if (level == 1 && !begun && !eng.scene->passive) {
    children_kill(eng.children, eng.main, SIGTERM, KILL_MAIN);
    children_kill(eng.children, eng.main, SIGCONT, KILL_MAIN);
  }
}

static int eng_main(int channel_fd, int log_fd, void *arg) {
  static const struct child_ops ops = {.started = eng_started, .failed = eng_failed, .exited = eng_exited};
  const struct scene *sc = eng.scene = arg;
  eng.log = log_fd;
  eng.loop = loop_new();
  eng.children = children_new(eng.loop, channel_fd);
  children_on_signal(eng.children, eng_signal, NULL);
  children_output(eng.children, &sc->output);
  char *shell[] = {"sh", "-c", (char *)(uintptr_t)sc->shell, NULL};
  struct child_spec spec = sc->spec;
  spec.argv = sc->argv ? sc->argv : shell;
  if (!spec.name) spec.name = "main";
  struct err err = ERR_INIT;
  eng.main = children_spawn(eng.children, &spec, &ops, NULL, &err);
  if (eng.main) {
    static struct proto_plan plan;
    plan.main_child = eng.main;
    plan.immediate = sc->immediate;
    plan.stopped_is_0 = sc->stopped_is_0;
    plan.grace_ns = sc->grace_ns;
    plan.n = 1;
    plan.children[0] = (struct proto_plan_child){.child = eng.main, .signal = SIGTERM};
    children_plan(eng.children, &plan);
    loop_run(eng.loop);
  } else {
    eng_say("refused %s\n", err.msg);
    children_exit(eng.children, 71, false);
  }
  children_free(eng.children);
  loop_free(eng.loop);
  return 99; /* the exit that was asked for counts */
}

static void scene_start(struct shown *s, const struct scene *scene) {
  int out[2];
  int err[2];
  int in[2];
  assert_int_equal(pipe2(out, O_CLOEXEC) | pipe2(err, O_CLOEXEC) | pipe2(in, O_CLOEXEC), 0);
  if (scene->in) assert_int_equal(write(in[1], scene->in, strlen(scene->in)), strlen(scene->in));
  *s = (struct shown){.out_fd = out[0], .err_fd = err[0]};
  s->pid = fork();
  assert_true(s->pid >= 0);
  if (s->pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(in[0], 0);
    dup2(out[1], 1);
    dup2(scene->one_pipe ? out[1] : err[1], 2);
    close(in[1]);
    close(out[0]);
    close(err[0]);
    if (scene->no_stdio)
      for (int fd = 0; fd < 3; fd++) close(fd);
    struct init_options options = {0};
    _exit(init_run(&options, eng_main, (void *)(uintptr_t)scene));
  }
  close(out[1]);
  close(err[1]);
  close(in[0]);
  close(in[1]);
}

/* Reads what is there, at most until the time is up; false when both have ended. */
static bool scene_read(struct shown *s, int64_t due_ns) {
  struct pollfd p[2] = {{.fd = s->out_fd, .events = POLLIN}, {.fd = s->err_fd, .events = POLLIN}};
  if (s->out_fd < 0 && s->err_fd < 0) return false;
  int n = poll(p, 2, clock_ms_until(due_ns, clock_mono_ns()));
  if (n == 0) fail_msg("timeout; out: %.200s err: %s", buf_cstr(&s->out), buf_cstr(&s->err));
  for (int i = 0; i < 2; i++) {
    if (!(p[i].revents & (POLLIN | POLLHUP))) continue;
    struct buf *b = i ? &s->err : &s->out;
    char *room = buf_room(b, 65536);
    ssize_t got = read(p[i].fd, room, 65536);
    if (got > 0) {
      b->len += (size_t)got;
      b->data[b->len] = 0;
    } else {
      b->data[b->len] = 0;
      close(p[i].fd);
      *(i ? &s->err_fd : &s->out_fd) = -1;
    }
  }
  return true;
}

static void scene_wait(struct shown *s, const struct buf *b, const char *text) {
  int64_t due = clock_mono_ns() + SCENE_WAIT_NS;
  while (!memmem(buf_cstr(b), b->len, text, strlen(text)))
    if (!scene_read(s, due)) fail_msg("ended without \"%s\"; err: %s", text, buf_cstr(&s->err));
}

/* The number after "word " on standard error. */
static __attribute__((unused)) int scene_number(struct shown *s, const char *word) {
  char text[64];
  snprintf(text, sizeof text, "%s ", word);
  scene_wait(s, &s->err, text);
  return (int)strtol(strstr(buf_cstr(&s->err), text) + strlen(text), NULL, 10);
}

/* Reads all and waits for the end; the exit code, 128 + N where a signal ended it. */
static int scene_end(struct shown *s) {
  int64_t due = clock_mono_ns() + SCENE_WAIT_NS;
  while (scene_read(s, due)) continue;
  int status;
  assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void scene_free(struct shown *s) {
  if (s->out_fd >= 0) close(s->out_fd);
  if (s->err_fd >= 0) close(s->err_fd);
  buf_free(&s->out);
  buf_free(&s->err);
}

static __attribute__((unused)) int scene_code(const struct scene *scene) {
  struct shown s;
  scene_start(&s, scene);
  int code = scene_end(&s);
  scene_free(&s);
  return code;
}

/* Waits until no such process is left (a zombie whose parent is not us counts as gone). */
static __attribute__((unused)) bool scene_is_gone(pid_t pid) {
  int64_t due = clock_mono_ns() + SCENE_WAIT_NS;
  while (clock_mono_ns() < due) {
    if (kill(pid, 0) != 0) return true;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    char state = 'Z';
    if (f && fscanf(f, "%*d (%*[^)]) %c", &state) != 1) state = 'Z';
    if (f) fclose(f);
    if (state == 'Z') return true;
    usleep(2000);
  }
  return false;
}

/* The process that has this one as its parent and is no workload: init below the guard, the engine below init. */
static __attribute__((unused)) pid_t scene_child(pid_t parent) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
  FILE *f = fopen(path, "re");
  int pid = 0;
  if (f && fscanf(f, "%d", &pid) != 1) pid = 0;
  if (f) fclose(f);
  return pid;
}

static __attribute__((unused)) pid_t scene_engine(const struct shown *s) { return scene_child(scene_child(s->pid)); }

#endif
