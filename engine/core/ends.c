#include "core/ends.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

uint64_t ends_add(struct ends *ends, const struct end *e) {
  if (ends->n == ENDS_MAX) {
    free(ends->list[0].output);
    memmove(ends->list, ends->list + 1, (ENDS_MAX - 1) * sizeof ends->list[0]);
    ends->n--;
  }
  struct end *new = &ends->list[ends->n++];
  *new = *e;
  new->output = NULL;
  new->seq = ++ends->last;
  return new->seq;
}

/* Whole lines where one begins within the bound. */
static const char *last_part(const char *text, size_t *n) {
  if (*n <= ENDS_OUTPUT_MAX) return text;
  const char *from = text + *n - ENDS_OUTPUT_MAX;
  const char *line = memchr(from, '\n', ENDS_OUTPUT_MAX - 1);
  if (line) from = line + 1;
  *n -= (size_t)(from - text);
  return from;
}

void ends_output(struct ends *ends, uint64_t seq, const char *text, size_t n) {
  for (size_t i = 0; i < ends->n; i++) {
    struct end *e = &ends->list[i];
    if (e->seq != seq || e->output || !n) continue;
    const char *from = last_part(text, &n);
    e->output = malloc(n + 1);
    if (!e->output) return;
    for (size_t k = 0; k < n; k++) e->output[k] = from[k] ? from[k] : ' '; /* it is kept as a string */
    e->output[n] = 0;
  }
}

const struct end *ends_of(const struct ends *ends, const char *process, int instance) {
  for (size_t i = ends->n; i-- > 0;)
    if (STR_EQ(ends->list[i].process, process) && (instance < 0 || ends->list[i].instance == (unsigned)instance))
      return &ends->list[i];
  return NULL;
}

void ends_free(struct ends *ends) {
  for (size_t i = 0; i < ends->n; i++) free(ends->list[i].output);
  *ends = (struct ends){0};
}

static void output_json(const struct end *e, struct json *j) {
  if (!e->output) {
    json_null(j, "output");
    return;
  }
  json_array(j, "output");
  for (const char *p = e->output; *p;) {
    size_t n = strcspn(p, "\n");
    json_strn(j, NULL, p, n);
    p += n + (p[n] == '\n');
  }
  json_array_end(j);
}

void ends_json(const struct ends *ends, struct json *j, const char *key) {
  json_array(j, key);
  for (size_t i = 0; i < ends->n; i++) {
    const struct end *e = &ends->list[i];
    char at[CLOCK_TEXT_MAX];
    json_object(j, NULL);
    json_str(j, "process", e->process);
    json_int(j, "instance", e->instance);
    json_int(j, "pid", e->pid);
    json_int(j, "code", e->code);
    json_str(j, "text", e->text);
    json_str(j, "cause", e->cause);
    json_str(j, "at", clock_format(e->at_real_ns, at));
    json_num(j, "duration_seconds", round((double)e->duration_ns / 1e6) / 1e3);
    json_num(j, "user_seconds", e->user_s);
    json_num(j, "system_seconds", e->system_s);
    json_int(j, "max_rss_kb", e->max_rss_kb);
    output_json(e, j);
    json_object_end(j);
  }
  json_array_end(j);
}
