/* Memory with a plan's life. What is the same is there once: a thousand processes or checks have few words and few
 * rules that differ. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/plan_read.h"

enum { BLOCK = 2048, ALIGN = 8 };

/* Things are at the front of a block, texts at its back, where they need no padding. */
struct plan_block {
  struct plan_block *next;
  size_t front, back; /* what is free lies between them */
  char data[] __attribute__((aligned(ALIGN)));
};

/* Thousands of small ones are no calls of malloc, which would take as much again. A large one has a block of its own,
 * behind the one that is being filled. */
static struct plan_block *block_for(struct plan_reader *r, size_t bytes) {
  struct plan_block *first = r->plan->blocks_;
  if (first && first->back - first->front >= bytes) return first;
  size_t room = bytes > BLOCK / 2 ? bytes : BLOCK;
  struct plan_block *b = bytes < SIZE_MAX / 2 ? calloc(1, sizeof *b + room) : NULL;
  if (!b) {
    r->no_memory = true;
    return NULL;
  }
  b->back = room;
  struct plan_block **link = first && room == bytes ? &first->next : &r->plan->blocks_;
  b->next = *link;
  *link = b;
  return b;
}

void *plan_alloc(struct plan_reader *r, size_t n, size_t size) {
  size_t bytes;
  if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX - ALIGN) bytes = SIZE_MAX - ALIGN;
  bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
  struct plan_block *b = block_for(r, bytes);
  if (!b) return NULL;
  b->front += bytes;
  return b->data + b->front - bytes;
}

void plan_blocks_free(struct plan_block *b) {
  for (struct plan_block *next; b; b = next) {
    next = b->next;
    free(b);
  }
}

/* --- what is the same is there once ------------------------------------------------------------------------------ */

struct plan_shared {
  const void *data; /* NULL: a free place */
  size_t n;
  uint32_t hash; /* bit 0: a text, which may lie anywhere */
};

void plan_reader_end(struct plan_reader *r) {
  free(r->shared);
  r->shared = NULL;
  r->shared_n = r->shared_room = 0;
}

static uint32_t hash_of(const void *data, size_t n, bool text) {
  uint32_t h = 2166136261u;
  for (const unsigned char *p = data; n; n--) h = (h ^ *p++) * 16777619u;
  return h << 1 | text;
}

static size_t place_of(const struct plan_shared *all, size_t room, uint32_t hash, const void *data, size_t n) {
  size_t i = (hash >> 1) % room;
  for (; all[i].data; i = (i + 1) % room)
    if (all[i].hash == hash && all[i].n == n && memcmp(all[i].data, data, n) == 0) break;
  return i;
}

static bool make_room(struct plan_reader *r) {
  if (4 * r->shared_n < 3 * r->shared_room) return true;
  size_t room = r->shared_room ? 2 * r->shared_room : 128;
  struct plan_shared *all = calloc(room, sizeof *all);
  if (!all) return false;
  for (size_t i = 0; i < r->shared_room; i++) {
    const struct plan_shared *s = &r->shared[i];
    if (s->data) all[place_of(all, room, s->hash, s->data, s->n)] = *s;
  }
  free(r->shared);
  r->shared = all;
  r->shared_room = room;
  return true;
}

static char *alloc_text(struct plan_reader *r, size_t n) {
  struct plan_block *b = block_for(r, n);
  return b ? b->data + (b->back -= n) : NULL;
}

static const void *share(struct plan_reader *r, const void *data, size_t n, bool text) {
  uint32_t hash = hash_of(data, n, text);
  struct plan_shared *s = make_room(r) ? &r->shared[place_of(r->shared, r->shared_room, hash, data, n)] : NULL;
  if (s && s->data) return s->data;
  void *copy = !s ? NULL : text ? alloc_text(r, n) : plan_alloc(r, 1, n);
  if (!copy) {
    r->no_memory = true;
    return NULL;
  }
  *s = (struct plan_shared){memcpy(copy, data, n), n, hash};
  r->shared_n++;
  return copy;
}

const void *plan_share(struct plan_reader *r, const void *data, size_t n) { return share(r, data, n, false); }

const char *plan_text(struct plan_reader *r, const char *text) {
  const char *copy = *text ? share(r, text, strlen(text) + 1, true) : "";
  return copy ? copy : "";
}

const char *plan_text_fmt(struct plan_reader *r, const char *fmt, ...) {
  auto_buf struct buf b = {0};
  va_list ap;
  va_start(ap, fmt);
  buf_vfmt(&b, fmt, ap);
  va_end(ap);
  if (b.failed) r->no_memory = true;
  return b.failed ? "" : plan_text(r, buf_cstr(&b));
}

void plan_words_add(struct buf *words, const char *word) { buf_add(words, &word, sizeof word); }

char **plan_words(struct plan_reader *r, struct buf *words) {
  plan_words_add(words, NULL);
  if (words->failed) r->no_memory = true;
  return words->failed ? NULL : (char **)(uintptr_t)plan_share(r, words->data, words->len);
}

char **plan_copy_words(struct plan_reader *r, char *const *from) {
  auto_buf struct buf words = {0};
  for (; from && *from; from++) plan_words_add(&words, plan_text(r, *from));
  char **copy = plan_words(r, &words);
  return r->no_memory ? NULL : copy;
}

/* From the last to the first, since each points to the one behind it: cJSON keeps the last as the one before the
 * first. */
static const cJSON *share_json(struct plan_reader *r, const cJSON *v, const cJSON *next) {
  const cJSON *first = NULL;
  for (const cJSON *c = v->child ? v->child->prev : NULL; c; c = c == v->child ? NULL : c->prev)
    first = share_json(r, c, first);
  cJSON node;
  memset(&node, 0, sizeof node); /* with its gaps */
  node.next = (cJSON *)(uintptr_t)next;
  node.child = (cJSON *)(uintptr_t)first;
  node.type = v->type & 0xff;
  node.valueint = v->valueint;
  node.valuedouble = v->valuedouble;
  if (v->valuestring) node.valuestring = (char *)(uintptr_t)plan_text(r, v->valuestring);
  if (v->string) node.string = (char *)(uintptr_t)plan_text(r, v->string);
  return plan_share(r, &node, sizeof node);
}

const cJSON *plan_params(struct plan_reader *r, const cJSON *params) {
  static const cJSON nothing = {.type = cJSON_Object};
  const cJSON *copy = cJSON_IsObject(params) && params->child ? share_json(r, params, NULL) : &nothing;
  return copy ? copy : &nothing;
}
