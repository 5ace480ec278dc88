/* tend simulate: a flow file against a scenario, on a virtual clock. Exit: 0; 1 where --check finds a difference; 78
 * where flow, scenario or another file cannot be used. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/load.h"
#include "core/configure.h"
#include "core/simulate.h"
#include "supervisor/from_plan.h"
#include "loop/loop.h"

#define INTERVAL_MAX_NS (30 * NS_PER_S)
#define INTERVAL_MIN_NS (10 * NS_PER_MS)

enum { PLOT_WIDTH = 72, FILE_MAX = 256 * 1024 * 1024 };

struct simulating {
  const struct options *options;
  struct loop *loop;
  struct load load;
  struct vm *vm; /* of the scenario file */
  struct scenario *scenario;
  struct lifecycle *lifecycle;
  struct simulate_dependency *dependencies;
  struct check_spec *checks, *startups;
  struct timeline timeline;
  struct simulate_end end;
};

static int refuse(const char *text) {
  fprintf(stderr, "tend simulate: %s\n", text);
  return EXIT_CONFIG;
}

static int refuse_problems(const struct problems *all) {
  auto_buf struct buf out = {0};
  for (size_t i = 0; i < all->n; i++) {
    if (all->items[i].warning) continue;
    buf_str(&out, "tend simulate: ");
    problem_text(&all->items[i], &out);
    buf_char(&out, '\n');
  }
  fputs(buf_cstr(&out), stderr);
  return EXIT_CONFIG;
}

static int read_file(const char *path, struct buf *out) {
  FILE *f = fopen(path, "re");
  out->max = FILE_MAX;
  char *to;
  size_t n = 0;
  while (f && (to = buf_room(out, 64 * 1024)) && (n = fread(to, 1, 64 * 1024, f)) > 0) {
    out->len += n;
    out->data[out->len] = 0;
  }
  int rc = !f || ferror(f) ? -errno : out->failed ? -EFBIG : 0;
  if (f) fclose(f);
  if (rc) fprintf(stderr, "tend simulate: %s: %s\n", path, strerror(-rc));
  return rc;
}

/* --- the flow as numbers ----------------------------------------------------------------------------------------- */

static int64_t or_default(int64_t value, int64_t fallback) { return value > 0 ? value : fallback; }

/* as dependencies_new reads a spec */
static struct simulate_dependency dependency_of(const struct plan *plan, size_t i, const struct dependency_spec *d,
                                                const struct settings *settings) {
  struct simulate_dependency out = {.timeout_ns = or_default(d->timeout_ns, 120 * NS_PER_S),
                                    .interval_ns = or_default(d->interval_ns, 2 * NS_PER_S),
                                    .max_interval_ns = or_default(d->max_interval_ns, INTERVAL_MAX_NS),
                                    .backoff = d->backoff > 1 ? d->backoff : 1,
                                    .late = from_plan_late(&plan->dependencies[i], settings).check,
                                    .check = -1};
  if (out.interval_ns < INTERVAL_MIN_NS) out.interval_ns = INTERVAL_MIN_NS;
  if (out.max_interval_ns < out.interval_ns) out.max_interval_ns = out.interval_ns;
  for (size_t k = 0; k < plan->checks_n && out.check < 0; k++)
    if (plan->checks[k].process == PLAN_UNSET && from_plan_same(&plan->checks[k], &plan->dependencies[i]))
      out.check = (int)k;
  return out;
}

static int make_numbers(struct simulating *x) {
  const struct plan *plan = x->load.plan;
  const struct settings *settings = x->load.settings;
  auto_free struct dependency_spec *specs = from_plan_dependencies(plan, settings);
  x->dependencies = calloc(plan->dependencies_n + 1, sizeof *x->dependencies);
  x->checks = calloc(plan->checks_n + 1, sizeof *x->checks);
  x->startups = calloc(plan->processes_n + 1, sizeof *x->startups);
  x->lifecycle = lifecycle_new(plan, settings, false, false);
  if (!specs || !x->dependencies || !x->checks || !x->startups || !x->lifecycle) return -ENOMEM;
  for (size_t i = 0; i < plan->dependencies_n; i++) x->dependencies[i] = dependency_of(plan, i, &specs[i], settings);
  for (size_t i = 0; i < plan->checks_n; i++) x->checks[i] = from_plan_check(plan, &plan->checks[i], settings).check;
  for (size_t i = 0; i < plan->processes_n; i++)
    if (plan->processes[i].startup) x->startups[i] = from_plan_startup(&plan->processes[i], 0, settings).check;
  return 0;
}

/* --- the scenario ------------------------------------------------------------------------------------------------ */

static int run_file(struct simulating *x, cJSON **out, struct err *err) {
  const struct load *l = &x->load;
  const struct vm_host host = {.sched = l->sched,
                               .loop = x->loop,
                               .settings = l->settings,
                               .scripts = buf_cstr(&l->scripts),
                               .flows = buf_cstr(&l->flows),
                               .flow = l->flow};
  x->vm = vm_new(&host, err);
  return x->vm ? vm_load_table(x->vm, x->options->scenario, "scenario", out, err) : err->code;
}

static int load_scenario(struct simulating *x) {
  auto_json cJSON *json = NULL;
  auto_buf struct buf text = {0};
  struct err err = ERR_INIT;
  const char *file = x->options->scenario ? x->options->scenario : x->options->events;
  if (file && read_file(file, &text)) return EXIT_CONFIG;
  if (x->options->events)
    scenario_from_events(buf_cstr(&text), text.len, file, x->load.plan, &json, &err);
  else if (file)
    run_file(x, &json, &err);
  if (err.code) return refuse(err.msg);
  struct plan_text lines = {buf_cstr(&text), text.len};
  const struct plan_options options = {
      .file = file, .locate = x->options->scenario ? plan_locate : NULL, .locate_arg = &lines};
  struct problems problems = {0};
  int rc = scenario_read(json, x->load.plan, &options, &x->scenario, &problems);
  int code = rc == 0 ? 0 : rc == -ENOMEM ? refuse("out of memory") : refuse_problems(&problems);
  problems_free(&problems);
  return code;
}

/* --- what is printed --------------------------------------------------------------------------------------------- */

static void print_end(const struct simulating *x, struct buf *out) {
  char time[TIMELINE_TIME_MAX];
  const struct simulate_end *e = &x->end;
  buf_fmt(out, "%s  end: ", timeline_time(e->at_ns, time));
  if (e->exited)
    buf_fmt(out, "exit code %d", e->exit_code);
  else
    buf_fmt(out, "%s, %s", machine_state_name(e->state), e->health);
  buf_fmt(out, "; restarts: %llu; remedies: %u\n", (unsigned long long)e->restarts, e->remedies);
  if (e->too_much) buf_str(out, "given up: too much happens in too little time\n");
}

static void print_json(const struct simulating *x, struct buf *out) {
  const struct simulate_end *e = &x->end;
  struct json j = JSON_INIT(out);
  json_object(&j, NULL);
  json_str(&j, "flow", x->load.flow);
  json_int(&j, "seed", (int64_t)x->scenario->seed);
  json_num(&j, "lasts_seconds", (double)(x->scenario->lasts_ns / NS_PER_MS) / 1000);
  json_object(&j, "end");
  json_num(&j, "at_seconds", (double)(e->at_ns / NS_PER_MS) / 1000);
  json_str(&j, "state", machine_state_name(e->state));
  json_str(&j, "health_status", e->health);
  if (e->exited)
    json_int(&j, "exit_code", e->exit_code);
  else
    json_null(&j, "exit_code");
  json_int(&j, "restarts", (int64_t)e->restarts);
  json_int(&j, "remedies", e->remedies);
  json_bool(&j, "given_up", e->too_much);
  json_object_end(&j);
  timeline_json(&x->timeline, &j, "timeline");
  timeline_json_rows(&x->timeline, &j, "rows");
  json_object_end(&j);
  buf_char(out, '\n');
}

static int compare(const struct simulating *x, const struct buf *got) {
  auto_buf struct buf expected = {0}, out = {0};
  if (read_file(x->options->expected, &expected)) return EXIT_CONFIG;
  size_t n = timeline_differences(buf_cstr(&expected), buf_cstr(got), &out);
  if (!n) return 0;
  printf("- %s\n+ simulated\n%s", x->options->expected, buf_cstr(&out));
  return EXIT_FAILED;
}

static int print(struct simulating *x) {
  auto_buf struct buf out = {0};
  if (x->options->json) {
    print_json(x, &out);
  } else {
    if (x->options->plot)
      timeline_plot(&x->timeline, PLOT_WIDTH, &out);
    else
      timeline_text(&x->timeline, &out);
    print_end(x, &out);
  }
  settings_redact(x->load.settings, &out);
  if (out.failed) return refuse("out of memory");
  if (x->options->expected) return compare(x, &out);
  fwrite(buf_cstr(&out), 1, out.len, stdout);
  return 0;
}

/* --- the command ------------------------------------------------------------------------------------------------- */

/* What has no plan cannot be simulated. What is wrong with settings here may be right where the flow runs. */
static int load_all(struct simulating *x) {
  struct err err = ERR_INIT;
  x->loop = loop_new();
  if (!x->loop) return refuse("no event loop: epoll or memory is missing");
  if (load_settings(&x->load, x->options, &err) || load_flow(&x->load, &(struct vm_host){.loop = x->loop}, &err))
    return refuse(err.msg);
  const struct load *l = &x->load;
  if (!l->file[0] && !problems_errors(&l->problems)) return refuse("no flow is named: give --flow-name F");
  if (!l->file[0] || !l->plan->file[0]) return refuse_problems(&l->problems);
  size_t wrong = problems_errors(&l->problems);
  if (wrong)
    fprintf(stderr, "tend simulate: note: %zu problem%s of the configuration here %s taken as good; tend check tells\n",
            wrong, wrong == 1 ? "" : "s", wrong == 1 ? "is" : "are");
  return 0;
}

static int run(struct simulating *x) {
  int code = load_all(x);
  if (!code) code = load_scenario(x);
  if (code) return code;
  int rc = make_numbers(x);
  const struct simulation what = {.plan = x->load.plan,
                                  .machine = rc ? NULL : &x->lifecycle->config,
                                  .dependencies = x->dependencies,
                                  .checks = x->checks,
                                  .startups = x->startups,
                                  .scenario = x->scenario};
  if (!rc) rc = simulate(&what, &x->timeline, &x->end);
  if (rc) return refuse(rc == -ENOMEM ? "out of memory" : "this flow cannot be run");
  return print(x);
}

int cmd_simulate(int argc, char **argv) {
  struct options options;
  int rc = options_parse(&options, argc, argv, OPTIONS_FLOW | OPTIONS_JSON | OPTIONS_SIMULATE);
  if (rc) return rc;
  if (options.help) return cmd_help(2, (char *[]){(char *)"help", (char *)"simulate", NULL});
  if (options.scenario && options.events) {
    fputs("tend simulate: either --scenario or --events\n", stderr);
    return EXIT_USAGE;
  }
  struct simulating x = {.options = &options};
  rc = run(&x);
  timeline_free(&x.timeline);
  free(x.dependencies);
  free(x.checks);
  free(x.startups);
  lifecycle_free(x.lifecycle);
  scenario_free(x.scenario);
  vm_free(x.vm);
  load_free(&x.load);
  loop_free(x.loop);
  return rc;
}
