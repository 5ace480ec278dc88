#include "supervisor/validate.h"

#include <stdlib.h>
#include <string.h>

#include "base/cgroup.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "core/plan.h"
#include "supervisor/validate_dir.h"

enum { MB = 1024 * 1024 };

static const char *const names[VALIDATE_CHECKS] = {"environment",     "flow_name",  "configuration", "directories",
                                                   "resource_limits", "disk_space", "flow_file"};

const char *validate_name(enum validate_check check) { return names[check]; }

struct validation {
  const struct validate_input *in;
  struct problems *problems;
  struct validate_result *out;
  struct validate_directory own[3];
};

static struct setting_view view_of(const struct settings *s, enum setting_id id) {
  struct setting_view v = {0};
  settings_at(s, id, &v);
  return v;
}

static void missing(struct validation *v, enum validate_check check, const char *name, const char *allowed,
                    const char *fix) {
  problems_add(v->problems, &(struct problem){.class = PROBLEM_CONFIG,
                                              .check = names[check],
                                              .name = name,
                                              .source = "nowhere",
                                              .allowed = allowed,
                                              .fix = fix});
}

static void check_environment(struct validation *v) {
  if (!settings_str(v->in->settings, SET_ENVIRONMENT))
    missing(v, VALIDATE_ENVIRONMENT, "CONTAINER_ENVIRONMENT", "text that says where this runs, for instance production",
            "set CONTAINER_ENVIRONMENT");
}

static void check_flow_name(struct validation *v) {
  const struct settings *s = v->in->settings;
  struct setting_view name = view_of(s, SET_FLOW_NAME);
  if (!name.text) {
    missing(v, VALIDATE_FLOW_NAME, "CONTAINER_FLOW_NAME", "the name of a flow",
            "set CONTAINER_FLOW_NAME or --flow-name");
    return;
  }
  struct problem p = {.class = PROBLEM_CONFIG,
                      .check = names[VALIDATE_FLOW_NAME],
                      .name = "CONTAINER_FLOW_NAME",
                      .value = name.shown,
                      .source = name.origin};
  if (!plan_flow_name_valid(name.text)) {
    p.allowed = "[a-z0-9][a-z0-9_-]{0,62}: small letters, digits, _ and -, at most 63";
    p.fix = "correct the name";
    problems_add(v->problems, &p);
  }
  const char *option = settings_given_value(s, LAYER_COMMAND_LINE, SET_FLOW_NAME);
  const char *env = settings_given_value(s, LAYER_ENVIRONMENT, SET_FLOW_NAME);
  const char *env_origin = settings_given_origin(s, LAYER_ENVIRONMENT, "CONTAINER_FLOW_NAME");
  if (!env) {
    env = settings_given_value(s, LAYER_FILE, SET_FLOW_NAME);
    env_origin = settings_given_origin(s, LAYER_FILE, "CONTAINER_FLOW_NAME");
  }
  if (option && env && !STR_EQ(option, env)) {
    auto_buf struct buf allowed = {0};
    buf_fmt(&allowed, "\"%s\" as --flow-name says, or nothing", option);
    p.value = env;
    p.source = env_origin;
    p.allowed = buf_cstr(&allowed);
    p.fix = "make the two the same, or give one only";
    problems_add(v->problems, &p);
  }
}

static void check_directories(struct validation *v) {
  static const enum setting_id ids[] = {SET_LOG_DIR, SET_DATA_DIR, SET_OUTPUT_DIR};
  const bool uses[] = {v->in->uses_log_dir, v->in->uses_data_dir, v->in->uses_output_dir};
  bool *const usable[] = {&v->out->log_dir, &v->out->data_dir, &v->out->output_dir};
  struct validate_disks written = {0};
  for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
    struct setting_view set = view_of(v->in->settings, ids[i]);
    v->own[i] = (struct validate_directory){.name = set.def->name,
                                            .path = set.text,
                                            .source = set.origin,
                                            .named = uses[i] || set.layer > LAYER_DEFAULT,
                                            .make = true};
    validate_directory(&v->own[i], v->in->dry, &written, v->problems, &v->out->without);
    *usable[i] = v->own[i].usable;
  }
  for (size_t i = 0; i < v->in->directories_n; i++)
    validate_directory(&v->in->directories[i], v->in->dry, &written, v->problems, &v->out->without);
  if (v->out->without.len) buf_str(&v->out->without, "; done without");
}

static void need_above(struct validation *v, enum setting_id id, int64_t need, const char *limit, const char *fix) {
  struct setting_view set = view_of(v->in->settings, id);
  auto_buf struct buf value = {0};
  auto_buf struct buf allowed = {0};
  buf_fmt(&value, "%lld", (long long)need);
  buf_fmt(&allowed, "at most %s, which this container is limited to", limit);
  problems_add(v->problems, &(struct problem){.class = PROBLEM_RESOURCES,
                                              .check = names[VALIDATE_RESOURCE_LIMITS],
                                              .name = set.def->name,
                                              .value = buf_cstr(&value),
                                              .source = set.number == need ? set.origin : "the flow",
                                              .allowed = buf_cstr(&allowed),
                                              .fix = fix});
}

static void check_resource_limits(struct validation *v) {
  struct cgroup cg;
  int64_t memory = settings_int(v->in->settings, SET_MAX_MEMORY_MB);
  int64_t cpu = settings_int(v->in->settings, SET_MAX_CPU_PERCENT);
  if (memory <= 0 && cpu <= 0) return;
  cgroup_read(v->in->cgroup_root ? v->in->cgroup_root : "", &cg);
  auto_buf struct buf limit = {0};
  auto_buf struct buf fix = {0};
  if (cg.memory_limit_bytes >= 0 && memory > cg.memory_limit_bytes / MB) {
    buf_fmt(&limit, "%lld MB", (long long)(cg.memory_limit_bytes / MB));
    buf_fmt(&fix, "raise the container's memory limit to %lldMi (docker: --memory %lldm), or lower the need",
            (long long)memory, (long long)memory);
    need_above(v, SET_MAX_MEMORY_MB, memory, buf_cstr(&limit), buf_cstr(&fix));
  }
  if (cg.cpu_limit_percent >= 0 && (double)cpu > cg.cpu_limit_percent + 1e-6) {
    buf_clear(&limit);
    buf_clear(&fix);
    buf_fmt(&limit, "%.4g %% of one CPU", cg.cpu_limit_percent);
    buf_fmt(&fix, "raise the container's CPU limit to %lldm (docker: --cpus %.4g), or lower the need",
            (long long)cpu * 10, (double)cpu / 100);
    need_above(v, SET_MAX_CPU_PERCENT, cpu, buf_cstr(&limit), buf_cstr(&fix));
  }
}

static void check_disk_space(struct validation *v) {
  int64_t least = settings_int(v->in->settings, SET_MIN_FREE_DISK_MB);
  int64_t low = settings_int(v->in->settings, SET_LOW_FREE_DISK_MB);
  struct validate_disks seen = {0};
  for (size_t i = 0; i < ARRAY_LEN(v->own) + v->in->directories_n; i++) {
    const struct validate_directory *d =
        i < ARRAY_LEN(v->own) ? &v->own[i] : &v->in->directories[i - ARRAY_LEN(v->own)];
    int64_t free_mb;
    if (!d->path || !d->usable || !validate_disk_free(d->path, &seen, &free_mb)) continue;
    bool fails = free_mb < least;
    if (!fails && free_mb >= low) continue;
    struct setting_view set = view_of(v->in->settings, fails ? SET_MIN_FREE_DISK_MB : SET_LOW_FREE_DISK_MB);
    auto_buf struct buf value = {0};
    auto_buf struct buf allowed = {0};
    buf_fmt(&value, "%lld MB free", (long long)free_mb);
    buf_fmt(&allowed, "at least %lld MB free (%s, %s)", (long long)set.number, set.def->name, set.origin);
    problems_add(v->problems,
                 &(struct problem){.class = PROBLEM_DISK,
                                   .warning = !fails,
                                   .check = names[VALIDATE_DISK_SPACE],
                                   .name = d->path,
                                   .value = buf_cstr(&value),
                                   .source = "its file system",
                                   .allowed = buf_cstr(&allowed),
                                   .fix = "free some space or enlarge the volume, or lower the threshold"});
  }
}

size_t validate_run(const struct validate_input *in, struct problems *problems, struct validate_result *out) {
  static void (*const checks[VALIDATE_CHECKS])(struct validation *) = {
      [VALIDATE_ENVIRONMENT] = check_environment, [VALIDATE_FLOW_NAME] = check_flow_name,
      [VALIDATE_DIRECTORIES] = check_directories, [VALIDATE_RESOURCE_LIMITS] = check_resource_limits,
      [VALIDATE_DISK_SPACE] = check_disk_space,
  };
  struct validation v = {.in = in, .problems = problems, .out = out};
  *out = (struct validate_result){0};
  for (int i = 0; i < VALIDATE_CHECKS; i++) {
    int64_t begin = clock_mono_ns();
    if (!checks[i]) continue;
    checks[i](&v);
    out->checks[i].duration_ns = clock_mono_ns() - begin;
  }
  for (int i = 0; i < VALIDATE_CHECKS; i++) {
    out->checks[i].ok = true;
    for (size_t k = 0; k < problems->n; k++)
      if (!problems->items[k].warning && STR_EQ(problems->items[k].check, names[i])) out->checks[i].ok = false;
  }
  return problems_errors(problems);
}

void validate_result_free(struct validate_result *r) { buf_free(&r->without); }

void validate_json(const struct validate_result *r, const struct problems *problems, struct json *j) {
  json_object(j, "checks");
  for (int i = 0; i < VALIDATE_CHECKS; i++) json_bool(j, names[i], r->checks[i].ok);
  json_object_end(j);
  problems_json(problems, false, j, "failures");
  problems_json(problems, true, j, "warnings");
}
