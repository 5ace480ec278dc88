/* The frames of the control socket against whatever may come: any split, any bytes, any length. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/frame.h"

enum { MAX = 5000, ROUNDS = 2000 };

/* Whatever arrives in pieces comes out in frames, as it was. */
static void test_random_splits(void **state) {
  (void)state;
  for (unsigned seed = 1; seed <= 200; seed++) {
    srandom(seed);
    auto_buf struct buf wire = {0};
    auto_buf struct buf sent = {0};
    auto_buf struct buf got = {0};
    for (long n = 1 + random() % 20; n > 0; n--) {
      char payload[MAX];
      size_t len = 1 + (size_t)random() % MAX;
      for (size_t i = 0; i < len; i++) payload[i] = (char)random();
      frame_add(&wire, payload, len);
      buf_add(&sent, payload, len);
    }
    auto_buf struct buf in = {0};
    for (size_t at = 0; at < wire.len;) {
      size_t piece = 1 + (size_t)random() % (random() % 4 ? 7 : 9000);
      if (piece > wire.len - at) piece = wire.len - at;
      buf_add(&in, wire.data + at, piece);
      at += piece;
      for (int64_t n; (n = frame_length(&in, MAX)) != 0;) {
        assert_true(n > FRAME_HEAD);
        buf_add(&got, in.data + FRAME_HEAD, (size_t)n - FRAME_HEAD);
        buf_drop(&in, (size_t)n);
      }
    }
    assert_int_equal(in.len, 0);
    assert_int_equal(got.len, sent.len);
    assert_memory_equal(got.data, sent.data, sent.len);
  }
}

/* Any bytes: more is needed, a frame that is there, or a refusal that stays; never more than there is. */
static void test_random_bytes(void **state) {
  (void)state;
  srandom(7);
  for (int round = 0; round < ROUNDS; round++) {
    auto_buf struct buf in = {0};
    size_t max = 1 + (size_t)random() % 600;
    bool refused = false;
    for (int i = 0; i < 300; i++) {
      /* zeros often, so that lengths are small often enough */
      buf_char(&in, random() % 3 ? 0 : (char)random());
      int64_t n = frame_length(&in, max);
      if (refused) assert_int_equal(n, -EMSGSIZE);
      if (n < 0) {
        assert_int_equal(n, -EMSGSIZE);
        refused = true;
      } else if (n > 0) {
        assert_true((size_t)n <= in.len && (size_t)n <= max + FRAME_HEAD && n > FRAME_HEAD);
        buf_drop(&in, (size_t)n);
      } else {
        assert_true(in.len < FRAME_HEAD + max);
      }
    }
  }
}

static void test_bounds(void **state) {
  (void)state;
  auto_buf struct buf in = {0};
  assert_int_equal(frame_length(&in, 10), 0);
  buf_add(&in, "\0\0\0\012", 4);
  assert_int_equal(frame_length(&in, 10), 0);
  assert_int_equal(frame_length(&in, 9), -EMSGSIZE);
  buf_add(&in, "0123456789", 10);
  assert_int_equal(frame_length(&in, 10), 14);
  buf_clear(&in);
  buf_add(&in, "\0\0\0\0", 4);
  assert_int_equal(frame_length(&in, 10), -EMSGSIZE);
  buf_clear(&in);
  buf_add(&in, "\xff\xff\xff\xff", 4);
  assert_int_equal(frame_length(&in, 10), -EMSGSIZE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_random_splits),
      cmocka_unit_test(test_random_bytes),
      cmocka_unit_test(test_bounds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
