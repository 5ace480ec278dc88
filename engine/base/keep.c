#include "base/keep.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/str.h"

enum { BUCKETS = 512, NAME_MAX_BYTES = 160, ALIGN = 8 };
#define AREA_BYTES ((size_t)LIMIT_KEEP_MB << 20)

struct copy {
  uint32_t counter; /* 0: empty */
  uint32_t size;
  uint64_t sum;
};

struct keep_record {
  uint32_t next; /* of its bucket, an offset in the area; 0: none */
  uint32_t room; /* bytes of one copy */
  uint32_t hash;
  uint16_t plain; /* bytes */
  uint8_t name_room;
  uint8_t copies;     /* 1 or 2 */
  struct copy copy[]; /* of `copies`; then the name in name_room bytes, `copies` times `room` bytes, `plain` bytes */
};

struct area {
  size_t used;
  uint32_t bucket[BUCKETS];
};

struct keep {
  struct keep_words words;
  _Atomic int live;  /* the area that counts; -1: none */
  int writes, reads; /* of the present engine */
  char *area[2];     /* same addresses in all of them */
};

static size_t aligned(size_t n) { return (n + ALIGN - 1) / ALIGN * ALIGN; }

struct keep *keep_map(void) {
  size_t head = 4096;
  _Static_assert(sizeof(struct keep) <= 4096, "the head has a page");
  char *p =
      mmap(NULL, head + 2 * AREA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return NULL;
  struct keep *k = (struct keep *)p;
  k->live = k->reads = -1;
  k->area[0] = p + head;
  k->area[1] = p + head + AREA_BYTES;
  return k;
}

struct keep_words *keep_words(struct keep *k) {
  return &k->words;
}

static struct area *area_of(const struct keep *k, int i) { return (struct area *)(uintptr_t)k->area[i]; }

void keep_begin(struct keep *k) {
  k->reads = k->live;
  k->writes = k->live == 0 ? 1 : 0;
  struct area *a = area_of(k, k->writes);
  if (a->used && madvise(a, AREA_BYTES, MADV_REMOVE)) memset(a, 0, a->used);
  a->used = aligned(sizeof *a);
  if (k->live < 0) k->live = k->writes;
}

void keep_commit(struct keep *k) {
  k->live = k->writes;
  k->reads = -1;
}

void keep_ready(struct keep *k, size_t n) {
  struct area *a = area_of(k, k->writes);
  size_t page = (size_t)sysconf(_SC_PAGESIZE), from = (a->used + page - 1) / page * page;
  if (from + n <= AREA_BYTES) madvise((char *)a + from, n, MADV_POPULATE_WRITE); /* Linux 5.14; each at its first use */
}

/* Not against malice: against a copy that was cut off, or written over by a fault. */
static uint64_t checksum(const void *data, size_t n) {
  const uint64_t factor = UINT64_C(0x9e3779b97f4a7c15);
  uint64_t lane[4] = {n, ~(uint64_t)n, factor, ~factor};
  const char *p = data;
  for (; n >= 32; n -= 32, p += 32) {
    uint64_t w[4];
    memcpy(w, p, sizeof w);
    for (int i = 0; i < 4; i++) {
      lane[i] = (lane[i] ^ w[i]) * factor;
      lane[i] ^= lane[i] >> 29;
    }
  }
  for (; n; n--, p++) lane[n % 4] = (lane[n % 4] ^ (unsigned char)*p) * factor;
  uint64_t sum = 0;
  for (int i = 0; i < 4; i++) sum = (sum ^ lane[i]) * factor ^ lane[i] >> 31;
  return sum;
}

static uint32_t hash_of(const char *name) {
  uint32_t h = 2166136261u;
  for (; *name; name++) h = (h ^ (unsigned char)*name) * 16777619u;
  return h;
}

static char *name_of(const struct keep_record *r) { return (char *)(uintptr_t)(r->copy + r->copies); }

static struct keep_record *find(const struct keep *k, int i, const char *name, uint32_t hash) {
  struct area *a = area_of(k, i);
  for (uint32_t at = a->bucket[hash % BUCKETS]; at;) {
    struct keep_record *r = (struct keep_record *)((char *)a + at);
    if (r->hash == hash && STR_EQ(name_of(r), name)) return r;
    at = r->next;
  }
  return NULL;
}

static char *data_of(const struct keep_record *r, int copy) {
  return name_of(r) + r->name_room + (size_t)copy * r->room;
}

static size_t head_of(unsigned copies) { return sizeof(struct keep_record) + copies * sizeof(struct copy); }

static size_t size_of(const struct keep_record *r) {
  return head_of(r->copies) + r->name_room + r->copies * (size_t)r->room + r->plain;
}

/* In the list once it is whole. */
static struct keep_record *add(struct keep *k, const char *name, uint32_t hash, size_t n, unsigned copies,
                               size_t plain) {
  struct area *a = area_of(k, k->writes);
  size_t room = aligned(n), length = strlen(name) + 1;
  size_t size = head_of(copies) + aligned(length) + copies * room + aligned(plain);
  _Static_assert(sizeof(struct keep_record) % ALIGN == 0, "data is aligned");
  _Static_assert(NAME_MAX_BYTES <= UINT8_MAX, "the room of a name fits");
  if (length > NAME_MAX_BYTES || aligned(plain) > UINT16_MAX || size > AREA_BYTES - a->used) return NULL;
  struct keep_record *r = (struct keep_record *)((char *)a + a->used);
  memset(r, 0, head_of(copies));
  r->room = (uint32_t)room;
  r->hash = hash;
  r->plain = (uint16_t)aligned(plain);
  r->name_room = (uint8_t)aligned(length);
  r->copies = (uint8_t)copies;
  memcpy(name_of(r), name, length);
  return r;
}

static void link_record(struct keep *k, struct keep_record *r) {
  struct area *a = area_of(k, k->writes);
  uint32_t *bucket = &a->bucket[r->hash % BUCKETS];
  r->next = *bucket; /* a smaller one of that name is behind it from now on, unseen */
  a->used += size_of(r);
  atomic_signal_fence(memory_order_release);
  *bucket = (uint32_t)((char *)r - (char *)a);
}

/* The copy that was filled last. Counters go round, past 0. */
static int newest(const struct keep_record *r) {
  if (r->copies < 2) return 0;
  uint32_t first = r->copy[0].counter, second = r->copy[1].counter;
  return !first || (second && (int32_t)(second - first) > 0) ? 1 : 0;
}

static void fill(struct keep_record *r, const void *data, size_t n) {
  int to = r->copies < 2 ? 0 : !newest(r);
  struct copy *c = &r->copy[to];
  uint32_t counter = r->copy[newest(r)].counter + 1;
  c->counter = 0;
  atomic_signal_fence(memory_order_seq_cst);
  if (n) memcpy(data_of(r, to), data, n);
  c->size = (uint32_t)n;
  c->sum = checksum(data, n);
  atomic_signal_fence(memory_order_seq_cst);
  c->counter = counter ? counter : 1;
}

static int put(struct keep *k, const char *name, const void *data, size_t n, size_t room, unsigned copies) {
  uint32_t hash = hash_of(name);
  struct keep_record *r = find(k, k->writes, name, hash);
  if (r && r->room >= n) {
    fill(r, data, n);
    return 0;
  }
  if (!n) return 0;
  if (r && room < n + n / 2) room = n + n / 2;
  r = add(k, name, hash, room > n ? room : n, copies, 0);
  if (!r) return -ENOMEM;
  fill(r, data, n);
  link_record(k, r);
  return 0;
}

int keep_put(struct keep *k, const char *name, const void *data, size_t n) { return put(k, name, data, n, n, 2); }

int keep_put_room(struct keep *k, const char *name, const void *data, size_t n, size_t room) {
  return put(k, name, data, n, room, 2);
}

int keep_put_once(struct keep *k, const char *name, const void *data, size_t n) { return put(k, name, data, n, n, 1); }

const void *keep_get(const struct keep *k, const char *name, size_t *n) {
  if (k->reads < 0) return NULL;
  const struct keep_record *r = find(k, k->reads, name, hash_of(name));
  if (!r) return NULL;
  int first = newest(r);
  for (int i = 0; i < r->copies; i++) {
    int which = i ? !first : first;
    const struct copy *c = &r->copy[which];
    if (!c->counter || c->size > r->room || checksum(data_of(r, which), c->size) != c->sum) continue;
    *n = c->size;
    return c->size ? data_of(r, which) : NULL;
  }
  return NULL;
}

const void *keep_get_sized(const struct keep *k, const char *name, size_t n) {
  size_t found;
  const void *p = keep_get(k, name, &found);
  return p && found == n ? p : NULL;
}

struct keep_record *keep_open(struct keep *k, const char *name, size_t n, size_t plain) {
  uint32_t hash = hash_of(name);
  struct keep_record *r = find(k, k->writes, name, hash);
  if (r && r->copies == 2 && r->room >= n && r->plain >= plain) return r;
  r = add(k, name, hash, n, 2, plain);
  if (r) link_record(k, r);
  return r;
}

void keep_fill(struct keep_record *r, const void *data, size_t n) {
  if (n <= r->room) fill(r, data, n);
}

static char *plain_of(const struct keep_record *r) { return data_of(r, r->copies); }

void *keep_plain(struct keep_record *r) { return plain_of(r); }

const void *keep_get_plain(const struct keep *k, const char *name, size_t n) {
  const struct keep_record *r = k->reads < 0 ? NULL : find(k, k->reads, name, hash_of(name));
  return r && r->plain >= n ? plain_of(r) : NULL;
}
