#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cgroup.h"
#include "cgroup_tree.h"

static struct cgroup get(void) {
  struct cgroup cg;
  cgroup_read(root, &cg);
  return cg;
}

static void nothing_known(void **state) {
  (void)state;
  struct cgroup cg = get();
  assert_int_equal(cg.memory_limit_bytes, -1);
  assert_int_equal(cg.memory_used_bytes, -1);
  assert_true(cg.cpu_limit_percent < 0);
  assert_int_equal(cg.version, 0);
}

static void version_2(void **state) {
  (void)state;
  put("/proc/self/mountinfo", V2_MOUNT);
  put("/proc/self/cgroup", "0::/\n");
  put("/sys/fs/cgroup/memory.max", "536870912\n");
  put("/sys/fs/cgroup/memory.current", "1000\n");
  put("/sys/fs/cgroup/cpu.max", "50000 100000\n");
  struct cgroup cg = get();
  assert_int_equal(cg.memory_limit_bytes, 536870912);
  assert_int_equal(cg.memory_used_bytes, 1000);
  assert_true(cg.cpu_limit_percent > 49.99 && cg.cpu_limit_percent < 50.01);
  assert_int_equal(cg.version, 2);
}

static void version_2_max(void **state) {
  (void)state;
  put("/proc/self/mountinfo", V2_MOUNT);
  put("/proc/self/cgroup", "0::/\n");
  put("/sys/fs/cgroup/memory.max", "max\n");
  put("/sys/fs/cgroup/cpu.max", "max 100000\n");
  struct cgroup cg = get();
  assert_int_equal(cg.memory_limit_bytes, -1);
  assert_true(cg.cpu_limit_percent < 0);
}

/* The smallest of what can be seen counts, wherever it is set. */
static void version_2_nested(void **state) {
  (void)state;
  put("/proc/self/mountinfo", V2_MOUNT);
  put("/proc/self/cgroup", "0::/pod/box\n");
  put("/sys/fs/cgroup/pod/memory.max", "300000000\n");
  put("/sys/fs/cgroup/pod/cpu.max", "250000 100000\n");
  put("/sys/fs/cgroup/pod/box/memory.max", "max\n");
  put("/sys/fs/cgroup/pod/box/memory.current", "77\n");
  put("/sys/fs/cgroup/pod/box/cpu.max", "400000 100000\n");
  struct cgroup cg = get();
  assert_int_equal(cg.memory_limit_bytes, 300000000);
  assert_int_equal(cg.memory_used_bytes, 77);
  assert_true(cg.cpu_limit_percent > 249.99 && cg.cpu_limit_percent < 250.01);
}

/* A group outside what is mounted (no cgroup namespace, or seen from inside one): what is mounted is ours. */
static void version_2_elsewhere(void **state) {
  (void)state;
  static const char *const groups[] = {"0::/../other\n", "0::/kubepods/pod1/box\n", "0::/kubepods/pod1/box/gone\n"};
  for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
    put("/proc/self/mountinfo", "25 20 0:22 /kubepods/pod1/box /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n");
    put("/proc/self/cgroup", groups[i]);
    put("/sys/fs/cgroup/memory.max", "1234567\n");
    assert_int_equal(get().memory_limit_bytes, 1234567);
  }
}

static void version_1(void **state) {
  (void)state;
  put("/proc/self/mountinfo", V1_MOUNTS);
  put("/proc/self/cgroup", "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n");
  put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  put("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "402653184\n");
  put("/sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes", "5\n");
  put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  put("/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "75000\n");
  put("/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000\n");
  struct cgroup cg = get();
  assert_int_equal(cg.memory_limit_bytes, 402653184);
  assert_int_equal(cg.memory_used_bytes, 5);
  assert_true(cg.cpu_limit_percent > 74.99 && cg.cpu_limit_percent < 75.01);
  assert_int_equal(cg.version, 1);
}

/* As in a container without a cgroup namespace: the path is the host's, the mount shows only our own part. */
static void version_1_container(void **state) {
  (void)state;
  put("/proc/self/mountinfo",
      "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro,relatime master:15 - cgroup cgroup rw,memory\n");
  put("/proc/self/cgroup", "4:memory:/docker/abc\n");
  put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  put("/sys/fs/cgroup/memory/memory.stat", "cache 1\nhierarchical_memory_limit 268435456\ntotal 2\n");
  struct cgroup cg = get();
  assert_int_equal(cg.memory_limit_bytes, 268435456); /* of a group that cannot be seen */
  assert_true(cg.cpu_limit_percent < 0);
}

static void hybrid(void **state) {
  (void)state;
  put("/proc/self/mountinfo", V1_MOUNTS "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  put("/proc/self/cgroup", "4:memory:/box\n2:cpu,cpuacct:/\n0::/\n");
  put("/sys/fs/cgroup/unified/cgroup.procs", "1\n");
  put("/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "1048576\n");
  put("/sys/fs/cgroup/memory/box/memory.usage_in_bytes", "6\n");
  struct cgroup cg = get();
  assert_int_equal(cg.memory_limit_bytes, 1048576);
  assert_int_equal(cg.version, 1);
}

static void odd_tables(void **state) {
  (void)state;
  static const char *const tables[] = {
      "",
      "\n\n",
      "garbage",
      "1 2 3:4 / /x rw - cgroup2",
      "- - - - - -",
      "25 20 0:22 / /sys/fs/c\\040g rw - cgroup2 cgroup2 rw\n",
      "25 20 0:22",
  };
  put("/proc/self/cgroup", "::::\n0\n:\n0::");
  put("/sys/fs/c g/memory.max", "4096");
  for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
    put("/proc/self/mountinfo", tables[i]);
    assert_int_equal(get().memory_limit_bytes, i == 5 ? 4096 : -1);
  }
}

static void odd_numbers(void **state) {
  (void)state;
  static const char *const texts[] = {"", "\n", "-1", "abc", "99999999999999999999", "1e9"};
  put("/proc/self/mountinfo", V2_MOUNT);
  put("/proc/self/cgroup", "0::/\n");
  for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
    put("/sys/fs/cgroup/memory.max", texts[i]);
    put("/sys/fs/cgroup/cpu.max", texts[i]);
    struct cgroup cg = get();
    assert_int_equal(cg.memory_limit_bytes, -1);
    assert_true(cg.cpu_limit_percent < 0);
  }
  put("/sys/fs/cgroup/cpu.max", "100 0\n");
  assert_true(get().cpu_limit_percent < 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_root, drop_root)

int main(void) {
  const struct CMUnitTest tests[] = {
      T(nothing_known), T(version_2),           T(version_2_max), T(version_2_nested), T(version_2_elsewhere),
      T(version_1),     T(version_1_container), T(hybrid),        T(odd_tables),       T(odd_numbers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
