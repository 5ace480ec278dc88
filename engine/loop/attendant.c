#include "loop/attendant.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/str.h"
#include "loop/helper_said.h"

struct attendant {
  struct children *children;
  uint32_t child; /* 0: it has ended */
  int fd;         /* where its job is written to; -1: it has one, or will get none */
  attendant_done_fn *done;
  void *arg;
};

static void close_job(struct attendant *a) {
  if (a->fd >= 0) close(a->fd);
  a->fd = -1;
}

static void answer(struct attendant *a, bool ok, const char *text) {
  attendant_done_fn *done = a->done;
  a->done = NULL;
  if (done) done(a->arg, ok, text);
}

/* Where it was given up meanwhile, arg is NULL. */
static void on_said(void *arg, uint32_t child, const struct buf *out) {
  (void)child;
  const char *end = memchr(out->data, 0, out->len);
  if (!arg || !end || out->data[out->len - 1] != '\n') return;
  char text[ERR_MSG_MAX];
  helper_last_line(&(struct buf){.data = out->data, .len = (size_t)(end - out->data)}, text, sizeof text);
  answer(arg, end[1] == '0', text);
}

static void on_failed(void *arg, uint32_t child, enum spawn_stage stage, int error) {
  (void)child;
  (void)stage;
  struct attendant *a = arg;
  if (!a) return;
  a->child = 0;
  close_job(a);
  char text[ERR_MSG_MAX];
  snprintf(text, sizeof text, "the helper could not be started: %s", strerror(error));
  answer(a, false, text);
}

static void on_exited(void *arg, uint32_t child, const struct child_exit *x) {
  (void)child;
  struct attendant *a = arg;
  if (!a) return;
  a->child = 0;
  close_job(a);
  char text[ERR_MSG_MAX];
  helper_last_line(x->out, text, sizeof text);
  answer(a, false, *text ? text : "the helper was ended");
}

static const struct child_ops ops = {.said = on_said, .failed = on_failed, .exited = on_exited};

struct attendant *attendant_new(struct children *children, const char *name, struct err *err) {
  int p[2];
  if (pipe2(p, O_CLOEXEC | O_NONBLOCK)) {
    err_errno(err, -errno, "no pipe to a helper");
    return NULL;
  }
  auto_close int reader = p[0];
  struct attendant *a = malloc(sizeof *a);
  if (!a) {
    close(p[1]);
    err_set(err, -ENOMEM, "out of memory");
    return NULL;
  }
  *a = (struct attendant){.children = children, .fd = p[1]};
  fcntl(reader, F_SETFL, 0); /* it waits */
  const char *argv[] = {"tend", "helper", "attend", NULL};
  struct child_spec spec = {
      .kind = CHILD_HELPER, .name = name, .argv = (char *const *)(void *)argv, .input_fd = reader};
  a->child = children_spawn(children, &spec, &ops, a, err);
  if (a->child) return a;
  attendant_free(a);
  return NULL;
}

void attendant_free(struct attendant *a) {
  if (!a) return;
  bool works = a->done != NULL;
  close_job(a);
  if (a->child && works)
    children_forget(a->children, a->child);
  else if (a->child)
    children_rebind(a->children, a->child, NULL);
  free(a);
}

int attendant_give(struct attendant *a, char *const *argv, attendant_done_fn *done, void *arg) {
  if (a->fd < 0) return -EPIPE;
  auto_buf struct buf job = {0};
  unsigned words = 0;
  while (argv[words]) words++;
  buf_fmt(&job, "%u", words);
  buf_char(&job, 0);
  for (; *argv; argv++) buf_add(&job, *argv, strlen(*argv) + 1);
  if (job.failed) return -ENOMEM;
  ssize_t n = write(a->fd, job.data, job.len); /* some file names: a pipe takes them */
  int error = n < 0 ? -errno : n < (ssize_t)job.len ? -E2BIG : 0;
  close_job(a);
  if (error) return error;
  a->done = done;
  a->arg = arg;
  return 0;
}
