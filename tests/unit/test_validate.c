#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "supervisor/validate.h"

static char dir[64];

struct fixture {
  struct settings *s;
  struct problems ps;
  struct validate_input in;
  struct validate_result out;
  char logs[128], data[128], output[128], cgroup[128];
};

static void give(struct fixture *f, const char *name, const char *value) {
  settings_give(f->s, LAYER_ENVIRONMENT, name, value, "environment");
}

/* The tests leave nothing in the default directories of this machine. */
static void give_defaults(struct fixture *f) {
  settings_give(f->s, LAYER_DEFAULT, "CONTAINER_LOG_DIR", f->logs, "default");
  settings_give(f->s, LAYER_DEFAULT, "CONTAINER_DATA_DIR", f->data, "default");
  settings_give(f->s, LAYER_DEFAULT, "CONTAINER_OUTPUT_DIR", f->output, "default");
}

static int setup(void **state) {
  str_copy(dir, sizeof dir, "/tmp/tend-validate-XXXXXX");
  if (!mkdtemp(dir)) return -1;
  chmod(dir, 0755);
  struct fixture *f = calloc(1, sizeof *f);
  if (!f) return -1;
  f->s = settings_new();
  snprintf(f->logs, sizeof f->logs, "%s/logs/deep", dir);
  snprintf(f->data, sizeof f->data, "%s/data", dir);
  snprintf(f->output, sizeof f->output, "%s/output/", dir);
  snprintf(f->cgroup, sizeof f->cgroup, "%s/no-cgroup", dir);
  give(f, "CONTAINER_FLOW_NAME", "rpa1");
  give(f, "CONTAINER_ENVIRONMENT", "test");
  give(f, "CONTAINER_LOG_DIR", f->logs);
  give(f, "CONTAINER_DATA_DIR", f->data);
  give(f, "CONTAINER_OUTPUT_DIR", f->output);
  give(f, "CONTAINER_MIN_FREE_DISK_MB", "0");
  give(f, "CONTAINER_LOW_FREE_DISK_MB", "0");
  f->in = (struct validate_input){.settings = f->s, .cgroup_root = f->cgroup};
  *state = f;
  return 0;
}

static int teardown(void **state) {
  struct fixture *f = *state;
  validate_result_free(&f->out);
  problems_free(&f->ps);
  settings_free(f->s);
  free(f);
  char cmd[256];
  snprintf(cmd, sizeof cmd, "chmod -R u+rwx %s; rm -rf %s", dir, dir);
  return system(cmd);
}

static size_t run(struct fixture *f) {
  problems_free(&f->ps);
  validate_result_free(&f->out);
  settings_resolve(f->s, &f->ps);
  return validate_run(&f->in, &f->ps, &f->out);
}

static const struct problem *about(const struct fixture *f, const char *name) {
  for (size_t i = 0; i < f->ps.n; i++)
    if (STR_EQ(f->ps.items[i].name, name)) return &f->ps.items[i];
  return NULL;
}

/* Errors are of that check alone. */
static void only(const struct fixture *f, enum validate_check check) {
  for (int i = 0; i < VALIDATE_CHECKS; i++)
    if (f->out.checks[i].ok != (i != (int)check)) fail_msg("%s", validate_name((enum validate_check)i));
}

static void good(void **state) {
  struct fixture *f = *state;
  assert_int_equal(run(f), 0);
  assert_int_equal(f->ps.n, 0);
  for (int i = 0; i < VALIDATE_CHECKS; i++) assert_true(f->out.checks[i].ok);
  assert_true(f->out.log_dir && f->out.data_dir && f->out.output_dir);
  assert_int_equal(f->out.without.len, 0);
  assert_int_equal(access(f->logs, W_OK), 0);
  assert_int_equal(access(f->output, W_OK), 0);
  assert_int_equal(run(f), 0); /* again, with everything there */
  auto_buf struct buf b = {0};
  struct json j = JSON_INIT(&b);
  json_object(&j, NULL);
  validate_json(&f->out, &f->ps, &j);
  json_object_end(&j);
  assert_non_null(strstr(buf_cstr(&b), "{\"checks\": {\"environment\": true, \"flow_name\": true"));
  assert_non_null(strstr(buf_cstr(&b), "\"failures\": [], \"warnings\": []"));
}

static void leaves_nothing_behind(void **state) {
  struct fixture *f = *state;
  assert_int_equal(run(f), 0);
  char cmd[256];
  snprintf(cmd, sizeof cmd, "test -z \"$(find %s -type f)\"", dir);
  assert_int_equal(system(cmd), 0);
}

static void environment(void **state) {
  struct fixture *f = *state;
  settings_free(f->s);
  f->s = settings_new();
  f->in.settings = f->s;
  give_defaults(f);
  give(f, "CONTAINER_FLOW_NAME", "rpa1");
  give(f, "CONTAINER_MIN_FREE_DISK_MB", "0");
  settings_require(f->s, "CONTAINER_RPA_DB_CONNECTION_STRING", "flow rpa1");
  assert_int_equal(run(f), 2);
  only(f, VALIDATE_ENVIRONMENT);
  assert_non_null(about(f, "CONTAINER_ENVIRONMENT"));
  assert_non_null(about(f, "CONTAINER_RPA_DB_CONNECTION_STRING"));
  assert_int_equal(problems_exit_code(&f->ps), 78);
  assert_false(problems_can_pass(&f->ps));
}

static void flow_names(void **state) {
  struct fixture *f = *state;
  static const struct {
    const char *name;
    bool good;
  } rows[] = {
      {"a", true},
      {"0", true},
      {"rpa-1_x", true},
      {"Rpa1", false},
      {"-a", false},
      {"_a", false},
      {"a b", false},
      {"a/b", false},
      {"../a", false},
      {"é", false},
      {"a23456789012345678901234567890123456789012345678901234567890123", true},
      {"a234567890123456789012345678901234567890123456789012345678901234", false},
  };
  for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
    give(f, "CONTAINER_FLOW_NAME", rows[i].name);
    size_t errors = run(f);
    if ((errors == 0) != rows[i].good) fail_msg("%s: %zu errors", rows[i].name, errors);
    if (!rows[i].good) only(f, VALIDATE_FLOW_NAME);
  }
}

static void two_flow_names(void **state) {
  struct fixture *f = *state;
  settings_give(f->s, LAYER_COMMAND_LINE, "CONTAINER_FLOW_NAME", "rpa2", "--flow-name");
  assert_int_equal(run(f), 1);
  only(f, VALIDATE_FLOW_NAME);
  const struct problem *p = about(f, "CONTAINER_FLOW_NAME");
  assert_string_equal(p->value, "rpa1");
  assert_string_equal(p->source, "environment");
  assert_non_null(strstr(p->allowed, "rpa2"));
  settings_give(f->s, LAYER_COMMAND_LINE, "CONTAINER_FLOW_NAME", "rpa1", "--flow-name");
  assert_int_equal(run(f), 0);
}

static void no_flow_name(void **state) {
  struct fixture *f = *state;
  settings_free(f->s);
  f->s = settings_new();
  f->in.settings = f->s;
  give_defaults(f);
  give(f, "CONTAINER_MIN_FREE_DISK_MB", "0");
  give(f, "CONTAINER_ENVIRONMENT", "test");
  assert_int_equal(run(f), 1);
  only(f, VALIDATE_FLOW_NAME);
}

static void configuration(void **state) {
  struct fixture *f = *state;
  give(f, "CONTAINER_RESTART_POLICY", "sometimes");
  give(f, "CONTAINER_LOG_LEVEL", "loud");
  assert_int_equal(run(f), 2);
  only(f, VALIDATE_CONFIGURATION);
}

static void directory_in_the_way(void **state) {
  struct fixture *f = *state;
  int fd = open(f->data, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
  assert_true(fd >= 0);
  close(fd);
  char below[160];
  snprintf(below, sizeof below, "%s/below", f->data);
  give(f, "CONTAINER_OUTPUT_DIR", below);
  assert_int_equal(run(f), 2);
  only(f, VALIDATE_DIRECTORIES);
  const struct problem *p = about(f, "CONTAINER_DATA_DIR");
  assert_string_equal(p->value, f->data);
  assert_non_null(strstr(p->allowed, "in its place"));
  assert_non_null(about(f, "CONTAINER_OUTPUT_DIR"));
  assert_int_equal(problems_exit_code(&f->ps), 73);
  assert_false(problems_can_pass(&f->ps));
}

/* /proc makes no directories for anybody, root included. */
static void directory_that_cannot_be_made(void **state) {
  struct fixture *f = *state;
  give(f, "CONTAINER_LOG_DIR", "/proc/tend/logs");
  assert_int_equal(run(f), 1);
  only(f, VALIDATE_DIRECTORIES);
  assert_int_equal(problems_exit_code(&f->ps), 73);
  assert_false(problems_can_pass(&f->ps));
  assert_false(f->out.log_dir);
}

static void default_directories_are_done_without(void **state) {
  struct fixture *f = *state;
  settings_free(f->s);
  f->s = settings_new();
  f->in.settings = f->s;
  give(f, "CONTAINER_FLOW_NAME", "rpa1");
  give(f, "CONTAINER_ENVIRONMENT", "test");
  give(f, "CONTAINER_MIN_FREE_DISK_MB", "0");
  settings_give(f->s, LAYER_DEFAULT, "CONTAINER_LOG_DIR", "/proc/none/logs", "default");
  settings_give(f->s, LAYER_DEFAULT, "CONTAINER_DATA_DIR", "/proc/none/data", "default");
  settings_give(f->s, LAYER_DEFAULT, "CONTAINER_OUTPUT_DIR", f->output, "default");
  assert_int_equal(run(f), 0);
  assert_false(f->out.log_dir);
  assert_true(f->out.output_dir);
  assert_non_null(strstr(buf_cstr(&f->out.without), "/proc/none/logs (CONTAINER_LOG_DIR)"));
  assert_non_null(strstr(buf_cstr(&f->out.without), "/proc/none/data"));
  assert_null(strstr(buf_cstr(&f->out.without), f->output));
  f->in.uses_data_dir = true; /* the flow names it */
  assert_int_equal(run(f), 1);
  assert_non_null(about(f, "CONTAINER_DATA_DIR"));
}

static void more_directories(void **state) {
  struct fixture *f = *state;
  char made[128];
  char missing[128];
  snprintf(made, sizeof made, "%s/made", dir);
  snprintf(missing, sizeof missing, "%s/missing", dir);
  struct validate_directory more[] = {
      {.name = "directories[1]", .path = made, .source = "flows/x.lua:3", .named = true, .make = true},
      {.name = "directories[2]", .path = missing, .source = "flows/x.lua:4", .named = true},
      {.name = "directories[3]"},
  };
  f->in.directories = more;
  f->in.directories_n = ARRAY_LEN(more);
  assert_int_equal(run(f), 1);
  assert_true(more[0].usable);
  assert_false(more[1].usable);
  const struct problem *p = about(f, "directories[2]");
  assert_string_equal(p->source, "flows/x.lua:4");
  assert_true(problems_can_pass(&f->ps)); /* it may be mounted later */
  assert_int_equal(problems_exit_code(&f->ps), 73);
}

static void dry_makes_nothing(void **state) {
  struct fixture *f = *state;
  f->in.dry = true;
  assert_int_equal(run(f), 0);
  assert_int_equal(access(f->data, F_OK), -1);
  give(f, "CONTAINER_LOG_DIR", "/proc/tend/logs");
  run(f); /* root may write to /proc as far as its bits tell; no more is known without trying */
}

static void put(const char *path, const char *text) {
  char cmd[512];
  snprintf(cmd, sizeof cmd, "mkdir -p \"$(dirname %s/cg%s)\" && printf '%s' > %s/cg%s", dir, path, text, dir, path);
  assert_int_equal(system(cmd), 0);
}

static void resource_limits(void **state) {
  struct fixture *f = *state;
  static const struct {
    const char *memory, *cpu;
    size_t errors;
  } rows[] = {{"536870912", "50000 100000", 0},
              {"536870911", "50000 100000", 1},
              {"536870912", "49999 100000", 1},
              {"1", "1000 100000", 2},
              {"max", "max 100000", 0}};
  put("/proc/self/mountinfo", "25 20 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\\n");
  put("/proc/self/cgroup", "0::/\\n");
  snprintf(f->cgroup, sizeof f->cgroup, "%s/cg", dir);
  settings_give(f->s, LAYER_FLOW, "CONTAINER_MAX_MEMORY_MB", "512", "flows/rpa1.lua");
  settings_give(f->s, LAYER_FLOW, "CONTAINER_MAX_CPU_PERCENT", "50", "flows/rpa1.lua");
  for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
    put("/sys/fs/cgroup/memory.max", rows[i].memory);
    put("/sys/fs/cgroup/cpu.max", rows[i].cpu);
    size_t errors = run(f);
    if (errors != rows[i].errors) fail_msg("row %zu: %zu errors", i, errors);
    if (!errors) continue;
    only(f, VALIDATE_RESOURCE_LIMITS);
    assert_int_equal(problems_exit_code(&f->ps), 75);
    assert_false(problems_can_pass(&f->ps));
  }
  put("/sys/fs/cgroup/memory.max", "268435456");
  run(f);
  const struct problem *p = about(f, "CONTAINER_MAX_MEMORY_MB");
  assert_string_equal(p->value, "512");
  assert_string_equal(p->source, "flows/rpa1.lua");
  assert_non_null(strstr(p->allowed, "at most 256 MB"));
  assert_non_null(strstr(p->fix, "512"));
}

static void disk_space(void **state) {
  struct fixture *f = *state;
  give(f, "CONTAINER_LOW_FREE_DISK_MB", "1099511627776");
  assert_int_equal(run(f), 0);
  assert_int_equal(f->ps.n, 1); /* one file system, one warning */
  assert_true(f->ps.items[0].warning);
  assert_true(f->out.checks[VALIDATE_DISK_SPACE].ok);
  give(f, "CONTAINER_MIN_FREE_DISK_MB", "1099511627776");
  assert_int_equal(run(f), 1);
  only(f, VALIDATE_DISK_SPACE);
  assert_int_equal(problems_exit_code(&f->ps), 75);
  assert_true(problems_can_pass(&f->ps));
  assert_non_null(strstr(f->ps.items[0].allowed, "CONTAINER_MIN_FREE_DISK_MB, environment"));
}

static void everything_at_once(void **state) {
  struct fixture *f = *state;
  give(f, "CONTAINER_FLOW_NAME", "No!");
  give(f, "CONTAINER_RESTART_POLICY", "sometimes");
  give(f, "CONTAINER_LOG_DIR", "/proc/tend/logs");
  give(f, "CONTAINER_MIN_FREE_DISK_MB", "1099511627776");
  settings_require(f->s, "CONTAINER_HTTP_TOKEN", "flow rpa1");
  assert_int_equal(run(f), 5);
  assert_int_equal(problems_exit_code(&f->ps), 78);
  assert_false(problems_can_pass(&f->ps));
}

static void takes_no_time(void **state) {
  struct fixture *f = *state;
  int64_t best = TIME_NEVER;
  for (int i = 0; i < 20; i++) {
    int64_t begin = clock_mono_ns();
    run(f);
    int64_t took = clock_mono_ns() - begin;
    if (took < best) best = took;
  }
  assert_true(best < 20 * NS_PER_MS); /* some 0.5 ms; ext4 is slower where many files were just deleted */
}

/* What only shows without root's rights, or in a mount namespace of its own, runs in a child: 0 good, 77 cannot here.
 */
static void in_child(int (*fn)(struct fixture *), struct fixture *f) {
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) _exit(fn(f));
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) {
    print_message("# needs root, and mounts of its own\n");
    skip();
  }
  assert_int_equal(WEXITSTATUS(status), 0);
}

static int as_nobody(struct fixture *f) {
  if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) return 77;
  if (run(f) != 3) return 1;
  if (problems_exit_code(&f->ps) != 73 || problems_can_pass(&f->ps)) return 2;
  const struct problem *p = about(f, "CONTAINER_DATA_DIR");
  return p && strstr(p->allowed, "Permission denied") && p->class == PROBLEM_PERMISSION ? 0 : 3;
}

static void no_permission(void **state) {
  struct fixture *f = *state;
  assert_int_equal(mkdir(f->data, 0755), 0);
  assert_int_equal(chmod(f->data, 0555), 0);
  assert_int_equal(chmod(dir, 0555), 0);
  in_child(as_nobody, f);
}

static int with_mounts(struct fixture *f) {
  if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return 77;
  if (mount("tmpfs", f->data, "tmpfs", 0, "size=16k") != 0) return 77;
  char fill[160];
  char zeros[4096] = {0};
  snprintf(fill, sizeof fill, "%s/fill", f->data);
  int fd = open(fill, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  while (write(fd, zeros, sizeof zeros) > 0) continue;
  if (run(f) != 1) return 1;
  const struct problem *p = about(f, "CONTAINER_DATA_DIR");
  if (!p || p->class != PROBLEM_DISK || problems_exit_code(&f->ps) != 75 || !problems_can_pass(&f->ps)) return 2;
  unlink(fill);
  close(fd);
  if (run(f) != 0) return 3;
  if (mount(NULL, f->data, NULL, MS_REMOUNT | MS_RDONLY, NULL) != 0) return 4;
  if (run(f) != 1) return 5;
  p = about(f, "CONTAINER_DATA_DIR");
  return p && p->class == PROBLEM_PERMISSION && strstr(p->allowed, "Read-only") ? 0 : 6;
}

static void full_and_read_only(void **state) {
  struct fixture *f = *state;
  assert_int_equal(mkdir(f->data, 0755), 0);
  in_child(with_mounts, f);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      T(good),
      T(leaves_nothing_behind),
      T(environment),
      T(flow_names),
      T(two_flow_names),
      T(no_flow_name),
      T(configuration),
      T(directory_in_the_way),
      T(directory_that_cannot_be_made),
      T(default_directories_are_done_without),
      T(more_directories),
      T(dry_makes_nothing),
      T(resource_limits),
      T(disk_space),
      T(everything_at_once),
      T(takes_no_time),
      T(no_permission),
      T(full_and_read_only),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
