#include "core/history.h"

#include "base/clock.h"

/* A run in 32 bits: result (2), duration and time since the run before (15 each, as below, in µs). */
enum { PACKED_BITS = 15, MANTISSA_BITS = 10, EXPONENT_MAX = 31 };

/* Small numbers as they are, larger ones as 1.m * 2^e: 11 significant bits. */
static uint32_t pack(int64_t ns) {
  uint64_t v = ns > 0 ? (uint64_t)(ns / NS_PER_US) : 0;
  if (v < 1U << MANTISSA_BITS) return (uint32_t)v;
  unsigned shift = 63 - (unsigned)__builtin_clzll(v) - MANTISSA_BITS;
  if (shift >= EXPONENT_MAX) return (1U << PACKED_BITS) - 1;
  return (shift + 1) << MANTISSA_BITS | ((uint32_t)(v >> shift) & ((1U << MANTISSA_BITS) - 1));
}

static int64_t unpack(uint32_t packed) {
  uint32_t exponent = packed >> MANTISSA_BITS & EXPONENT_MAX;
  int64_t v = packed & ((1U << MANTISSA_BITS) - 1);
  if (exponent) v = (v + (1 << MANTISSA_BITS)) << (exponent - 1);
  return v * NS_PER_US;
}

void history_add(struct history *h, uint32_t runs[HISTORY_RUNS], int64_t at_ns, int64_t duration_ns, unsigned result) {
  uint32_t since = h->n ? pack(at_ns - h->last_ns) : 0;
  runs[h->next] = (uint32_t)result << 2 * PACKED_BITS | pack(duration_ns) << PACKED_BITS | since;
  h->next = (uint8_t)((h->next + 1) % HISTORY_RUNS);
  if (h->n < HISTORY_RUNS) h->n++;
  h->last_ns = at_ns;
}

unsigned history_list(const struct history *h, const uint32_t runs[HISTORY_RUNS], struct history_run *out,
                      unsigned max) {
  unsigned n = h->n < max ? h->n : max;
  int64_t at = h->last_ns;
  for (unsigned k = n; k-- > 0;) {
    uint32_t run = runs[(h->next + HISTORY_RUNS - (n - k)) % HISTORY_RUNS];
    out[k] = (struct history_run){.at_ns = at,
                                  .duration_ns = unpack(run >> PACKED_BITS & ((1U << PACKED_BITS) - 1)),
                                  .result = run >> 2 * PACKED_BITS};
    at -= unpack(run & ((1U << PACKED_BITS) - 1));
  }
  return n;
}

/* The oldest of a full ring may have been written over. */
void history_resume(struct history *h) {
  if (h->n == HISTORY_RUNS) h->n--;
}
