#include "cmd/load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/place.h"
#include "base/str.h"
#include "cmd/by_hand.h"
#include "loop/part.h"
#include "core/quarantine.h"
#include "core/sources.h"
#include "loop/settings_source.h"

/* --- where flows and scripts are --------------------------------------------------------------------------------- */

void load_share(const char *sub, char *to, size_t size) {
  to[0] = 0;
  char exe[PATH_MAX];
  str_copy(exe, sizeof exe, place_self());
  for (int up = 0; up < 2; up++) { /* the binary's folder, then its parent */
    char *slash = strrchr(exe, '/');
    if (!slash) return;
    *slash = 0;
  }
  const char *const forms[] = {"%s/share/tend/%s", "%s/%s"};
  for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
    auto_buf struct buf path = {0};
    buf_fmt(&path, forms[i], exe, sub);
    if (access(buf_cstr(&path), F_OK) == 0 && str_copy(to, size, buf_cstr(&path))) return;
  }
  to[0] = 0;
}

static void search_list(struct load *l, enum setting_id id, const char *sub, struct buf *out) {
  buf_clear(out);
  if (settings_given(l->settings, id)) {
    buf_str(out, settings_str(l->settings, id));
    return;
  }
  char share[PATH_MAX];
  load_share(sub, share, sizeof share);
  buf_fmt(out, "/etc/tend/%s%s%s", sub, *share ? ":" : "", share);
}

/* The next directory of a colon list; false at its end. */
static bool next_dir(const char **list, char *dir, size_t size) {
  while (**list == ':') (*list)++;
  if (!**list) return false;
  size_t n = strcspn(*list, ":");
  snprintf(dir, size, "%.*s", (int)n, *list);
  *list += n;
  return true;
}

static void find_flow(struct load *l) {
  const char *list = buf_cstr(&l->flows);
  char dir[PATH_MAX - LIMIT_NAME - 8];
  while (next_dir(&list, dir, sizeof dir)) {
    snprintf(l->file, sizeof l->file, "%s/%s.lua", dir, l->flow);
    if (access(l->file, F_OK) == 0) return;
    DIR *d = opendir(dir);
    struct dirent *e;
    while (d && (e = readdir(d))) {
      char name[256];
      if (!str_ends(e->d_name, ".lua") || str_ends(e->d_name, "_spec.lua")) continue;
      snprintf(name, sizeof name, "%.*s", (int)strlen(e->d_name) - 4, e->d_name);
      const char *const names[] = {name, l->near};
      if (str_nearest(l->flow, names, l->near[0] ? 2 : 1) == name) str_copy(l->near, sizeof l->near, name);
    }
    if (d) closedir(d);
  }
  l->file[0] = 0;
}

/* --- settings ---------------------------------------------------------------------------------------------------- */

static void built_in(struct load *l, const char *name, const char *value) {
  settings_give(l->settings, LAYER_FLOW, name, value, "built-in policy");
}

/* What is resolved does not tell: in a reload there is always one in force. */
static bool given_by_somebody(const struct load *l, enum setting_id id) {
  for (int layer = LAYER_FILE; layer <= LAYER_COMMAND_LINE; layer++)
    if (settings_given_value(l->settings, (enum setting_layer)layer, id)) return true;
  return false;
}

int load_settings(struct load *l, const struct options *options, struct err *err) {
  return load_settings_again(l, options, NULL, err);
}

int load_settings_again(struct load *l, const struct options *options, const struct settings *in_force,
                        struct err *err) {
  *l = (struct load){.options = options};
  l->settings = settings_new();
  if (!l->settings) return err_set(err, -ENOMEM, "out of memory");
  if (in_force) settings_keep_to(l->settings, in_force);
  options_settings(options, l->settings);
  if (options->flow_name)
    settings_give(l->settings, LAYER_COMMAND_LINE, "CONTAINER_FLOW_NAME", options->flow_name, "--flow-name");
  settings_from_environ(l->settings, environ);
  if (given_by_somebody(l, SET_CONFIG_FILE)) {
    settings_resolve(l->settings, NULL); /* its path */
    if (settings_given(l->settings, SET_CONFIG_FILE))
      settings_from_file(l->settings, settings_str(l->settings, SET_CONFIG_FILE), &l->problems);
  }
  settings_read_files(l->settings, &l->problems);
  if (options->command && !given_by_somebody(l, SET_FLOW_NAME)) {
    l->unnamed = true;
    built_in(l, "CONTAINER_FLOW_NAME", "default");
    built_in(l, "CONTAINER_ENVIRONMENT", "development");
  }
  settings_resolve(l->settings, NULL);
  const char *flow = settings_str(l->settings, SET_FLOW_NAME);
  if (flow) str_copy(l->flow, sizeof l->flow, flow);
  search_list(l, SET_FLOWS_DIR, "flows", &l->flows);
  search_list(l, SET_SCRIPTS_DIR, "scripts", &l->scripts);
  part_set_scripts(buf_cstr(&l->scripts));
  return 0;
}

struct sink_options load_sink_options(const struct load *l, int log_fd) {
  const struct settings *s = l->settings;
  bool terminal = isatty(settings_choice(s, SET_LOG_STREAM) == 0 ? STDOUT_FILENO : STDERR_FILENO);
  struct sink_options o = {.fd = log_fd, .level = (enum level)settings_choice(s, SET_LOG_LEVEL)};
  o.pretty = settings_given(s, SET_LOG_FORMAT) ? settings_choice(s, SET_LOG_FORMAT) == 1 : terminal;
  o.colour = o.pretty && terminal && !getenv("NO_COLOR");
  const char *id = settings_str(s, SET_WORKER_ID);
  if (id) str_copy(o.who.container_id, sizeof o.who.container_id, id);
  str_copy(o.who.flow, sizeof o.who.flow, l->flow);
  return o;
}

/* --- the flow ---------------------------------------------------------------------------------------------------- */

static void flow_problem(struct load *l, const char *value, const char *allowed, const char *fix) {
  problems_add(&l->problems, &(struct problem){.class = PROBLEM_CONFIG,
                                               .check = "flow_file",
                                               .name = "flow file",
                                               .value = value,
                                               .source = l->file[0] ? l->file : buf_cstr(&l->flows),
                                               .allowed = allowed,
                                               .fix = fix});
}

static void missing_flow(struct load *l) {
  auto_buf struct buf fix = {0};
  if (STR_EQ(l->near, l->flow))
    buf_fmt(&fix, "%s.lua is a link to nothing: mend it; else ", l->flow);
  else if (l->near[0])
    buf_fmt(&fix, "did you mean flow \"%s\"? else ", l->near);
  buf_fmt(&fix, "put %s.lua there, give --flows DIR, or a command after --", l->flow);
  auto_buf struct buf allowed = {0};
  buf_fmt(&allowed, "a file %s.lua in one of these directories", l->flow);
  flow_problem(l, l->flow, buf_cstr(&allowed), buf_cstr(&fix));
}

/* Dependencies, which are asked at once, are checked in full with the values of settings. */
static int check_early(const char *kind, const cJSON *params, struct err *err) {
  return probe_check_early(NULL, kind, params, err);
}

static int locate(void *load, const char *path) {
  const struct load *l = load;
  const struct source *s = sources_find(vm_sources(l->vm), l->file);
  return s ? plan_locate(&(struct plan_text){s->text, s->n}, path) : 0;
}

void load_host(struct load *l, struct vm_host *host) {
  host->settings = l->settings;
  host->scripts = buf_cstr(&l->scripts);
  host->flows = buf_cstr(&l->flows);
  host->flow = l->flow;
}

int load_sched(struct load *l, struct vm_host *host, struct err *err) {
  if (!l->sched) l->sched = sched_new(host->loop, err);
  if (!l->sched) return -ENOMEM;
  if (host->quarantine) sched_on_stuck(l->sched, TASK_STUCK_NS, &keep_words(host->quarantine->keep)->culprit);
  l->own_sched = true;
  host->sched = l->sched;
  return 0;
}

/* Ready to run the flow file. */
static int make_vm(struct load *l, const struct vm_host *given, struct err *err) {
  struct vm_host host = *given;
  load_host(l, &host);
  host.problems = &l->problems;
  if (l->kept) host.given = &l->kept->scripts;
  if (l->stuck)
    return err_set(err, -ETIME,
                   "%s: %lld ms of CPU in one call that nothing can interrupt, while it is loaded; a pattern that "
                   "goes back and forth? make it simpler",
                   l->stuck->where, (long long)(l->stuck->ran_ns / NS_PER_MS));
  if (!host.sched && load_sched(l, &host, err)) return -ENOMEM;
  l->sched = host.sched;
  l->vm = vm_new(&host, err);
  return l->vm ? 0 : -ENOMEM;
}

static void unusable(struct load *l, const struct err *err) {
  flow_problem(l, NULL, "a Lua file that describes a flow", err->msg[0] ? err->msg : "out of memory");
}

static void make_plan(struct load *l, cJSON *flow) {
  l->policy = vm_policy(l->vm);
  by_hand_flow(l->by_hand, flow);
  l->whole = true;
  plan_from_json(flow,
                 &(struct plan_options){.file = l->file,
                                        .name = l->flow,
                                        .locate = locate,
                                        .locate_arg = l,
                                        .check_probe = l->starts ? check_early : probe_check},
                 &l->plan, &l->problems);
}

/* Scripts are what the engine has died of, it seems. */
static void plan_without_scripts(struct load *l) {
  auto_json cJSON *flow = NULL;
  struct err err = ERR_INIT;
  if (!l->kept->flow || json_parse(l->kept->flow, strlen(l->kept->flow), l->file, &flow, &err)) return;
  kept_strip(flow);
  plan_from_json(flow, &(struct plan_options){.file = l->file, .name = l->flow, .check_probe = probe_check}, &l->plan,
                 &l->problems);
  l->whole = l->plan != NULL;
}

static void plan_of_file(struct load *l, const struct vm_host *host) {
  struct err err = ERR_INIT;
  if (l->safe) {
    plan_without_scripts(l);
    return;
  }
  if (make_vm(l, host, &err) || vm_load_flow(l->vm, l->file, &l->returned, &err))
    unusable(l, &err);
  else
    make_plan(l, l->returned);
  if (l->vm) vm_given_over(l->vm);
}

static bool told(const struct problems *ps, const char *name) {
  for (size_t i = 0; i < ps->n; i++)
    if (ps->items[i].name && STR_EQ(ps->items[i].name, name)) return true;
  return false;
}

/* What probes cannot do anything with, whatever is at the other end: a connection string that cannot be read. */
static void check_probes(struct load *l, const struct plan_check *checks, size_t n, bool early) {
  for (size_t i = 0; i < n; i++) {
    const struct plan_check *c = &checks[i];
    struct err err = ERR_INIT;
    if (!c->kind || c->fn || !(early ? probe_check_early : probe_check_values)(l->settings, c->kind, c->params, &err))
      continue;
    auto_buf struct buf full = {0}, allowed = {0};
    struct setting_view view = {0};
    const char *setting = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(c->params, "setting"));
    if (setting) buf_fmt(&full, "%s%s", str_starts(setting, "CONTAINER_") ? "" : "CONTAINER_", setting);
    bool known = setting && settings_view(l->settings, buf_cstr(&full), &view);
    const char *name = known ? view.def->name : c->name;
    if (told(&l->problems, name)) continue; /* a dependency and a check may use the same one */
    buf_fmt(&allowed, "what the probe %s can use", c->kind);
    problems_add(&l->problems, &(struct problem){.class = PROBLEM_CONFIG,
                                                 .check = (char *)"configuration",
                                                 .name = (char *)name,
                                                 .value = (char *)view.shown,
                                                 .source = (char *)view.origin,
                                                 .allowed = allowed.data,
                                                 .fix = err.msg});
  }
}

/* Whether there is a flow file; what to do without one is settled here. */
static bool find_file(struct load *l) {
  bool named = plan_flow_name_valid(l->flow);
  if (l->kept)
    str_copy(l->file, sizeof l->file, l->kept->file);
  else if (named)
    find_flow(l);
  if (l->file[0]) return true;
  if (l->options->command && !l->must_have_file)
    l->command_only = true;
  else if (named)
    missing_flow(l);
  return false;
}

/* The plan is there, as far as it goes. */
static int complete(struct load *l, struct err *err) {
  const struct options *o = l->options;
  static char *nothing[] = {(char *)"false", NULL};
  if (!l->plan) l->plan = plan_default(*l->flow ? l->flow : "default", l->command_only ? o->command : nothing);
  if (!l->plan) return err_set(err, -ENOMEM, "out of memory");
  if (o->command && !l->command_only && plan_set_command(l->plan, o->command))
    return err_set(err, -ENOMEM, "out of memory");
  if (l->command_only) built_in(l, "CONTAINER_EXECUTION_MODE", "single");
  plan_give_settings(l->plan, l->settings, &l->problems);
  settings_read_files(l->settings, &l->problems);
  settings_resolve(l->settings, &l->problems);
  settings_lint(l->settings, &l->problems);
  check_probes(l, l->plan->dependencies, l->plan->dependencies_n, false);
  check_probes(l, l->plan->checks, l->plan->checks_n, l->starts);
  return 0;
}

int load_flow(struct load *l, const struct vm_host *host, struct err *err) {
  if (find_file(l)) plan_of_file(l, host);
  return complete(l, err);
}

static void on_flow(void *arg, cJSON *flow, const struct err *why) {
  struct load *l = arg;
  struct err err = ERR_INIT;
  l->returned = flow;
  if (flow)
    make_plan(l, flow);
  else
    unusable(l, why);
  complete(l, &err);
  l->done(l->done_arg, &err);
}

void load_flow_aside(struct load *l, const struct vm_host *host, load_done_fn *done, void *arg) {
  struct err err = ERR_INIT;
  l->done = done;
  l->done_arg = arg;
  if (find_file(l)) {
    if (make_vm(l, host, &err) == 0) {
      vm_pause(l->vm, true);
      if (vm_begin_flow(l->vm, l->file, on_flow, l, &err) == 0) return;
    }
    unusable(l, &err);
    err = (struct err)ERR_INIT;
  }
  complete(l, &err);
  done(arg, &err);
}

int load_rest(struct load *l, const struct vm_host *host, struct err *err) {
  settings_give(l->settings, LAYER_DEFAULT, "CONTAINER_FLOWS_DIR", buf_cstr(&l->flows), "default");
  settings_give(l->settings, LAYER_DEFAULT, "CONTAINER_SCRIPTS_DIR", buf_cstr(&l->scripts), "default");
  if (l->flow[0]) return load_flow(l, host, err);
  settings_resolve(l->settings, &l->problems);
  settings_lint(l->settings, &l->problems);
  return 0;
}

void load_drop(struct load *l) {
  vm_free(l->vm);
  plan_free(l->plan);
  problems_free(&l->problems);
  settings_free(l->settings);
  cJSON_Delete(l->returned);
  l->returned = NULL;
  l->vm = NULL;
  l->plan = NULL;
  l->settings = NULL;
}

void load_free(struct load *l) {
  load_drop(l);
  if (l->own_sched) sched_free(l->sched);
  buf_free(&l->flows);
  buf_free(&l->scripts);
}
