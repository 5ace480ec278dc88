/* Events: typed facts that happened. One list (event.def) gives names, components and docs; one ring keeps the last
 * of them; two formats. Pure: the time comes in, nothing is written here.
 */
#ifndef TEND_CORE_EVENT_H
#define TEND_CORE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"

enum level { LEVEL_DEBUG, LEVEL_INFO, LEVEL_WARNING, LEVEL_ERROR, LEVEL_CRITICAL };

const char *level_name(enum level level);        /* "INFO" */
int level_parse(const char *s, enum level *out); /* any case; -EINVAL */

enum event_kind {
#define E(id, name, component, doc, keys, look) EVENT_##id,
#include "core/event.def"
#undef E
  EVENT_KINDS
};

const char *event_name(enum event_kind kind);
const char *event_component(enum event_kind kind);
const char *event_doc(enum event_kind kind);
const char *event_keys(enum event_kind kind); /* of its details, with blanks between; "*": any */
const char *event_look(enum event_kind kind); /* what to do about it, "" for nothing */

struct event {
  uint64_t seq;    /* given by the ring, from 1 */
  int64_t real_ns; /* wall clock, for print */
  enum event_kind kind;
  enum level level;
  const char *component;  /* NULL: the kind's */
  const char *name;       /* NULL: the kind's */
  int64_t duration_ns;    /* -1: none */
  const char *message;    /* NULL: none */
  const char *details;    /* a JSON object as text, NULL: {} */
  const struct buf *line; /* as JSON with its newline, while it is being told, where somebody has made it; else NULL */
};

/* Makes any text fit for `details`: a JSON object with the contract's separators and at most LIMIT_EVENT_DETAILS bytes.
 * What is no object becomes {"text": …}, what is too long {"cut": bytes}. NULL and "" give {}. */
void event_details(const char *text, struct buf *out);
/* The same for a message: at most EVENT_MESSAGE_MAX bytes, cut between characters. Returns how many to take. */
enum { EVENT_MESSAGE_MAX = 2400 };
size_t event_message_len(const char *message);

/* What it is called in the log. */
const char *event_title(const struct event *e);

struct event_source { /* who speaks; the same for all events of an engine */
  char container_id[256];
  char flow[64];
};

/* One line of JSON without a newline, keys in the contract's order; details have been through event_details. */
void event_json(const struct event *e, const struct event_source *who, struct buf *out);
/* One readable line without a newline: time of day, level, event, message, details as key=value; control characters
 * of any text are shown, not sent to the terminal; colour with ANSI sequences where asked. */
void event_pretty(const struct event *e, bool colour, struct buf *out);

/* The last n events; owns copies. */
struct event_ring;
struct event_ring *event_ring_new(unsigned capacity);
void event_ring_free(struct event_ring *r);
/* Copies *e and gives it the next number, which is returned (where memory is short its texts are lost). */
uint64_t event_ring_add(struct event_ring *r, const struct event *e);
/* The first event with a number >= seq, NULL when there is none; valid until the next add. */
const struct event *event_ring_from(const struct event_ring *r, uint64_t seq);
uint64_t event_ring_last(const struct event_ring *r);
void event_ring_begin(struct event_ring *r, uint64_t last); /* an empty one: the next gets last + 1 */

#endif
