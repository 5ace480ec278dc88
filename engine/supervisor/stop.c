/* The end: sweep, cleanup, report, exit. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "supervisor/impl.h"

/* --- sweep, cleanup ---------------------------------------------------------------------------------------------- */

static void on_swept(void *arg, unsigned left) {
  supervisor_feed(arg, &(struct machine_input){.kind = IN_SWEPT, .left = left});
}

void supervisor_sweep(struct supervisor *s, int sig) {
  supervisor_ask_tails(s); /* answered before the sweep is */
  if (s->nobody_left && !s->tails) {
    s->nobody_left = false;
    on_swept(s, 0);
    return;
  }
  children_sweep(s->o.children, sig, on_swept, s);
}

static void on_cleaned(void *arg, bool ok) {
  supervisor_feed(arg, &(struct machine_input){.kind = IN_CLEANED, .ok = ok});
}

void supervisor_cleanup(struct supervisor *s, int64_t deadline_ns) {
  cleanup_free(s->cleanup);
  s->cleanup = cleanup_start(&s->cleanup_env, s->o.plan, deadline_ns, on_cleaned, s);
  if (!s->cleanup) supervisor_feed(s, &(struct machine_input){.kind = IN_CLEANED, .ok = false});
}

/* --- the final report, the termination message -------------------------------------------------------------------- */

static void report_part_done(struct supervisor *s, bool ok) {
  s->reported = s->reported && ok;
  if (--s->reporting == 0) supervisor_feed(s, &(struct machine_input){.kind = IN_REPORTED, .ok = s->reported});
}

static void on_report(void *arg, int rc, const struct err *err) {
  struct supervisor *s = arg;
  if (rc) sink_say(s->o.sink, EVENT_NOTICE, LEVEL_WARNING, "the final report is not written: %s", err->msg);
  report_part_done(s, rc == 0);
}

static void on_termination(void *arg, int rc, const struct err *err) {
  struct supervisor *s = arg;
  if (rc) sink_say(s->o.sink, EVENT_NOTICE, LEVEL_WARNING, "the termination message is not written: %s", err->msg);
  report_part_done(s, true);
}

static void write_part(struct supervisor *s, const struct journal_file *file, int64_t deadline_ns,
                       journal_written_fn *done) {
  if (s->journal && journal_replace_file(s->journal, file, deadline_ns, done, s)) return;
  struct err err = ERR_INIT;
  int rc = journal_write_file(s->o.loop, s->o.children, file, deadline_ns, done, s, &err);
  if (rc) done(s, rc, &err);
}

static void write_report(struct supervisor *s, int64_t deadline_ns) {
  const char *dir = s->log_dir[0] ? s->log_dir : s->state.fd >= 0 ? s->state.path : NULL;
  if (!dir || s->unnamed) {
    report_part_done(s, false);
    return;
  }
  auto_buf struct buf path = {0}, text = {0};
  buf_fmt(&path, "%s/%s_lifecycle_metrics.json", dir, s->o.plan->name);
  supervisor_report_json(s, &text);
  buf_char(&text, '\n');
  write_part(s, &(struct journal_file){buf_cstr(&path), text.data, text.len, false}, deadline_ns, on_report);
}

/* Only where somebody has put the file there, as Kubernetes does. */
static void write_termination(struct supervisor *s, int64_t deadline_ns) {
  const char *path = settings_str(s->o.settings, SET_TERMINATION_LOG);
  if (!path || access(path, W_OK)) {
    report_part_done(s, true);
    return;
  }
  auto_buf struct buf text = {0};
  supervisor_termination(s, &text);
  write_part(s, &(struct journal_file){path, text.data, text.len, true}, deadline_ns, on_termination);
}

void supervisor_report(struct supervisor *s, int64_t deadline_ns) {
  supervisor_speak(s); /* what it counts has been told */
  supervisor_open_journal(s);
  s->reported = true;
  s->reporting = 2;
  write_report(s, deadline_ns);
  supervisor_forget_run(s); /* this and what follows while it is written */
  reload_end(s->reload);
  write_termination(s, deadline_ns);
}

/* --- exit -------------------------------------------------------------------------------------------------------- */

static void leave(void *arg) {
  struct supervisor *s = arg;
  if (--s->closing) return;
  sink_flush(s->o.sink, 200 * NS_PER_MS); /* what init's pipe has not taken yet */
  bool asked = s->exit_cause == CAUSE_SIGNAL || s->exit_cause == CAUSE_SHUTDOWN || s->exit_cause == CAUSE_TERMINAL;
  children_exit(s->o.children, s->exit_code, asked);
  loop_stop(s->o.loop);
}

static void close_down(void *arg) {
  struct supervisor *s = arg;
  supervisor_answer_all(s);
  web_free(s->web);
  s->web = NULL;
  control_free(s->control);
  s->control = NULL;
  int64_t deadline_ns = clock_mono_ns() + 500 * NS_PER_MS;
  bool waits = s->journal && !journal_hand_over(s->journal);
  s->closing = waits ? 2 : 1;
  if (waits) journal_finish(s->journal, deadline_ns, leave, s);
  alert_finish(s->alert, deadline_ns, s->o.loop, leave, s);
}

void supervisor_exit(struct supervisor *s, const struct machine_action *a) {
  s->ended = true;
  s->exit_code = a->exit_code;
  s->from_workload = a->from_workload;
  s->exit_cause = a->cause;
  timer_stop(s->due);
  timer_stop(s->settle_timer);
  supervisor_forget_run(s);
  log_follow_finish(&s->follows, close_down, s);
}
