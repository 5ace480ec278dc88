/* What those who asked for a reload are answered. */
#include <stdlib.h>
#include <string.h>

#include "supervisor/reload_impl.h"

void reload_answer_some(struct reload *r, bool dry, bool good, const char *text, const char *json) {
  for (struct reload_asker **p = &r->current.askers; *p;) {
    struct reload_asker *a = *p;
    if (a->dry != dry) {
      p = &a->next;
      continue;
    }
    *p = a->next;
    if (!good)
      control_refuse(a->reply, "%s", text);
    else
      control_answer(a->reply, json);
    free(a);
  }
}

void reload_answer(struct reload *r, bool good, const char *text, const char *json) {
  reload_answer_some(r, true, good, text, json);
  reload_answer_some(r, false, good, text, json);
}

void reload_refuse_wish(struct reload_wish *w, const char *text) {
  while (w->askers) {
    struct reload_asker *a = w->askers;
    w->askers = a->next;
    control_refuse(a->reply, "%s", text);
    free(a);
  }
}

void reload_outcome_json(struct reload *r, bool dry, const char *message, struct buf *out) {
  auto_buf struct buf text = {0};
  struct json j = JSON_INIT(out);
  json_object(&j, NULL);
  json_str(&j, "message", message);
  json_int(&j, "generation", r->now->number);
  json_bool(&j, "dry_run", dry);
  if (r->diff) plan_diff_json(r->diff, &j, "difference");
  if (r->diff && r->diff->n) plan_diff_text(r->diff, &text);
  json_array(&j, "lines");
  for (const char *p = buf_cstr(&text), *end; (end = strchr(p, '\n')); p = end + 1)
    json_strn(&j, NULL, p, (size_t)(end - p));
  json_array_end(&j);
  json_object_end(&j);
  settings_redact(r->now->settings, out);
}
