#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "base/clock.h"
#include "base/usage.h"
#include "cgroup_tree.h"
#include "probes/meter.h"

#define MB (INT64_C(1024) * 1024)

static struct usage get(void) {
  struct usage_source s;
  struct usage u;
  assert_int_equal(usage_open(&s, root), 0);
  usage_read(&s, &u);
  usage_close(&s);
  return u;
}

static bool near(double a, double b) { return fabs(a - b) < 1e-9; }

static void machine(void) {
  put("/proc/meminfo", "MemTotal:        4096 kB\nMemFree: 10 kB\nMemAvailable:    1024 kB\n");
  put("/proc/stat", "cpu  100 10 50 9999 7 3 2 5 0 0\ncpu0 1 1 1 1\n");
  put("/proc/pressure/cpu", "some avg10=2.50 avg60=1.00 avg300=0.00 total=5\n");
}

static void nothing_known(void **state) {
  (void)state;
  struct usage u = get();
  assert_int_equal(u.memory_bytes, -1);
  assert_int_equal(u.memory_max_bytes, -1);
  assert_int_equal(u.cpu_ns, -1);
  assert_int_equal(u.throttled_ns, -1);
  assert_int_equal(u.oom_kills, -1);
  assert_int_equal(u.tasks, -1);
  assert_true(isnan(u.pressure[PRESSURE_CPU]) && isnan(u.pressure[PRESSURE_IO]));
  assert_true(u.cpus >= 1);
  assert_false(u.cpu_limited || u.memory_limited || u.oom_group);
}

/* No control groups at all: the machine's. */
static void of_the_machine(void **state) {
  (void)state;
  machine();
  put("/proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/vda rw\n");
  struct usage u = get();
  assert_int_equal(u.memory_bytes, 3072 * 1024);
  assert_int_equal(u.memory_max_bytes, 4096 * 1024);
  assert_false(u.memory_limited);
  assert_int_equal(u.cpu_ns, 170 * (NS_PER_S / 100)); /* without idle and iowait */
  assert_true(near(u.pressure[PRESSURE_CPU], 0.025));
}

static void version_2(void **state) {
  (void)state;
  machine();
  put("/proc/self/mountinfo", V2_MOUNT);
  put("/proc/self/cgroup", "0::/box\n");
  put("/sys/fs/cgroup/box/memory.current", "3145728\n");
  put("/sys/fs/cgroup/box/memory.stat", "anon 5\ninactive_file 1048576\nactive_file 9\n");
  put("/sys/fs/cgroup/box/memory.max", "3670016\n");
  put("/sys/fs/cgroup/box/memory.events", "low 0\nhigh 0\nmax 4\noom 2\noom_kill 3\noom_group_kill 0\n");
  put("/sys/fs/cgroup/box/memory.oom.group", "1\n");
  put("/sys/fs/cgroup/box/cpu.max", "25000 100000\n");
  put("/sys/fs/cgroup/box/cpu.stat", "usage_usec 1234\nuser_usec 1000\nnr_throttled 5\nthrottled_usec 77\n");
  put("/sys/fs/cgroup/box/pids.current", "7\n");
  put("/sys/fs/cgroup/box/pids.max", "max\n");
  put("/sys/fs/cgroup/box/memory.pressure", "some avg10=12.34 avg60=0.00 avg300=0.00 total=1\nfull avg10=99.00\n");
  struct usage u = get();
  assert_int_equal(u.memory_bytes, 2 * MB);
  assert_true(u.memory_limited);
  assert_int_equal(u.memory_max_bytes, 3670016);
  assert_int_equal(u.oom_kills, 3);
  assert_true(u.oom_group);
  assert_true(u.cpu_limited && near(u.cpus, 0.25));
  assert_int_equal(u.cpu_ns, 1234000);
  assert_int_equal(u.throttled_ns, 77000);
  assert_int_equal(u.tasks, 7);
  assert_int_equal(u.tasks_max, -1);
  assert_true(near(u.pressure[PRESSURE_MEMORY], 0.1234));
  assert_true(near(u.pressure[PRESSURE_CPU], 0.025)); /* the group tells none */
}

static void version_1_and_hybrid(void **state) {
  (void)state;
  machine();
  static const char *const mounts[] = {V1_MOUNTS, V1_MOUNTS "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 c rw\n"};
  for (size_t i = 0; i < ARRAY_LEN(mounts); i++) {
    put("/proc/self/mountinfo", mounts[i]);
    put("/proc/self/cgroup", "5:pids:/d\n4:memory:/d\n2:cpu,cpuacct:/d\n0::/\n");
    put("/sys/fs/cgroup/unified/cpu.stat", "usage_usec 999999999\n"); /* of the machine */
    put("/sys/fs/cgroup/memory/d/memory.usage_in_bytes", "1000\n");
    put("/sys/fs/cgroup/memory/d/memory.stat", "inactive_file 900\ntotal_inactive_file 400\n");
    put("/sys/fs/cgroup/memory/d/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/memory/d/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
    put("/sys/fs/cgroup/cpu,cpuacct/d/cpuacct.usage", "5000000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/d/cpu.stat", "nr_periods 1\nnr_throttled 1\nthrottled_time 99\n");
    put("/sys/fs/cgroup/pids/d/pids.current", "5\n");
    put("/sys/fs/cgroup/pids/d/pids.max", "50\n");
    struct usage u = get();
    assert_int_equal(u.memory_bytes, 600);
    assert_false(u.memory_limited); /* its limit is none: the machine's memory is the most */
    assert_int_equal(u.memory_max_bytes, 4096 * 1024);
    assert_int_equal(u.oom_kills, 2);
    assert_int_equal(u.cpu_ns, 5000000);
    assert_int_equal(u.throttled_ns, 99);
    assert_int_equal(u.tasks, 5);
    assert_int_equal(u.tasks_max, 50);
    assert_false(u.oom_group);
  }
}

/* More cache than memory in use, numbers that are none, texts that are cut short. */
static void odd_files(void **state) {
  (void)state;
  static const char *const texts[] = {
      "", "\n", "x", "inactive_file", "inactive_file ", "inactive_file -4", "some avg10=", "some avg10=x"};
  machine();
  put("/proc/self/mountinfo", V2_MOUNT);
  put("/proc/self/cgroup", "0::/\n");
  put("/sys/fs/cgroup/memory.current", "100\n");
  for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
    put("/sys/fs/cgroup/memory.stat", texts[i]);
    put("/sys/fs/cgroup/cpu.stat", texts[i]);
    put("/sys/fs/cgroup/io.pressure", texts[i]);
    struct usage u = get();
    assert_int_equal(u.memory_bytes, 100);
    assert_int_equal(u.throttled_ns, -1);
    assert_true(isnan(u.pressure[PRESSURE_IO]));
  }
  put("/sys/fs/cgroup/memory.stat", "inactive_file 400\n");
  assert_int_equal(get().memory_bytes, 0);
}

/* --- the meter --------------------------------------------------------------------------------------------------- */

static void a_meter_gives_shares(void **state) {
  (void)state;
  struct meter m = {.open = true};
  put("/proc/self/mountinfo", V2_MOUNT);
  put("/proc/self/cgroup", "0::/\n");
  put("/sys/fs/cgroup/cpu.max", "50000 100000\n");
  put("/sys/fs/cgroup/cpu.stat", "usage_usec 1000000\n");
  put("/sys/fs/cgroup/memory.events", "oom_kill 5\n");
  put("/sys/fs/cgroup/memory.current", "256\n");
  put("/sys/fs/cgroup/memory.max", "1024\n");
  assert_int_equal(usage_open(&m.source, root), 0);
  meter_look(&m, NS_PER_S);
  assert_true(near(meter_memory(&m), 0.25));
  assert_true(isnan(meter_cpu(&m))); /* one look is no rate */
  assert_true(isnan(meter_tasks(&m)));
  put("/sys/fs/cgroup/cpu.stat", "usage_usec 1500000\n"); /* 0.5 s in 2 s, of half a CPU */
  put("/sys/fs/cgroup/memory.events", "oom_kill 6\n");
  meter_look(&m, 3 * NS_PER_S);
  assert_true(near(meter_cpu(&m), 0.5));
  assert_int_equal(meter_oom_kills(&m), 1);
  put("/sys/fs/cgroup/cpu.stat", "usage_usec 9000000\n");
  meter_look(&m, 3 * NS_PER_S + 499 * NS_PER_MS); /* too soon: the same as before */
  assert_true(near(meter_cpu(&m), 0.5));
  put("/sys/fs/cgroup/cpu.stat", "usage_usec 0\n"); /* moved to another group */
  meter_look(&m, 5 * NS_PER_S);
  assert_true(isnan(meter_cpu(&m)));
  meter_close(&m);
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_root, drop_root)

int main(void) {
  const struct CMUnitTest tests[] = {
      T(nothing_known), T(of_the_machine), T(version_2), T(version_1_and_hybrid), T(odd_files), T(a_meter_gives_shares),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
