/* tend check: what would run, and everything that is wrong with it, without starting anything. With --dependencies one
 * attempt of each is made, below the init part as in a real run. Exit: 0, or the code with which run would end. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/load.h"
#include "init/init.h"
#include "supervisor/from_plan.h"
#include "supervisor/validate.h"

#define LOOK_EVERY_NS (10 * NS_PER_MS)

struct checking {
  const struct options *options;
  struct loop *loop;
  struct children *children;
  struct probe_env probes;
  struct load load;
  struct dependencies *dependencies; /* NULL: not asked */
  struct validate_result validation;
  struct timer *timer;
  int code;
};

/* A plan that stands for nothing (the flow file could not be read) is not shown. */
static bool plan_usable(const struct load *l) { return l->file[0] ? l->plan->file[0] != 0 : l->command_only; }

static void validate(struct checking *c) {
  from_plan_validate(c->load.plan, c->load.settings, true, &c->load.problems, &c->validation);
  c->code = problems_exit_code(&c->load.problems);
}

/* --- one attempt of each dependency ------------------------------------------------------------------------------ */

static bool asked_all(const struct checking *c) {
  struct dependency_view d;
  for (size_t i = 0; dependencies_at(c->dependencies, i, &d); i++)
    if (d.state == DEPENDENCY_WAITING && !d.checked_ns) return false;
  return true;
}

/* One result of each is enough. */
static void on_look(void *arg) {
  struct checking *c = arg;
  if (asked_all(c))
    loop_stop(c->loop);
  else
    timer_after(c->timer, LOOK_EVERY_NS);
}

static void on_settled(void *arg, const struct dependency_outcome *outcome) {
  (void)outcome;
  on_look(arg);
}

static void on_signal(void *arg, int sig, int level, bool begun) {
  (void)begun;
  struct checking *c = arg;
  if (!level) return;
  c->code = EXIT_SIGNALED + sig;
  loop_stop(c->loop);
}

static bool is_good(const struct dependency_view *d) { return d->status == PROBE_OK || d->status == PROBE_WARN; }

static int ask_dependencies(struct checking *c, struct err *err) {
  const struct plan *plan = c->load.plan;
  auto_free struct dependency_spec *specs = from_plan_dependencies(plan, c->load.settings);
  if (!specs) return err_set(err, -ENOMEM, "out of memory");
  for (size_t i = 0; i < plan->dependencies_n; i++) { /* once; none is required, so that none ends the others */
    struct dependency_spec *d = &specs[i];
    if (!d->attempt_timeout_ns) d->attempt_timeout_ns = 10 * NS_PER_S;
    if (d->timeout_ns < d->attempt_timeout_ns) d->attempt_timeout_ns = d->timeout_ns;
    d->timeout_ns = d->attempt_timeout_ns;
    d->interval_ns = 3600 * NS_PER_S;
    d->required = false;
  }
  c->dependencies =
      dependencies_new(&c->probes, c->load.vm ? &c->load.policy : NULL, NULL, specs, plan->dependencies_n, err);
  c->timer = timer_new(c->loop, on_look, c);
  if (!c->dependencies || !c->timer) return err->code ? err->code : err_set(err, -ENOMEM, "out of memory");
  children_on_signal(c->children, on_signal, c);
  dependencies_run(c->dependencies, false, on_settled, c);
  timer_after(c->timer, 0);
  loop_run(c->loop);
  dependencies_stop(c->dependencies);
  struct dependency_view d;
  for (size_t i = 0; !c->code && dependencies_at(c->dependencies, i, &d); i++)
    if (plan->dependencies[i].required && !is_good(&d)) c->code = EXIT_DEPENDENCY;
  return 0;
}

/* --- print ------------------------------------------------------------------------------------------------------- */

static void print_problems(const struct problems *all, bool warnings, struct buf *out) {
  const char *title = warnings ? "warnings:\n" : "problems:\n";
  for (size_t i = 0; i < all->n; i++) {
    if (all->items[i].warning != warnings) continue;
    buf_str(out, title);
    buf_fmt(out, "  %s: ", all->items[i].check);
    problem_text(&all->items[i], out);
    buf_char(out, '\n');
    title = "";
  }
}

static void print_asked(const struct checking *c, struct buf *out) {
  struct dependency_view d;
  buf_str(out, "asked once:\n");
  for (size_t i = 0; dependencies_at(c->dependencies, i, &d); i++) {
    buf_fmt(out, "  %s: ", d.name);
    if (is_good(&d))
      buf_str(out, "ready\n");
    else
      buf_fmt(out, "not ready (%s): %s: %s\n", c->load.plan->dependencies[i].required ? "required" : "optional",
              d.reason, d.detail);
  }
}

static void json_asked(const struct checking *c, struct json *j) {
  struct dependency_view d;
  json_array(j, "asked");
  for (size_t i = 0; dependencies_at(c->dependencies, i, &d); i++) {
    json_object(j, NULL);
    json_str(j, "name", d.name);
    json_bool(j, "required", c->load.plan->dependencies[i].required);
    json_bool(j, "ready", is_good(&d));
    json_str(j, "reason", d.reason);
    json_str(j, "detail", d.detail);
    json_object_end(j);
  }
  json_array_end(j);
}

static void print_text(const struct checking *c, struct buf *out) {
  const struct load *l = &c->load;
  if (plan_usable(l)) plan_print(l->plan, out);
  if (c->validation.without.len) buf_fmt(out, "note: %s\n", buf_cstr(&c->validation.without));
  print_problems(&l->problems, true, out);
  print_problems(&l->problems, false, out);
  if (c->dependencies) print_asked(c, out);
  if (c->code)
    buf_fmt(out, "not good: tend run would end with %d\n", c->code);
  else
    buf_str(out, "good\n");
}

static void print_json(const struct checking *c, struct buf *out) {
  const struct load *l = &c->load;
  struct json j = JSON_INIT(out);
  json_object(&j, NULL);
  json_str(&j, "flow", l->flow[0] ? l->flow : NULL);
  json_str(&j, "file", l->file[0] ? l->file : NULL);
  json_bool(&j, "ok", c->code == 0);
  json_int(&j, "exit_code", c->code);
  problems_json(&l->problems, false, &j, "problems");
  problems_json(&l->problems, true, &j, "warnings");
  if (plan_usable(l)) plan_json(l->plan, &j, "plan");
  if (c->dependencies) json_asked(c, &j);
  json_object_end(&j);
  buf_char(out, '\n');
}

/* --- the command ------------------------------------------------------------------------------------------------- */

static int look(struct checking *c, struct err *err) {
  int rc = load_settings(&c->load, c->options, err);
  if (rc) return rc;
  c->probes = (struct probe_env){.loop = c->loop, .children = c->children, .settings = c->load.settings};
  probe_env_init(&c->probes);
  rc = load_flow(&c->load,
                 &(struct vm_host){.loop = c->loop, .probes = c->children ? &c->probes : NULL, .children = c->children},
                 err);
  if (rc) return rc;
  validate(c);
  if (c->options->dependencies && plan_usable(&c->load)) rc = ask_dependencies(c, err);
  if (rc) return rc;
  auto_buf struct buf out = {0};
  if (c->options->json)
    print_json(c, &out);
  else
    print_text(c, &out);
  settings_redact(c->load.settings, &out);
  fwrite(buf_cstr(&out), 1, out.len, stdout);
  rc = command_printed();
  return rc ? err_errno(err, rc, "standard output") : 0;
}

static int run(int channel_fd, int log_fd, void *arg) {
  (void)log_fd;
  struct checking *c = arg;
  struct err err = ERR_INIT;
  c->loop = loop_new();
  if (c->loop && channel_fd >= 0) c->children = children_new(c->loop, channel_fd);
  if (!c->loop || (channel_fd >= 0 && !c->children))
    err_set(&err, -ENOMEM, "no event loop: epoll or memory is missing");
  if (err.code || look(c, &err)) {
    fprintf(stderr, "tend check: %s\n", err.msg);
    c->code = EXIT_SYSTEM;
  }
  timer_free(c->timer);
  dependencies_free(c->dependencies);
  validate_result_free(&c->validation);
  load_free(&c->load);
  probe_env_close(&c->probes);
  children_free(c->children);
  loop_free(c->loop);
  return c->code;
}

int cmd_check(int argc, char **argv) {
  struct options options;
  int rc = options_parse(&options, argc, argv, OPTIONS_FLOW | OPTIONS_JSON | OPTIONS_DEPENDENCIES);
  if (rc) return rc;
  if (options.help) return cmd_help(2, (char *[]){(char *)"help", (char *)"check", NULL});
  struct checking c = {.options = &options};
  if (!options.dependencies) return run(-1, -1, &c);
  return init_run(&(struct init_options){.engine_is_main = true}, run, &c);
}
