#include "loop/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "loop/helper_said.h"

#define BACK_OFF_MIN_NS NS_PER_S
#define BACK_OFF_MAX_NS (60 * NS_PER_S)

enum { ROOM_AT_REST = 16 * 1024 }; /* bytes of the queue */

struct journal {
  struct loop *loop;
  struct children *children;
  struct sink *sink;
  char *dir;
  int64_t max_bytes;
  unsigned keep;
  uint32_t child; /* 0: none runs */
  int64_t started_ns;
  int fd; /* the pipe's writing end, -1 while no helper is there */
  struct watch *watch;
  struct timer *timer; /* start again, or the end of patience */
  int64_t back_off_ns;
  struct buf queue;
  size_t sent; /* bytes of queue that the pipe has taken */
  uint64_t dropped;
  char told[ERR_MSG_MAX]; /* the last complaint */
  loop_fn *done;
  void *done_arg;
  bool finishing;
  bool due;                      /* written at the end of this turn */
  journal_written_fn *file_done; /* of the file that is being replaced; NULL: none is */
  void *file_arg;
  struct timer *file_timer;
};

static void start_helper(struct journal *j);

/* --- the pipe --------------------------------------------------------------------------------------------------- */

static void close_pipe(struct journal *j) {
  watch_free(j->watch);
  j->watch = NULL;
  if (j->fd >= 0) close(j->fd);
  j->fd = -1;
}

static void flush(struct journal *j) {
  if (j->fd < 0) return;
  while (j->sent < j->queue.len) {
    ssize_t n = write(j->fd, j->queue.data + j->sent, j->queue.len - j->sent);
    if (n > 0)
      j->sent += (size_t)n;
    else if (n < 0 && errno == EINTR)
      continue;
    else
      break; /* full; or the helper is gone, which its exit tells */
  }
  bool empty = j->sent == j->queue.len;
  if (empty || j->sent > LIMIT_JOURNAL / 2) {
    buf_drop(&j->queue, j->sent);
    j->sent = 0;
  }
  if (empty && j->queue.cap > ROOM_AT_REST) { /* a thousand have been started at once */
    buf_free(&j->queue);
    malloc_trim(0);
  }
  if (j->watch) watch_events(j->watch, empty ? 0 : WATCH_WRITE);
  if (empty && j->finishing) close_pipe(j);
}

static void on_writable(void *arg, int fd, int events) {
  (void)fd;
  (void)events;
  flush(arg);
}

/* The helper has died over a line: the next one begins with a whole line. */
static void forget_half_line(struct journal *j) {
  if (j->sent && j->queue.data[j->sent - 1] != '\n') {
    const char *end = memchr(j->queue.data + j->sent, '\n', j->queue.len - j->sent);
    j->sent = end ? (size_t)(end + 1 - j->queue.data) : j->queue.len;
    j->dropped++;
  }
  buf_drop(&j->queue, j->sent);
  j->sent = 0;
}

static void add_line(struct journal *j, const struct event *e) {
  auto_buf struct buf own = {0};
  const struct buf *line = e->line;
  if (!line) {
    event_json(e, sink_who(j->sink), &own);
    buf_char(&own, '\n');
    line = &own;
  }
  if (line->failed || j->queue.len - j->sent + line->len > LIMIT_JOURNAL) {
    j->dropped++;
    return;
  }
  buf_add(&j->queue, line->data, line->len);
  if (j->queue.failed) {
    j->queue.failed = false;
    j->dropped++;
  }
}

static void on_turn_end(void *arg) {
  struct journal *j = arg;
  j->due = false;
  flush(j);
}

static void on_event(void *arg, const struct event *e) {
  struct journal *j = arg;
  add_line(j, e);
  if (!j->due) j->due = loop_defer(j->loop, on_turn_end, j) == 0;
  if (!j->due) flush(j);
}

/* --- the helper ------------------------------------------------------------------------------------------------- */

static void complain(struct journal *j, const char *why) {
  if (STR_EQ(j->told, why)) return;
  str_copy(j->told, sizeof j->told, why);
  sink_say(j->sink, EVENT_NOTICE, LEVEL_WARNING, "events are not written to %s/events.jsonl for now: %s", j->dir, why);
}

static void relax(struct journal *j) {
  *j->told = 0;
  sink_say(j->sink, EVENT_NOTICE, LEVEL_INFO, "events are written to %s/events.jsonl again", j->dir);
}

static void file_written(struct journal *j, int rc, const char *why) {
  journal_written_fn *done = j->file_done;
  if (!done) return;
  j->file_done = NULL;
  timer_stop(j->file_timer);
  struct err err = ERR_INIT;
  if (rc) err_set(&err, rc, "%s", why);
  done(j->file_arg, rc, &err);
}

static void on_file_late(void *arg) { file_written(arg, -ETIMEDOUT, "writing took too long"); }

static void on_said(void *arg, uint32_t child, const struct buf *out) {
  (void)child;
  char line[300];
  helper_last_line(out, line, sizeof line);
  if (*line == '+') file_written(arg, 0, NULL);
  if (*line == '-') file_written(arg, -EIO, line + 1);
  if (*line == '!' && line[1]) complain(arg, line + 1);
  if (*line == '!' && !line[1]) relax(arg);
}

static void finished(struct journal *j) {
  timer_stop(j->timer);
  loop_fn *done = j->done;
  j->done = NULL;
  if (done) done(j->done_arg);
}

/* No helper any more: the next one after a while. */
static void helper_ended(struct journal *j, const char *why) {
  j->child = 0;
  close_pipe(j);
  forget_half_line(j);
  file_written(j, -EIO, why);
  if (j->finishing) {
    finished(j);
    return;
  }
  if (loop_now_ns(j->loop) - j->started_ns > BACK_OFF_MAX_NS) j->back_off_ns = BACK_OFF_MIN_NS;
  timer_after(j->timer, j->back_off_ns);
  j->back_off_ns = j->back_off_ns * 2 < BACK_OFF_MAX_NS ? j->back_off_ns * 2 : BACK_OFF_MAX_NS;
  complain(j, why);
}

static void on_failed(void *arg, uint32_t child, enum spawn_stage stage, int error) {
  (void)child;
  (void)stage;
  helper_ended(arg, strerror(error));
}

/* The last line of a helper's output, or how it ended. */
static void reason_of(const struct child_exit *e, char *out, size_t size) {
  helper_last_line(e->out, out, size);
  if (*out) return;
  if (WIFSIGNALED(e->status))
    snprintf(out, size, "the helper was ended by signal %d", WTERMSIG(e->status));
  else
    snprintf(out, size, "the helper ended with code %d", WEXITSTATUS(e->status));
}

static void on_exited(void *arg, uint32_t child, const struct child_exit *e) {
  (void)child;
  char why[300];
  reason_of(e, why, sizeof why);
  helper_ended(arg, why);
}

static const struct child_ops journal_ops = {.said = on_said, .failed = on_failed, .exited = on_exited};

static int make_pipe(struct journal *j, int *reader) {
  int p[2];
  if (pipe2(p, O_CLOEXEC)) return -errno;
  *reader = p[0];
  j->fd = p[1];
  if (fcntl(j->fd, F_SETFL, O_NONBLOCK)) return -errno;
  j->watch = watch_new(j->loop, j->fd, 0, on_writable, j);
  return j->watch ? 0 : -ENOMEM;
}

static void start_helper(struct journal *j) {
  auto_close int reader = -1;
  struct err err = ERR_INIT;
  j->started_ns = loop_now_ns(j->loop);
  int rc = make_pipe(j, &reader);
  if (rc) {
    helper_ended(j, strerror(-rc));
    return;
  }
  char max_bytes[32];
  char keep[16];
  snprintf(max_bytes, sizeof max_bytes, "%lld", (long long)j->max_bytes);
  snprintf(keep, sizeof keep, "%u", j->keep);
  const char *argv[] = {"tend", "helper", "journal", j->dir, "--max-bytes", max_bytes, "--keep", keep, NULL};
  struct child_spec spec = {.kind = CHILD_HELPER,
                            .name = "journal",
                            .argv = (char *const *)(void *)argv,
                            .input_fd = reader,
                            .finishes = true};
  j->child = children_spawn(j->children, &spec, &journal_ops, j, &err);
  if (!j->child) {
    helper_ended(j, err.msg);
    return;
  }
  flush(j);
}

static void on_timer(void *arg) {
  struct journal *j = arg;
  if (j->finishing)
    finished(j);
  else
    start_helper(j);
}

/* --- outside ---------------------------------------------------------------------------------------------------- */

struct journal *journal_new(struct loop *loop, struct children *children, struct sink *sink,
                            const struct journal_options *options, struct err *err) {
  struct journal *j = calloc(1, sizeof *j);
  if (!j) goto no_memory;
  *j = (struct journal){.loop = loop,
                        .children = children,
                        .sink = sink,
                        .dir = strdup(options->dir),
                        .max_bytes = options->max_bytes ? options->max_bytes : INT64_C(10) * 1024 * 1024,
                        .keep = options->keep ? options->keep : 5,
                        .fd = -1,
                        .back_off_ns = BACK_OFF_MIN_NS};
  j->timer = timer_new(loop, on_timer, j);
  j->file_timer = timer_new(loop, on_file_late, j);
  if (!j->dir || !j->timer || !j->file_timer || sink_subscribe(sink, on_event, j)) goto no_memory;
  const struct event *e = event_ring_from(sink_ring(sink), 0);
  for (; e; e = event_ring_from(sink_ring(sink), e->seq + 1)) add_line(j, e);
  start_helper(j);
  return j;
no_memory:
  journal_free(j);
  err_set(err, -ENOMEM, "events.jsonl: out of memory");
  return NULL;
}

void journal_finish(struct journal *j, int64_t due_ns, loop_fn *done, void *arg) {
  j->finishing = true;
  j->done = done;
  j->done_arg = arg;
  sink_unsubscribe(j->sink, on_event, j);
  timer_at(j->timer, j->child ? due_ns : 0);
  flush(j);
}

bool journal_hand_over(struct journal *j) {
  if (!j->child) return false;
  sink_unsubscribe(j->sink, on_event, j);
  j->finishing = true;
  flush(j);
  if (j->fd >= 0) return false;
  j->child = 0;
  return true;
}

void journal_free(struct journal *j) {
  if (!j) return;
  sink_unsubscribe(j->sink, on_event, j);
  loop_cancel(j->loop, on_turn_end, j);
  close_pipe(j);
  if (j->child) children_forget(j->children, j->child);
  timer_free(j->timer);
  timer_free(j->file_timer);
  buf_free(&j->queue);
  free(j->dir);
  free(j);
}

bool journal_replace_file(struct journal *j, const struct journal_file *file, int64_t due_ns, journal_written_fn *done,
                          void *arg) {
  size_t k = strlen(j->dir);
  const char *text = file->data;
  const char *name = file->path + k + 1;
  bool beside = strncmp(file->path, j->dir, k) == 0 && file->path[k] == '/' && !strpbrk(name, "/ ");
  bool line = file->n && file->n < LIMIT_EVENT_LINE && memchr(text, '\n', file->n) == text + file->n - 1;
  bool room = j->queue.len - j->sent + strlen(file->path) + file->n < LIMIT_JOURNAL;
  if (!beside || !line || !room || file->in_place || j->fd < 0 || j->finishing || j->file_done) return false;
  if (!buf_room(&j->queue, strlen(name) + file->n + 2)) {
    j->queue.failed = false;
    return false;
  }
  buf_fmt(&j->queue, "=%s ", name);
  buf_add(&j->queue, text, file->n);
  j->file_done = done;
  j->file_arg = arg;
  timer_at(j->file_timer, due_ns);
  flush(j);
  return true;
}

uint64_t journal_dropped(const struct journal *j) { return j->dropped; }

/* --- one file --------------------------------------------------------------------------------------------------- */

struct write_file {
  struct children *children;
  struct timer *timer;
  uint32_t child;
  journal_written_fn *done;
  void *arg;
};

static void written(struct write_file *w, int rc, const struct err *err) {
  journal_written_fn *done = w->done;
  void *arg = w->arg;
  timer_free(w->timer);
  free(w);
  done(arg, rc, err);
}

static void on_write_failed(void *arg, uint32_t child, enum spawn_stage stage, int error) {
  (void)child;
  (void)stage;
  struct err err = ERR_INIT;
  err_errno(&err, -error, "the helper that writes did not start");
  written(arg, err.code, &err);
}

static void on_write_exited(void *arg, uint32_t child, const struct child_exit *e) {
  (void)child;
  struct err err = ERR_INIT;
  if (e->status != 0) {
    char why[300];
    reason_of(e, why, sizeof why);
    err_set(&err, -EIO, "%s", why);
  }
  written(arg, err.code, &err);
}

static const struct child_ops write_ops = {.failed = on_write_failed, .exited = on_write_exited};

static void on_write_late(void *arg) {
  struct write_file *w = arg;
  struct err err = ERR_INIT;
  children_forget(w->children, w->child);
  err_set(&err, -ETIMEDOUT, "writing took too long");
  written(w, err.code, &err);
}

int journal_write_file(struct loop *loop, struct children *children, const struct journal_file *file, int64_t due_ns,
                       journal_written_fn *done, void *arg, struct err *err) {
  struct write_file *w = calloc(1, sizeof *w);
  if (!w) return err_set(err, -ENOMEM, "%s: out of memory", file->path);
  *w = (struct write_file){.children = children, .done = done, .arg = arg};
  w->timer = timer_new(loop, on_write_late, w);
  const char *argv[] = {"tend", "helper", "write", file->path, file->in_place ? "--in-place" : NULL, NULL};
  struct child_spec spec = {.kind = CHILD_HELPER,
                            .name = "write",
                            .argv = (char *const *)(void *)argv,
                            .input = file->data,
                            .input_len = file->n};
  struct err why = {-ENOMEM, "out of memory"};
  if (w->timer) w->child = children_spawn(children, &spec, &write_ops, w, &why);
  if (!w->child) {
    timer_free(w->timer);
    free(w);
    return err_set(err, why.code ? why.code : -EIO, "%s: %s", file->path, why.msg);
  }
  timer_at(w->timer, due_ns);
  return 0;
}
