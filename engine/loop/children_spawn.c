#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/scratch.h"
#include "base/str.h"
#include "loop/children_inner.h"
#include "loop/spawn_blob.h"

static void read_all(struct child_entry *e) {
  char text[16384];
  for (int i = 0; i < 16; i++) {
    ssize_t n = read(e->out_fd, text, sizeof text);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
      watch_free(e->watch);
      e->watch = NULL;
      return;
    }
    size_t room = LIMIT_HELPER_OUTPUT - e->out.len;
    size_t take_n = (size_t)n < room ? (size_t)n : room;
    buf_add(&e->out, text, take_n);
    if (take_n < (size_t)n || e->out.failed) e->cut = true;
  }
}

void children_read_output(struct child_entry *e) {
  size_t before = e->out.len;
  read_all(e);
  if (e->out.len > before && e->ops && e->ops->said) e->ops->said(e->arg, e->number, &e->out);
}

static void on_output(void *arg, int fd, int events) {
  (void)fd;
  (void)events;
  children_read_output(arg);
}

/* What a helper needs: a pipe for its output, a memfd (or the descriptor that was given) as its input. */
struct helper_fds {
  int out[2], input;
};

static void close_helper(struct helper_fds *f) {
  for (int i = 0; i < 2; i++)
    if (f->out[i] >= 0) close(f->out[i]);
  if (f->input >= 0) close(f->input);
}

static int open_helper(const struct child_spec *spec, struct helper_fds *f, struct err *err) {
  if (pipe2(f->out, O_CLOEXEC) != 0 || fcntl(f->out[0], F_SETFL, O_NONBLOCK) != 0)
    return err_errno(err, -errno, "cannot make a pipe for %s", spec->name);
  if (spec->input_fd > 0) {
    f->input = fcntl(spec->input_fd, F_DUPFD_CLOEXEC, 0);
    return f->input < 0 ? err_errno(err, -errno, "cannot give %s its input", spec->name) : 0;
  }
  if (!spec->input) return 0;
  f->input = scratch_open("input");
  if (f->input < 0) return err_errno(err, f->input, "cannot hold the input of %s", spec->name);
  const char *p = spec->input;
  for (size_t n = spec->input_len; n;) {
    ssize_t r = write(f->input, p, n);
    if (r < 0) return err_errno(err, -errno, "cannot hold the input of %s", spec->name);
    p += r;
    n -= (size_t)r;
  }
  lseek(f->input, 0, SEEK_SET);
  return 0;
}

static uint32_t flags_of(const struct child_spec *spec) {
  uint32_t flags = 0;
  if (spec->kind == CHILD_HELPER) flags |= PROTO_HELPER;
  if (spec->no_new_privs) flags |= PROTO_NO_NEW_PRIVS;
  if (spec->finishes) flags |= PROTO_FINISHES;
  if (spec->own_stdin) flags |= PROTO_STDIN;
  if (spec->tty) flags |= PROTO_TTY;
  if (spec->user) flags |= PROTO_USER;
  bool self = STR_EQ(spec->argv[0], "tend");
  if (self) flags |= PROTO_SELF;
  if (self && spec->kind == CHILD_HELPER && spec->argv[1] && STR_EQ(spec->argv[1], "helper")) flags |= PROTO_OWN;
  if (spec->kind == CHILD_HELPER && (spec->input || spec->input_fd > 0)) flags |= PROTO_INPUT;
  return flags;
}

static int request_spawn(struct children *c, struct child_entry *e, const struct child_spec *spec, struct helper_fds *f,
                         struct err *err) {
  struct proto_spawn m = {.head = {PROTO_SPAWN, e->number}, .flags = flags_of(spec), .instance = spec->instance};
  str_copy(m.name, sizeof m.name, spec->name ? spec->name : spec->argv[0]);
  auto_buf struct buf blob = {0};
  auto_close int blob_fd = -1;
  int fds[PROTO_FDS];
  unsigned n = 0;
  int r = spawn_blob(spec, &m, &blob, err);
  if (r == 0 && blob.len > LIMIT_SPAWN_INLINE) {
    r = spawn_seal(&blob, &blob_fd, err);
    fds[n++] = blob_fd;
    blob.len = 0;
  }
  if (r < 0) return r;
  if (spec->kind == CHILD_HELPER) {
    r = open_helper(spec, f, err);
    if (r < 0) return r;
    e->watch = watch_new(c->loop, f->out[0], WATCH_READ, on_output, e);
    if (!e->watch) return err_set(err, -ENOMEM, "no memory for the output of %s", m.name);
    e->out_fd = f->out[0];
    f->out[0] = -1;
    fds[n++] = f->out[1];
    if (f->input >= 0) fds[n++] = f->input;
  }
  m.blob = (uint32_t)blob.len;
  auto_buf struct buf message = {0};
  buf_add(&message, (const char *)&m, sizeof m);
  buf_add(&message, blob.data, blob.len);
  if (message.failed) return err_set(err, -ENOMEM, "no memory to ask init to start %s", m.name);
  r = children_post(c, message.data, message.len, fds, n);
  return r < 0 ? err_errno(err, r, "cannot ask init to start %s", m.name) : 0;
}

uint32_t children_spawn(struct children *c, const struct child_spec *spec, const struct child_ops *ops, void *arg,
                        struct err *err) {
  if (!spec->argv || !spec->argv[0]) {
    err_set(err, -EINVAL, "%s has no command", spec->name ? spec->name : "a process");
    return 0;
  }
  struct child_entry *e = calloc(1, sizeof *e);
  if (!e) {
    err_set(err, -ENOMEM, "no memory for %s", spec->argv[0]);
    return 0;
  }
  e->out_fd = -1;
  e->ops = ops;
  e->arg = arg;
  e->number = ++c->last_number;
  struct helper_fds f = {{-1, -1}, -1};
  int r = request_spawn(c, e, spec, &f, err);
  close_helper(&f);
  if (r < 0) {
    children_entry_free(e);
    return 0;
  }
  e->next = c->buckets[e->number % CHILDREN_BUCKETS];
  c->buckets[e->number % CHILDREN_BUCKETS] = e;
  return e->number;
}
