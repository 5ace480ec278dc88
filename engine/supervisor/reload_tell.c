/* What is told of reloads: events, metrics, status. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/keep.h"
#include "base/str.h"
#include "core/quarantine.h"
#include "supervisor/reload_impl.h"

void reload_triggers(unsigned triggers, struct json *j) {
  static const char *const names[RELOAD_TRIGGERS] = {"signal", "operator", "watch"};
  for (int i = 0; i < RELOAD_TRIGGERS; i++)
    if (triggers & 1U << i) {
      json_str(j, "trigger", names[i]);
      return;
    }
}

void reload_note(struct reload *r, const char *result, const char *trouble) {
  r->result = result;
  r->result_real_ns = clock_real_ns();
  str_copy(r->trouble, sizeof r->trouble, trouble ? trouble : "");
  if (r->total) metric_add(r->total, &result, 1);
  if (r->generation) metric_set(r->generation, NULL, r->now->number);
}

static void emit(struct reload *r, enum event_kind kind, enum level level, struct buf *message, struct buf *details,
                 int64_t duration_ns) {
  settings_redact(r->now->settings, message);
  settings_redact(r->now->settings, details);
  if (r->next) settings_redact(r->next->settings, message);
  if (r->next) settings_redact(r->next->settings, details);
  sink_emit(r->s->o.sink, kind,
            &(struct sink_event){.level = level,
                                 .message = buf_cstr(message),
                                 .details = buf_cstr(details),
                                 .timed = duration_ns >= 0,
                                 .duration_ns = duration_ns});
}

void reload_tell_swap(struct reload *r, const struct plan_diff *diff, int64_t duration_ns) {
  r->since_real_ns = clock_real_ns();
  auto_buf struct buf details = {0}, message = {0};
  struct json j = JSON_INIT(&details);
  json_object(&j, NULL);
  json_int(&j, "generation", r->now->number);
  reload_triggers(r->current.triggers, &j);
  if (*r->now->file) json_str(&j, "file", r->now->file);
  plan_diff_json(diff, &j, "difference");
  json_object_end(&j);
  plan_diff_summary(diff, &message);
  emit(r, EVENT_POLICY_RELOADED, LEVEL_INFO, &message, &details, duration_ns);
}

/* Nobody is told of a look that found nothing; who asked is. */
void reload_tell_same(struct reload *r) {
  r->refused = 0;
  if (r->trouble[0]) reload_note(r, "unchanged", NULL); /* what was refused is gone */
  if (r->current.triggers == 1U << RELOAD_WATCH) return;
  auto_buf struct buf details = {0}, message = {0};
  struct json j = JSON_INIT(&details);
  json_object(&j, NULL);
  json_int(&j, "generation", r->now->number);
  reload_triggers(r->current.triggers, &j);
  plan_diff_json(r->diff, &j, "difference");
  json_object_end(&j);
  if (r->diff->n) plan_diff_summary(r->diff, &message);
  buf_str(&message, r->diff->n ? ", with the next start of tend" : "nothing has changed");
  emit(r, EVENT_POLICY_RELOADED, LEVEL_INFO, &message, &details, clock_mono_ns() - r->begun_ns);
}

/* "flows/x.lua:14" or "flows/x.lua:14: what": the file and the line; 0: there is none. */
static int find_place(const char *text, char *file, size_t size) {
  for (const char *p = text ? strchr(text, ':') : NULL; p; p = strchr(p + 1, ':')) {
    size_t digits = strspn(p + 1, "0123456789");
    if (!digits || digits > 7 || (p[1 + digits] && p[1 + digits] != ':')) continue;
    int line = 0;
    for (size_t i = 1; i <= digits; i++) line = line * 10 + (p[i] - '0');
    snprintf(file, size, "%.*s", (int)(p - text), text);
    return line;
  }
  return 0;
}

static const struct problem *first_error(const struct problems *ps) {
  for (size_t i = 0; i < ps->n; i++)
    if (!ps->items[i].warning) return &ps->items[i];
  return NULL;
}

void reload_tell_refusal(struct reload *r, const struct problems *problems) {
  const struct problem *p = first_error(problems);
  auto_buf struct buf details = {0}, message = {0};
  struct json j = JSON_INIT(&details);
  json_object(&j, NULL);
  json_int(&j, "generation", r->now->number);
  reload_triggers(r->current.triggers, &j);
  if (p) {
    char file[512] = "";
    int line = find_place(p->source, file, sizeof file);
    if (!line) line = find_place(p->fix, file, sizeof file);
    if (line || (p->source && *p->source == '/')) json_str(&j, "file", line ? file : p->source);
    if (line) json_int(&j, "line", line);
    json_str(&j, "key", p->name);
    problem_text(p, &message);
  }
  problems_json(problems, false, &j, "failures");
  json_object_end(&j);
  size_t more = problems_errors(problems) - (p != NULL);
  if (more) buf_fmt(&message, " (and %zu more)", more);
  if (r->next) settings_redact(r->next->settings, &message);
  bool again = r->try_again && r->current.triggers == 1U << RELOAD_WATCH && STR_EQ(r->trouble, buf_cstr(&message));
  if (!again) emit(r, EVENT_POLICY_REJECTED, LEVEL_ERROR, &message, &details, clock_mono_ns() - r->begun_ns);
  reload_note(r, "rejected", buf_cstr(&message));
}

void reload_tell_back(struct reload *r, const struct plan_diff *diff, unsigned failed) {
  r->since_real_ns = clock_real_ns();
  auto_buf struct buf details = {0}, message = {0};
  struct json j = JSON_INIT(&details);
  json_object(&j, NULL);
  json_int(&j, "generation", r->now->number);
  json_int(&j, "failed_generation", failed);
  json_str(&j, "cause", r->by_check ? "check" : "script");
  json_str(&j, "detail", r->cause);
  plan_diff_json(diff, &j, "difference");
  json_object_end(&j);
  buf_fmt(&message, "generation %u is in force again: %s", r->now->number, r->cause);
  emit(r, EVENT_POLICY_ROLLED_BACK, LEVEL_ERROR, &message, &details, clock_mono_ns() - r->swapped_ns);
}

const char *reload_trouble(const struct reload *r) { return r && r->trouble[0] ? r->trouble : NULL; }

static void json_time(struct json *j, const char *key, int64_t real_ns) {
  char text[CLOCK_TEXT_MAX];
  json_str(j, key, real_ns ? clock_format(real_ns, text) : NULL);
}

void reload_json(struct reload *r, struct json *j, const char *key) {
  if (!r) return;
  json_object(j, key);
  json_int(j, "generation", r->now->number);
  json_time(j, "since", r->since_real_ns);
  if (*r->now->file) json_str(j, "file", r->now->file);
  json_str(j, "reload", settings_choice(r->now->settings, SET_RELOAD) == 0 ? "watch" : "manual");
  json_bool(j, "watching", r->watching);
  json_bool(j, "probation", r->proven != NULL);
  if (r->result) {
    json_object(j, "last");
    json_str(j, "result", r->result);
    json_time(j, "at", r->result_real_ns);
    if (r->trouble[0]) json_str(j, "detail", r->trouble);
    json_object_end(j);
  }
  json_object_end(j);
}

/* --- over the life of an engine ---------------------------------------------------------------------------------- */

void reload_note_try(struct reload *r) {
  uint64_t files = reload_look(r);
  if (r->s->o.keep) keep_put(r->s->o.keep, "reload", &files, sizeof files);
}

void reload_revive(struct reload *r, const struct keep_culprit *c) {
  if (!r) return;
  const uint64_t *files = keep_get_sized(r->s->o.keep, c ? "reload" : "refused", sizeof *files);
  if (files) r->refused = *files;
  if (files) keep_put(r->s->o.keep, "refused", files, sizeof *files);
  if (r->s->o.stuck) reload_condemn(r, &r->s->o.stuck->culprit);
  if (!c) return;
  auto_buf struct buf fix = {0};
  buf_fmt(
      &fix,
      "%s: %lld ms of CPU in one call that nothing can interrupt, while it was loaded; a pattern that goes back and "
      "forth? make it simpler; it is not tried again before it changes",
      c->where, (long long)(c->ran_ns / NS_PER_MS));
  struct problems problems = {0};
  problems_add(
      &problems,
      &(struct problem){
          .check = "flow file", .name = "flow file", .allowed = "scripts that can be loaded", .fix = buf_cstr(&fix)});
  reload_tell_refusal(r, &problems);
  problems_free(&problems);
}
