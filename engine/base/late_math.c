/* The mathematics that Lua offers, from glibc's own library, which is loaded when one of these is first called: hardly
 * any flow calls one, and to be linked to a library more makes each start later. The other functions of <math.h> that
 * tend calls are here as they are. */
#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void *find(const char *name) {
  static void *library;
  if (!library) library = dlopen("libm.so.6", RTLD_LAZY | RTLD_LOCAL);
  void *fn = library ? dlsym(library, name) : NULL;
  if (fn) return fn;
  fprintf(stderr, "tend: libm.so.6, a part of glibc, cannot be used: %s\n", dlerror());
  abort();
}

#define LATE_1(name) \
  double name(double x) { \
    static double (*fn)(double); \
    if (!fn) fn = (double (*)(double))find(#name); \
    return fn(x); \
  }
#define LATE_2(name) \
  double name(double x, double y) { \
    static double (*fn)(double, double); \
    if (!fn) fn = (double (*)(double, double))find(#name); \
    return fn(x, y); \
  }

LATE_1(acos)
LATE_1(asin)
LATE_1(cos)
LATE_1(cosh)
LATE_1(exp)
LATE_1(log)
LATE_1(log10)
LATE_1(log2)
LATE_1(sin)
LATE_1(sinh)
LATE_1(sqrt)
LATE_1(tan)
LATE_1(tanh)
LATE_2(atan2)
LATE_2(fmod)
LATE_2(pow)

/* Half away from zero. From 2^52 on there are no fractions. */
double round(double x) {
  if (!(fabs(x) < 0x1p52)) return x;
  double whole = (double)(int64_t)x;
  if (fabs(x - whole) >= 0.5) whole += x < 0 ? -1 : 1;
  return copysign(whole, x);
}

/* Where the compiler puts no instructions in the place of the call: -O0, -Os. */
double floor(double x) {
  if (!(fabs(x) < 0x1p52)) return x;
  double whole = (double)(int64_t)x;
  return whole > x ? whole - 1 : copysign(whole, x);
}

double ceil(double x) { return -floor(-x); }

long long llround(double x) { return (long long)round(x); }

double fmin(double x, double y) { return isnan(x) || y < x ? y : x; }
double fmax(double x, double y) { return isnan(x) || y > x ? y : x; }
