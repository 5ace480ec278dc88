#include "core/event.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"

static const char *const level_names[] = {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"};

const char *level_name(enum level level) { return level_names[level]; }

int level_parse(const char *s, enum level *out) {
  for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
    if (strcasecmp(s, level_names[i]) == 0) {
      *out = (enum level)i;
      return 0;
    }
  }
  return -EINVAL;
}

static const struct {
  const char *name, *component, *doc, *keys, *look;
} kinds[] = {
#define E(id, name, component, doc, keys, look) {name, component, doc, keys, look},
#include "core/event.def"
#undef E
};

const char *event_name(enum event_kind kind) { return kinds[kind].name; }
const char *event_component(enum event_kind kind) { return kinds[kind].component; }
const char *event_doc(enum event_kind kind) { return kinds[kind].doc; }
const char *event_keys(enum event_kind kind) { return kinds[kind].keys; }
const char *event_look(enum event_kind kind) { return kinds[kind].look; }

const char *event_title(const struct event *e) { return e->name ? e->name : kinds[e->kind].name; }

static const char *component_of(const struct event *e) {
  return e->component ? e->component : kinds[e->kind].component;
}

void event_details(const char *text, struct buf *out) {
  if (!text || !*text) {
    buf_str(out, "{}");
    return;
  }
  size_t n = strlen(text);
  size_t start = out->len;
  struct json j = JSON_INIT(out);
  auto_json cJSON *v = NULL;
  if (n <= 4 * LIMIT_EVENT_DETAILS && json_parse(text, n, "details", &v, NULL) == 0 && cJSON_IsObject(v)) {
    json_value(&j, NULL, v);
  } else {
    json_object(&j, NULL);
    json_strn(&j, "text", text, n <= LIMIT_EVENT_DETAILS ? n : LIMIT_EVENT_DETAILS);
    json_object_end(&j);
  }
  if (out->len - start <= LIMIT_EVENT_DETAILS || out->failed) return;
  out->len = start;
  out->data[start] = 0;
  buf_fmt(out, "{\"cut\": %zu}", n);
}

size_t event_message_len(const char *message) {
  size_t n = strnlen(message, EVENT_MESSAGE_MAX + 1);
  if (n <= EVENT_MESSAGE_MAX) return n;
  n = EVENT_MESSAGE_MAX;
  /* a continuation byte right after the cut means that it goes through a character */
  for (int back = 0; back < 3 && n > 0 && ((unsigned char)message[n] & 0xc0) == 0x80; back++) n--;
  return n;
}

void event_json(const struct event *e, const struct event_source *who, struct buf *out) {
  char time[CLOCK_TEXT_MAX];
  struct json j = JSON_INIT(out);
  json_object(&j, NULL);
  json_str(&j, "timestamp", clock_format(e->real_ns, time));
  json_str(&j, "level", level_names[e->level]);
  json_str(&j, "component", component_of(e));
  json_str(&j, "container_id", who->container_id);
  json_str(&j, "flow", who->flow);
  json_str(&j, "event", event_title(e));
  if (e->duration_ns >= 0) json_int(&j, "duration_ms", (e->duration_ns + NS_PER_MS / 2) / NS_PER_MS);
  if (e->message) json_strn(&j, "message", e->message, event_message_len(e->message));
  const char *details = e->details ? e->details : "{}";
  json_raw(&j, "details", details, strlen(details));
  json_object_end(&j);
}

/* --- the ring --------------------------------------------------------------------------------------------------- */

enum { CHUNK = 64 };

/* Grows while it fills, in pieces that stay where they are: most runs tell little. */
struct event_ring {
  unsigned capacity, n; /* n: there is memory for so many */
  uint64_t first, last; /* what is not later than `first` never was in it */
  struct slot {
    struct event event;
    char *texts; /* the event's strings, in one piece */
  } * chunks[];
};

static bool ring_grow(struct event_ring *r) {
  struct slot *chunk = calloc(CHUNK, sizeof *chunk);
  if (!chunk) return false;
  r->chunks[r->n / CHUNK] = chunk;
  r->n += CHUNK;
  return true;
}

static struct slot *ring_slot(const struct event_ring *r, uint64_t seq) {
  uint64_t i = (seq - 1) % r->capacity;
  return &r->chunks[i / CHUNK][i % CHUNK];
}

struct event_ring *event_ring_new(unsigned capacity) {
  struct event_ring *r = calloc(1, sizeof *r + (capacity / CHUNK + 1) * sizeof(struct slot *));
  if (!r) return NULL;
  r->capacity = capacity;
  if (ring_grow(r)) return r;
  free(r);
  return NULL;
}

void event_ring_free(struct event_ring *r) {
  if (!r) return;
  for (unsigned i = 0; i < r->n; i++) free(r->chunks[i / CHUNK][i % CHUNK].texts);
  for (unsigned i = 0; i < r->n; i += CHUNK) free(r->chunks[i / CHUNK]);
  free(r);
}

static char *put(char **to, const char *s) {
  if (!s) return NULL;
  size_t n = strlen(s) + 1;
  char *p = memcpy(*to, s, n);
  *to += n;
  return p;
}

uint64_t event_ring_add(struct event_ring *r, const struct event *e) {
  size_t n = 1;
  const char *const texts[] = {e->component, e->name, e->message, e->details};
  for (size_t i = 0; i < ARRAY_LEN(texts); i++)
    if (texts[i]) n += strlen(texts[i]) + 1;
  /* where memory is short it stays as small as it is */
  if (r->last - r->first == r->n && r->n < r->capacity && !ring_grow(r)) r->capacity = r->n;
  uint64_t seq = ++r->last;
  struct slot *s = ring_slot(r, seq);
  free(s->texts);
  char *to = s->texts = malloc(n);
  s->event = *e;
  s->event.seq = seq;
  if (to) {
    s->event.component = put(&to, e->component);
    s->event.name = put(&to, e->name);
    s->event.message = put(&to, e->message);
    s->event.details = put(&to, e->details);
  } else {
    s->event.component = s->event.name = s->event.message = s->event.details = NULL;
  }
  return seq;
}

void event_ring_begin(struct event_ring *r, uint64_t last) {
  while (r->n < r->capacity && last && ring_grow(r)) continue; /* its pieces are found by number */
  if (r->n < r->capacity && last) r->capacity = r->n;
  r->first = r->last = last;
}

const struct event *event_ring_from(const struct event_ring *r, uint64_t seq) {
  uint64_t first = r->last - r->first > r->capacity ? r->last - r->capacity + 1 : r->first + 1;
  if (seq < first) seq = first;
  return seq > r->last ? NULL : &ring_slot(r, seq)->event;
}

uint64_t event_ring_last(const struct event_ring *r) { return r->last; }
