#include "loop/sink.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/keep.h"
#include "base/limits.h"
#include "base/str.h"
#include "core/settings.h"

struct subscriber {
  sink_fn *fn; /* NULL: removed while events were being told */
  void *arg;
};

/* An event that is told later. */
struct held {
  struct held *next;
  enum event_kind kind;
  struct sink_event event;
  int64_t real_ns;
  char texts[];
};

enum { HELD_MAX = 64 };

struct sink {
  struct loop *loop;
  struct sink_options options;
  const struct settings *settings;
  struct event_ring *ring;
  struct keep *keep; /* NULL: nothing is kept */
  struct watch *watch;
  loop_fn *before;
  void *before_arg;
  struct buf waiting; /* bytes that the pipe has not taken; begins in the middle of a line at most once */
  bool due;           /* written at the end of this turn */
  bool level_set;     /* by hand: settings do not change it any more */
  uint64_t dropped, dropped_told;
  struct subscriber *subscribers;
  size_t n, cap;
  int telling;
  int holding;
  struct held *held, *last_held;
  unsigned n_held;
};

static void on_writable(void *arg, int fd, int events);
static void on_turn_end(void *arg);
static void tell_held(struct sink *s);

struct sink *sink_new(struct loop *loop, const struct sink_options *options) {
  struct sink *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->loop = loop;
  s->options = *options;
  s->ring = event_ring_new(LIMIT_EVENTS);
  s->watch = watch_new(loop, options->fd, 0, on_writable, s);
  if (s->ring && s->watch) return s;
  s->options.fd = -1; /* stays the caller's on failure */
  sink_free(s);
  return NULL;
}

void sink_free(struct sink *s) {
  if (!s) return;
  loop_cancel(s->loop, on_turn_end, s);
  for (struct held *h = s->held, *next; h; h = next) {
    next = h->next;
    free(h);
  }
  watch_free(s->watch);
  if (s->options.fd >= 0) close(s->options.fd);
  event_ring_free(s->ring);
  buf_free(&s->waiting);
  free(s->subscribers);
  free(s);
}

void sink_configure(struct sink *s, const struct sink_options *options, const struct settings *settings) {
  int fd = s->options.fd;
  enum level level = s->options.level;
  s->options = *options;
  if (s->level_set) s->options.level = level;
  s->settings = settings;
  if (options->fd >= 0 && options->fd != fd) {
    watch_set(s->watch, options->fd, s->waiting.len ? WATCH_WRITE : 0);
    if (fd >= 0) close(fd);
  } else {
    s->options.fd = fd;
  }
}

enum level sink_level(const struct sink *s) { return s->options.level; }

void sink_set_level(struct sink *s, enum level level) {
  s->options.level = level;
  s->level_set = true;
}

void sink_before_write(struct sink *s, loop_fn *fn, void *arg) {
  s->before = fn;
  s->before_arg = arg;
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

/* How many bytes went out; 0 when the pipe is full. A reader that is gone takes everything: nobody is left to tell. */
static size_t write_some(struct sink *s, const char *p, size_t n) {
  size_t done = 0;
  while (done < n) {
    ssize_t k = write(s->options.fd, p + done, n - done);
    if (k > 0)
      done += (size_t)k;
    else if (k < 0 && errno == EINTR)
      continue;
    else if (k < 0 && errno != EAGAIN)
      return n;
    else
      break;
  }
  return done;
}

static void write_waiting(struct sink *s) {
  if (s->before) s->before(s->before_arg);
  size_t done = s->options.fd < 0 ? s->waiting.len : write_some(s, s->waiting.data, s->waiting.len);
  if (done == s->waiting.len)
    buf_free(&s->waiting); /* a burst's memory is given back */
  else
    buf_drop(&s->waiting, done);
  s->waiting.failed = false;
  watch_events(s->watch, s->waiting.len ? WATCH_WRITE : 0);
}

static void tell_dropped(struct sink *s) {
  if (s->dropped == s->dropped_told || s->waiting.len > LIMIT_LOG_PIPE / 2) return;
  uint64_t lost = s->dropped - s->dropped_told;
  s->dropped_told = s->dropped;
  sink_say(s, EVENT_NOTICE, LEVEL_WARNING, "%llu log lines were lost because the reader of the log is slow",
           (unsigned long long)lost);
}

static void on_writable(void *arg, int fd, int events) {
  (void)fd;
  (void)events;
  struct sink *s = arg;
  write_waiting(s);
  tell_dropped(s);
}

static void on_turn_end(void *arg) {
  struct sink *s = arg;
  s->due = false;
  on_writable(s, s->options.fd, WATCH_WRITE);
}

/* All lines of a turn go out in one write at its end, so that init is woken once, and after what the engine asked it
 * to do. What may be a last word goes at once. */
static void write_line(struct sink *s, const struct buf *line, bool now) {
  if (s->options.fd < 0) return;
  if (!line->failed && s->waiting.len + line->len > LIMIT_LOG_PIPE) write_waiting(s);
  if (line->failed || s->waiting.len + line->len > LIMIT_LOG_PIPE) {
    s->dropped++;
    return;
  }
  buf_add(&s->waiting, line->data, line->len);
  if (s->waiting.failed) {
    s->waiting.failed = false;
    s->dropped++;
  }
  if (!s->due) s->due = loop_defer(s->loop, on_turn_end, s) == 0;
  if (now || !s->due) write_waiting(s);
}

void sink_flush(struct sink *s, int64_t timeout_ns) {
  tell_held(s);
  int64_t due = clock_mono_ns() + timeout_ns;
  for (;;) {
    write_waiting(s);
    tell_dropped(s);
    if (!s->waiting.len) return;
    struct pollfd p = {.fd = s->options.fd, .events = POLLOUT};
    if (poll(&p, 1, clock_ms_until(due, clock_mono_ns())) == 0) return;
  }
}

/* --- the path --------------------------------------------------------------------------------------------------- */

static void redact(const struct sink *s, struct buf *text) {
  if (s->settings && text->len) settings_redact(s->settings, text);
}

static void buf_cut(struct buf *b, size_t n) {
  b->len = n;
  b->data[n] = 0;
}

static void compact(struct sink *s) {
  size_t n = 0;
  for (size_t i = 0; i < s->n; i++)
    if (s->subscribers[i].fn) s->subscribers[n++] = s->subscribers[i];
  s->n = n;
}

static void tell(struct sink *s, const struct event *e) {
  s->telling++;
  size_t n = s->n; /* who subscribes now begins with the next event */
  for (size_t i = 0; i < n; i++)
    if (s->subscribers[i].fn) s->subscribers[i].fn(s->subscribers[i].arg, e);
  if (--s->telling == 0) compact(s);
}

/* Redacted, and a JSON object still: a secret that spans quotes or is a bare number would break it. */
static void prepare_details(const struct sink *s, const struct sink_event *in, struct buf *out) {
  auto_buf struct buf raw = {0};
  size_t n = in->details ? strlen(in->details) : 0;
  if (in->built && n && n <= LIMIT_EVENT_DETAILS)
    buf_add(out, in->details, n);
  else
    event_details(in->details, out);
  buf_add(&raw, out->data, out->len);
  redact(s, &raw);
  if (!raw.failed && !out->failed && raw.len == out->len && memcmp(raw.data, out->data, raw.len) == 0) return;
  buf_free(out);
  event_details(raw.failed ? NULL : buf_cstr(&raw), out);
}

/* --- over the life of an engine ---------------------------------------------------------------------------------- */

struct kept {
  struct event event; /* its texts follow, each with its end */
  char texts[3072];
};

static const char *pack(struct kept *k, size_t *n, const char *text) {
  size_t len = text ? strlen(text) + 1 : 0;
  if (!len || len > sizeof k->texts - *n) return NULL;
  memcpy(k->texts + *n, text, len);
  *n += len;
  return text;
}

static void kept_name(uint64_t seq, char *to, size_t size) {
  snprintf(to, size, "event %u", (unsigned)(seq % LIMIT_EVENTS));
}

static void put(const struct sink *s, const struct event *e) {
  if (!s->keep) return;
  struct kept k = {.event = *e};
  size_t n = 0;
  k.event.component = pack(&k, &n, e->component);
  k.event.message = pack(&k, &n, e->message);
  k.event.details = pack(&k, &n, e->details);
  char name[24];
  kept_name(e->seq, name, sizeof name);
  keep_put_once(s->keep, name, &k, offsetof(struct kept, texts) + n);
  atomic_store(&keep_words(s->keep)->events, e->seq);
}

void sink_keep(struct sink *s, struct keep *keep) {
  if (s->keep || !keep) return;
  s->keep = keep;
  const struct event *e;
  for (uint64_t seq = 1; (e = event_ring_from(s->ring, seq)); seq = e->seq + 1) put(s, e);
}

static const struct kept *get(struct keep *keep, uint64_t seq) {
  char name[24];
  size_t n;
  kept_name(seq, name, sizeof name);
  const struct kept *k = keep_get(keep, name, &n);
  return k && n >= offsetof(struct kept, texts) && k->event.seq == seq ? k : NULL;
}

void sink_revive(struct sink *s, struct keep *keep) {
  uint64_t last = atomic_load(&keep_words(keep)->events), first = last + 1;
  while (first > 1 && last - first + 1 < LIMIT_EVENTS && get(keep, first - 1)) first--;
  event_ring_begin(s->ring, first - 1);
  for (uint64_t seq = first; seq <= last; seq++) {
    const struct kept *k = get(keep, seq);
    struct event e = k->event;
    const char *p = k->texts; /* where it was is where it is now, one after the other */
    const char **texts[] = {&e.component, &e.message, &e.details};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
      if (!*texts[i]) continue;
      *texts[i] = p;
      p += strlen(p) + 1;
    }
    event_ring_add(s->ring, &e);
  }
  sink_keep(s, keep);
}

static void tell_event(struct sink *s, enum event_kind kind, const struct sink_event *in, int64_t real_ns) {
  auto_buf struct buf message = {0};
  auto_buf struct buf details = {0};
  if (in->message) buf_str(&message, in->message);
  redact(s, &message);
  if (message.len) buf_cut(&message, event_message_len(message.data));
  prepare_details(s, in, &details);
  struct event e = {
      .real_ns = real_ns,
      .kind = kind,
      .level = in->level,
      .component = in->component,
      .name = in->name,
      .duration_ns = in->timed ? in->duration_ns : -1,
      .message = in->message ? buf_cstr(&message) : NULL,
      .details = details.failed || !details.len ? "{}" : buf_cstr(&details),
  };
  if (e.level >= LEVEL_INFO) {
    e.seq = event_ring_add(s->ring, &e);
    put(s, &e);
  }
  auto_buf struct buf line = {0};
  if (e.level >= s->options.level) {
    if (s->options.pretty)
      event_pretty(&e, s->options.colour, &line);
    else
      event_json(&e, &s->options.who, &line);
    buf_char(&line, '\n');
    write_line(s, &line, e.level >= LEVEL_CRITICAL);
    if (!s->options.pretty && !line.failed) e.line = &line;
  }
  if (e.level >= LEVEL_INFO) tell(s, &e);
}

/* --- what is held back ------------------------------------------------------------------------------------------- */

static char *keep_text(char **at, const char *text) {
  if (!text) return NULL;
  size_t n = strlen(text) + 1;
  *at += n;
  return memcpy(*at - n, text, n);
}

static size_t text_size(const char *text) { return text ? strlen(text) + 1 : 0; }

/* false: no memory. */
static bool hold(struct sink *s, enum event_kind kind, const struct sink_event *in) {
  size_t n = text_size(in->message) + text_size(in->details) + text_size(in->component) + text_size(in->name);
  struct held *h = malloc(sizeof *h + n);
  if (!h) return false;
  char *at = h->texts;
  *h = (struct held){.kind = kind, .event = *in, .real_ns = clock_real_ns()};
  h->event.message = keep_text(&at, in->message);
  h->event.details = keep_text(&at, in->details);
  h->event.component = keep_text(&at, in->component);
  h->event.name = keep_text(&at, in->name);
  if (s->held)
    s->last_held->next = h;
  else
    s->held = h;
  s->last_held = h;
  s->n_held++;
  return true;
}

/* One that is told may lead to others: they come after it. */
static void tell_held(struct sink *s) {
  for (struct held *h; (h = s->held);) {
    s->held = h->next;
    s->n_held--;
    tell_event(s, h->kind, &h->event, h->real_ns);
    free(h);
  }
}

void sink_hold(struct sink *s) { s->holding++; }

void sink_release(struct sink *s) {
  if (--s->holding == 0) tell_held(s);
}

void sink_emit(struct sink *s, enum event_kind kind, const struct sink_event *in) {
  if (in->level < LEVEL_INFO && in->level < s->options.level) return;
  bool later = s->holding && in->level < LEVEL_CRITICAL && s->n_held < HELD_MAX;
  if (later && hold(s, kind, in)) return;
  tell_held(s);
  tell_event(s, kind, in, clock_real_ns());
}

void sink_say(struct sink *s, enum event_kind kind, enum level level, const char *fmt, ...) {
  auto_buf struct buf text = {0};
  va_list ap;
  va_start(ap, fmt);
  buf_vfmt(&text, fmt, ap);
  va_end(ap);
  sink_emit(s, kind, &(struct sink_event){.level = level, .message = buf_cstr(&text)});
}

const struct event_ring *sink_ring(struct sink *s) {
  tell_held(s);
  return s->ring;
}

const struct event_source *sink_who(const struct sink *s) { return &s->options.who; }
uint64_t sink_dropped(const struct sink *s) { return s->dropped; }

int sink_subscribe(struct sink *s, sink_fn *fn, void *arg) {
  tell_held(s);
  if (s->n == s->cap) {
    size_t cap = s->cap ? s->cap * 2 : 8;
    struct subscriber *p = realloc(s->subscribers, cap * sizeof *p);
    if (!p) return -ENOMEM;
    s->subscribers = p;
    s->cap = cap;
  }
  s->subscribers[s->n++] = (struct subscriber){fn, arg};
  return 0;
}

void sink_unsubscribe(struct sink *s, sink_fn *fn, void *arg) {
  tell_held(s);
  for (size_t i = 0; i < s->n; i++)
    if (s->subscribers[i].fn == fn && s->subscribers[i].arg == arg) s->subscribers[i].fn = NULL;
  if (!s->telling) compact(s);
}
