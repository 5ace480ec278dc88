/* base/late_math.c against glibc's own library. */
#include <dlfcn.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "fixture.h"

static const double values[] = {0.0,
                                -0.0,
                                0.25,
                                -0.25,
                                0.5,
                                -0.5,
                                0.75,
                                -0.75,
                                1.0,
                                -1.0,
                                1.5,
                                -1.5,
                                2.5,
                                -2.5,
                                1e9,
                                -1e9,
                                1e9 + 0.125,
                                -1e9 - 0.125,
                                0x1p51,
                                -0x1p51 - 0.5,
                                0x1p52,
                                -0x1p52,
                                0x1p53,
                                DBL_MAX,
                                -DBL_MAX,
                                DBL_MIN,
                                -DBL_MIN,
                                0.49999999999999994,
                                -0.49999999999999994,
                                INFINITY,
                                -INFINITY};

static void test_functions_of_one_number(void **state) {
  (void)state;
  void *library = dlopen("libm.so.6", RTLD_LAZY | RTLD_LOCAL);
  assert_non_null(library);
  static const struct {
    const char *name;
    double (*volatile fn)(double); /* called, not put in place by the compiler */
  } ours[] = {{"round", round}, {"floor", floor}, {"ceil", ceil}};
  for (size_t f = 0; f < sizeof ours / sizeof *ours; f++) {
    double (*theirs)(double) = (double (*)(double))dlsym(library, ours[f].name);
    assert_non_null(theirs);
    assert_true(theirs != ours[f].fn);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
      double got = ours[f].fn(values[i]), expected = theirs(values[i]);
      if (memcmp(&got, &expected, sizeof got) != 0)
        fail_msg("%s(%a): %a, not %a", ours[f].name, values[i], got, expected);
    }
    assert_true(isnan(ours[f].fn(NAN)));
  }
  dlclose(library);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_functions_of_one_number)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
