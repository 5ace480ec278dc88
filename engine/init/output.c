/* Who writes when: each writer takes whole lines of one source after the other, and stays with a source that is in
 * the middle of a line until the line ends or the source has been silent for a second. */
#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "init/line.h"
#include "init/state.h"

#define SILENT_NS NS_PER_S

enum {
  PUMP_ROUNDS = 16, /* chunks written before signals are looked at again */
  DRAIN_READS = 64, /* more than a pipe holds: somebody who is not ours goes on writing */
};

static bool same_sink(int a, int b) {
  struct stat sa;
  struct stat sb;
  if (fstat(a, &sa) != 0 || fstat(b, &sb) != 0 || sa.st_dev != sb.st_dev || sa.st_ino != sb.st_ino) return false;
  return !S_ISREG(sa.st_mode); /* a write to a file is whole anyway, and two descriptors may have two offsets */
}

void output_open(struct init *in) {
  in->output.log_fd = 2;
  in->one_writer = same_sink(1, 2);
  writer_open(&in->writers[0], 1);
  if (!in->one_writer) writer_open(&in->writers[1], 2);
}

static struct writer *writer_for(struct init *in, const struct source *s) {
  int fd = !s->tail || in->output.format == OUTPUT_JSON ? in->output.log_fd : s->stream;
  return &in->writers[in->one_writer || fd != 2 ? 0 : 1];
}

static size_t ready(const struct init *in, const struct source *s) {
  size_t longest = s->tail && in->output.format == OUTPUT_JSON ? LIMIT_JSON_PART + 4 : LIMIT_LINE;
  return line_ready(s->buf + s->start, s->end - s->start, longest, s->mid, s->fd < 0);
}

static void queue(struct init *in, struct source *s, bool front) {
  if (s->queued) return;
  struct writer *w = writer_for(in, s);
  s->to = w;
  s->queued = true;
  s->next = front ? w->first : NULL;
  if (!w->first) w->last = s;
  if (front || !w->first)
    w->first = s;
  else
    w->last->next = s;
  w->last = front ? w->last : s;
}

static struct source *dequeue(struct writer *w) {
  struct source *s = w->first;
  if (!s) return NULL;
  w->first = s->next;
  if (!w->first) w->last = NULL;
  s->next = NULL;
  s->queued = false;
  return s;
}

static void wait_for(struct init *in, struct writer *w) {
  if (w->waiting) return;
  if (watch_add(in, w->fd, EPOLLOUT, TAG_WRITER, (unsigned)(w - in->writers)) == 0)
    w->waiting = true;
  else
    in->again = true; /* a file: nothing to wait for */
}

static void discard(struct init *in, struct source *s) {
  s->to->discarded += s->end - s->start;
  source_consume(in, s, s->end - s->start);
  s->mid = false;
  source_release(in, s);
}

/* The reader is gone: what waits for it is discarded, and what comes. */
static void die(struct init *in, struct writer *w, int error) {
  w->dead = true;
  w->discarded += w->stage_end - w->stage_start;
  w->stage_start = w->stage_end = 0;
  if (w->owner) queue(in, w->owner, true);
  w->owner = NULL;
  for (struct source *s; (s = dequeue(w));) discard(in, s);
  char details[96];
  snprintf(details, sizeof details, "{\"stream\": \"%s\", \"error\": \"%s\"}", w == in->writers ? "stdout" : "stderr",
           strerrordesc_np(-error));
  output_notice(in, "WARNING", "nobody reads this output any more; what is written to it is discarded", details);
}

/* No room on the disk is no reason to give the file up: these bytes are lost, later ones may not be. */
static bool is_full(ssize_t r) { return r == -ENOSPC || r == -EDQUOT || r == -EFBIG; }

static ssize_t put_nowhere(struct init *in, struct writer *w, const char *p, size_t n) {
  if (!w->full) output_notice(in, "WARNING", "no room for output; it is discarded until there is", "{}");
  w->full = true;
  w->discarded += n;
  w->open_line = p[n - 1] != '\n';
  return (ssize_t)n;
}

/* Writes what p holds; -EAGAIN when the writer can take no more for now. */
static ssize_t put(struct init *in, struct writer *w, const char *p, size_t n) {
  ssize_t r = writer_write(w, p, n);
  if (r > 0) {
    w->open_line = p[r - 1] != '\n';
    w->full = false;
  }
  if (r == -EAGAIN || (r > 0 && (size_t)r < n)) wait_for(in, w);
  if (is_full(r)) return put_nowhere(in, w, p, n);
  if (r < 0 && r != -EAGAIN) die(in, w, (int)r);
  return r;
}

static void flush_stage(struct init *in, struct writer *w) {
  ssize_t r = put(in, w, w->stage + w->stage_start, w->stage_end - w->stage_start);
  if (r > 0) w->stage_start += (size_t)r;
  if (w->stage_start == w->stage_end) w->stage_start = w->stage_end = 0;
}

/* After bytes of s were written or staged: it keeps the stream, waits for its next turn, or is done with. */
static void settle(struct init *in, struct writer *w, struct source *s) {
  w->owner = s->mid ? s : NULL;
  if (!s->mid && ready(in, s)) queue(in, s, false);
  source_release(in, s);
}

static void emit(struct init *in, struct writer *w, struct source *s) {
  size_t n = ready(in, s);
  if (n == 0) {
    source_release(in, s);
    return;
  }
  if (w->open_line && !s->mid) {
    w->stage[w->stage_end++] = '\n';
    w->owner = NULL;
    queue(in, s, true);
    return;
  }
  size_t used;
  if (s->tail && in->output.format == OUTPUT_JSON) {
    used = format_json(in, w, s, n);
  } else if (s->tail && in->output.format == OUTPUT_LABEL) {
    used = format_label(w, s, n);
  } else {
    const char *p = s->buf + s->start;
    ssize_t r = put(in, w, p, line_cut(p, n, LIMIT_LINE));
    if (w->dead) {
      if (s->to == w && !s->queued) discard(in, s);
      return;
    }
    used = r > 0 ? (size_t)r : 0;
    if (used) s->mid = p[used - 1] != '\n';
    if (!used && !s->mid) {
      queue(in, s, true);
      return;
    }
  }
  source_consume(in, s, used);
  settle(in, w, s);
}

void output_pump(struct init *in, struct writer *w) {
  for (int i = 0; !w->waiting && !w->dead; i++) {
    struct source *s = w->owner;
    bool stage = w->stage_end > 0;
    if (!stage && s && !ready(in, s)) {
      if (s->fd >= 0 || s->start != s->end) return; /* in the middle of a line: the others wait */
      source_release(in, s);
      continue;
    }
    if (!stage && !s && !w->first) return;
    if (i == PUMP_ROUNDS) {
      wait_for(in, w);
      return;
    }
    if (stage)
      flush_stage(in, w);
    else
      emit(in, w, s ? s : dequeue(w));
  }
}

void output_writable(struct init *in, struct writer *w) {
  watch_remove(in, w->fd);
  w->waiting = false;
  output_pump(in, w);
}

void output_kick(struct init *in, struct source *s) {
  struct writer *w = s->to && (s->queued || s->to->owner == s) ? s->to : writer_for(in, s);
  if (w->dead) {
    s->to = w;
    discard(in, s);
    return;
  }
  if (w->owner != s) {
    if (ready(in, s))
      queue(in, s, false);
    else
      source_release(in, s);
  }
  output_pump(in, w);
}

int64_t output_due(const struct init *in) {
  int64_t due = in->again ? 0 : TIME_NEVER;
  for (int i = 0; i < 2; i++) {
    const struct writer *w = &in->writers[i];
    if (w->waiting || !w->owner || !w->first || ready(in, w->owner)) continue;
    if (w->owner->last_ns + SILENT_NS < due) due = w->owner->last_ns + SILENT_NS;
  }
  return due;
}

void output_turn(struct init *in) {
  bool again = in->again;
  in->again = false;
  for (int i = 0; i < 2; i++) {
    struct writer *w = &in->writers[i];
    if (!w->waiting && w->owner && w->first && !ready(in, w->owner) && in->now_ns >= w->owner->last_ns + SILENT_NS) {
      w->owner->mid = false;
      w->owner = NULL;
      again = true;
    }
    if (again) output_pump(in, w);
  }
}

bool output_empty(struct init *in) {
  for (int i = 0; i < 2; i++)
    if (!in->writers[i].dead && (in->writers[i].stage_end || in->writers[i].first || in->writers[i].owner))
      return false;
  for (unsigned i = 0; i < in->nsources; i++)
    if (in->sources[i].used) return false;
  return true;
}

void output_drain(struct init *in) {
  for (unsigned i = 0; i < in->nsources; i++) {
    struct source *s = &in->sources[i];
    if (!s->used || s->fd < 0) continue;
    for (int reads = 0; reads < DRAIN_READS && source_read(in, s); reads++) continue;
    if (s->fd >= 0 && s->end - s->start < SOURCE_BYTES) source_close(in, s);
  }
}

void output_notice(struct init *in, const char *level, const char *message, const char *details) {
  output_event(in, level, "init", "notice", message, details);
}

void output_event(struct init *in, const char *level, const char *component, const char *event, const char *message,
                  const char *details) {
  char line[PIPE_BUF];
  size_t n = format_event(in, line, sizeof line, level, component, event, message, details);
  if (n && write(in->log_fd, line, n) < 0) in->notices_lost++;
}
