/* Output with labels, and as JSON events. What goes into a writer's stage is written whole before anything else. */
#include <stdint.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "init/line.h"
#include "init/state.h"

static bool stage_add(struct writer *w, const char *p, size_t n) {
  if (n > STAGE_BYTES - w->stage_end) return false;
  memcpy(w->stage + w->stage_end, p, n);
  w->stage_end += n;
  return true;
}

size_t format_label(struct writer *w, struct source *s, size_t n) {
  char label[LIMIT_NAME + 16];
  int k = s->tail->instance ? snprintf(label, sizeof label, "%s/%u: ", s->tail->name, s->tail->instance)
                            : snprintf(label, sizeof label, "%s: ", s->tail->name);
  const char *p = s->buf + s->start;
  size_t used = 0;
  while (used < n) {
    const char *end = memchr(p + used, '\n', n - used);
    size_t line = end ? (size_t)(end - p) + 1 - used : n - used;
    if (line + (size_t)k > STAGE_BYTES - w->stage_end) {
      if (w->stage_end > 0) break;
      line = STAGE_BYTES - (size_t)k;
      end = NULL;
    }
    if (!s->mid) stage_add(w, label, (size_t)k);
    stage_add(w, p + used, line);
    s->mid = !end;
    used += line;
  }
  return used;
}

/* The beginning of an event, in the contract's order of keys. The buffer is fixed: nothing is allocated. */
static void event_begin(struct json *j, const struct init *in, const char *level, const char *component,
                        const char *event) {
  char time[CLOCK_TEXT_MAX];
  json_object(j, NULL);
  json_str(j, "timestamp", clock_format(clock_real_ns(), time));
  json_str(j, "level", level);
  json_str(j, "component", component);
  json_str(j, "container_id", in->output.container_id);
  json_str(j, "flow", in->output.flow);
  json_str(j, "event", event);
}

/* What all parts of one stream that are written at once have in common, up to the number of the part. */
static void head_of_parts(struct buf *head, const struct init *in, const struct source *s) {
  struct json j = JSON_INIT(head);
  event_begin(&j, in, "INFO", "workload", "output");
  json_object(&j, "details");
  json_str(&j, "process", s->tail->name);
  json_int(&j, "instance", s->tail->instance);
  json_str(&j, "stream", s->stream == 2 ? "stderr" : "stdout");
}

static void put_part(struct buf *out, const struct buf *head, uint32_t part, const char *p, size_t n, bool last) {
  buf_add(out, head->data, head->len);
  if (part == 1 && last)
    buf_str(out, ", \"part\": 1, \"last\": true, ");
  else
    buf_fmt(out, ", \"part\": %u, \"last\": %s, ", part, last ? "true" : "false");
  if (str_utf8_valid(p, n)) {
    buf_str(out, "\"text\": ");
    json_quote(out, p, n);
  } else {
    static char coded[(LIMIT_JSON_PART + 2) / 3 * 4];
    buf_str(out, "\"base64\": ");
    json_quote(out, coded, line_base64(p, n, coded));
  }
  buf_str(out, "}}\n");
}

size_t format_json(struct init *in, struct writer *w, struct source *s, size_t n) {
  static char head_bytes[6 * (sizeof in->output.container_id + sizeof in->output.flow + LIMIT_NAME) + 512];
  struct buf head = {.data = head_bytes, .cap = sizeof head_bytes, .max = sizeof head_bytes - 1};
  head_of_parts(&head, in, s);
  const char *p = s->buf + s->start;
  size_t used = 0;
  bool eof = s->fd < 0;
  while (used < n) {
    bool whole;
    size_t k = line_part(p + used, n - used, LIMIT_JSON_PART, &whole);
    if (!whole && !eof && k + 4 < LIMIT_JSON_PART) break; /* the rest of a long line waits for more */
    bool last = whole || (eof && used + k == s->end - s->start);
    struct buf out = {.data = w->stage + w->stage_end, .cap = STAGE_BYTES - w->stage_end};
    if (out.cap < 2) break;
    out.max = out.cap - 1;
    put_part(&out, &head, s->part + 1, p + used, k, last);
    if (out.failed) break;
    w->stage_end += out.len;
    s->part = last ? 0 : s->part + 1;
    used += k + (whole ? 1 : 0);
  }
  return used;
}

size_t format_event(struct init *in, char *to, size_t size, const char *level, const char *component, const char *event,
                    const char *message, const char *details) {
  if (size < 2) return 0;
  struct buf out = {.data = to, .cap = size, .max = size - 1};
  struct json j = JSON_INIT(&out);
  event_begin(&j, in, level, component, event);
  json_str(&j, "message", message);
  json_raw(&j, "details", details, strlen(details));
  json_object_end(&j);
  buf_char(&out, '\n');
  return out.failed ? 0 : out.len;
}
