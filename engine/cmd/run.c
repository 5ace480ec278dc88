/* tend run: the engine of a container, or of a command on a laptop. init_run forks; engine_main is the fork. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/keep.h"
#include "base/revival.h"
#include "base/str.h"
#include "client/client.h"
#include "cmd/by_hand.h"
#include "cmd/cmd.h"
#include "cmd/generation.h"
#include "cmd/ground.h"
#include "core/quarantine.h"
#include "init/init.h"
#include "loop/script_state.h"
#include "loop/settings_source.h"
#include "lua/repl.h"
#include "supervisor/supervisor.h"

struct engine {
  struct kept_policy kept; /* of the engine before */
  bool has_kept;
  struct quarantine quarantine;
  const struct quarantined *stuck; /* who has ended the engine before this one; NULL: nobody */
  const struct options *options;
  struct ground ground;
  struct load load;
  struct maker *maker;
  struct supervisor *supervisor;
  struct script_state state; /* of all generations */
  struct vm_host host;       /* of the scripts */
  struct repl *repl;
  struct by_hand *by_hand;
};

static int ask(void *arg, const char *what, struct buf *out) {
  struct engine *e = arg;
  return e->supervisor ? supervisor_ask(e->supervisor, what, out) : -EAGAIN;
}

static struct control *control(void *arg) {
  const struct engine *e = arg;
  return e->supervisor ? supervisor_control(e->supervisor) : NULL;
}

static int signal_process(void *arg, const char *process, int instance, int signal, bool group) {
  const struct engine *e = arg;
  return e->supervisor ? supervisor_signal(e->supervisor, process, instance, signal, group) : -ENOENT;
}

static void output_first(void *arg) { children_output_now(arg); }

static void tell_output(const struct engine *e) {
  const struct settings *s = e->load.settings;
  struct proto_output o = {
      .format = (enum output_format)settings_choice(s, SET_OUTPUT_FORMAT),
      .overflow = (enum output_overflow)settings_choice(s, SET_OUTPUT_OVERFLOW),
      .log_fd = settings_choice(s, SET_LOG_STREAM) == 0 ? 1 : 2,
  };
  const struct event_source *who = sink_who(e->ground.sink);
  str_copy(o.container_id, sizeof o.container_id, who->container_id);
  str_copy(o.flow, sizeof o.flow, who->flow);
  children_output(e->ground.children, &o);
  sink_before_write(e->ground.sink, output_first, e->ground.children);
}

/* What is odd, told once. */
static void remarks(const struct engine *e) {
  const struct load *l = &e->load;
  struct setting_remark r;
  for (size_t i = 0; settings_remark(l->settings, i, &r); i++) /* with a near name: a warning of the validation */
    if (!r.near) sink_say(e->ground.sink, EVENT_SETTING, LEVEL_DEBUG, "%s is no setting of this flow", r.name);
  if (l->unnamed)
    sink_say(e->ground.sink, EVENT_SETTING, LEVEL_WARNING,
             "no flow is named: flow default, environment %s; name one with --flow-name or CONTAINER_FLOW_NAME",
             settings_str(l->settings, SET_ENVIRONMENT));
  else if (l->command_only && STR_EQ(l->near, l->flow))
    sink_say(e->ground.sink, EVENT_SETTING, LEVEL_WARNING,
             "the flow file %s.lua is a link to nothing, the command runs under the built-in policy", l->flow);
  else if (l->command_only && l->near[0])
    sink_say(e->ground.sink, EVENT_SETTING, LEVEL_WARNING,
             "there is no flow file %s.lua, the command runs under the built-in policy; did you mean flow %s?", l->flow,
             l->near);
  if (settings_shutdown_above_docker(l->settings))
    sink_say(e->ground.sink, EVENT_SETTING, LEVEL_INFO,
             "the shutdown may take longer than the 10 s that docker stop waits; give it --time, or set "
             "CONTAINER_SHUTDOWN_TIMEOUT_SECONDS lower");
}

/* The scripts' table is kept where the next engine finds it. */
static void keep_state(void *arg, const char *text, size_t n) {
  (void)arg;
  keep_put(init_keep(), "script_state", text, n);
}

static void open_state(struct script_state *s) {
  size_t n = 0;
  const char *text = init_keep() ? keep_get(init_keep(), "script_state", &n) : NULL;
  if (init_keep()) s->keep = keep_state;
  if (text && n) script_state_put(s, text, n);
}

/* Another generation is in force. */
static void on_activated(void *arg, struct load *l) {
  struct engine *e = arg;
  struct sink_options so = load_sink_options(l, -1);
  sink_configure(e->ground.sink, &so, l->settings);
  if (e->repl) repl_use(e->repl, l->vm);
}

/* What was in force in the engine before. */
static void take_kept(struct engine *e) {
  int fd = revival_fd(init_revival(), "policy");
  struct stat st;
  if (fd < 0 || fstat(fd, &st) || st.st_size <= 0) return;
  char *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (bytes == MAP_FAILED) return;
  e->has_kept = kept_unpack(bytes, (size_t)st.st_size, &e->kept) == 0;
  munmap(bytes, (size_t)st.st_size);
  if (e->has_kept) settings_source_given(&e->kept.settings);
}

/* Settings but for the flow's, and where to log. */
static int open_settings(struct engine *e, int log_fd, struct err *err) {
  take_kept(e);
  if (load_settings(&e->load, e->options, err)) return err_set(err, -ENOMEM, "out of memory");
  e->load.starts = true;
  e->by_hand = e->load.by_hand = by_hand_new(e->load.settings, init_keep());
  by_hand_settings(e->by_hand, e->load.settings);
  if (ground_open_log(&e->ground, &e->load, log_fd, err)) return err->code;
  sink_hold(e->ground.sink); /* until the first process is asked for */
  if (init_revival()) sink_revive(e->ground.sink, init_keep());
  return 0;
}

/* The flow, and what its scripts may ask. */
static int open_flow(struct engine *e, int log_fd, struct err *err) {
  open_state(&e->state);
  e->host = ground_host(&e->ground);
  e->host.state = &e->state;
  e->host.ask = ask;
  e->host.control = control;
  e->host.signal = signal_process;
  e->host.ask_arg = e;
  if (init_keep()) {
    e->stuck = quarantine_open(&e->quarantine, init_keep(), clock_real_ns());
    e->host.quarantine = &e->quarantine;
    size_t n;
    const struct keep_culprit *c = &keep_words(init_keep())->culprit;
    if (*c->task && !keep_get(init_keep(), "machine", &n)) e->load.stuck = c; /* it has never come further */
    if (e->has_kept) e->load.kept = &e->kept;
    e->load.safe = e->has_kept && init_revival()->safe;
  }
  int rc = load_flow(&e->load, &e->host, err);
  if (rc) return rc;
  settings_source_given(NULL);
  if (e->has_kept && e->kept.file[0] && !e->load.whole) return err_set(err, -EINVAL, "what was kept cannot be loaded");
  ground_configure_log(&e->ground, &e->load, log_fd);
  tell_output(e);
  if (!init_revival()) remarks(e);
  return 0;
}

static int engine_open(struct engine *e, int channel_fd, int log_fd, struct err *err) {
  int rc = ground_open(&e->ground, channel_fd, err);
  if (!rc) rc = open_settings(e, log_fd, err);
  int64_t started = clock_mono_ns();
  if (!rc) rc = open_flow(e, log_fd, err);
  if (rc) return rc;
  e->maker = maker_new(&(struct maker_options){.options = e->options,
                                               .first = &e->load,
                                               .host = &e->host,
                                               .by_hand = e->by_hand,
                                               .activated = on_activated,
                                               .arg = e});
  if (!e->maker) return err_set(err, -ENOMEM, "out of memory");
  e->supervisor = supervisor_new(
      &(struct supervisor_options){
          .loop = e->ground.loop,
          .children = e->ground.children,
          .sink = e->ground.sink,
          .probes = &e->ground.probes,
          .metrics = e->ground.metrics,
          .settings = e->load.settings,
          .plan = e->load.plan,
          .policy = e->load.vm ? &e->load.policy : NULL,
          .problems = &e->load.problems,
          .generation = maker_first(e->maker),
          .generations = maker_generations(e->maker),
          .simple = e->options->simple,
          .tty = e->options->tty,
          .pid = init_pid(),
          .loaded_ns = clock_mono_ns() - started,
          .keep = init_keep(),
          .revival = init_revival(),
          .quarantine = init_keep() ? &e->quarantine : NULL,
          .stuck = e->stuck,
      },
      err);
  return e->supervisor ? 0 : -ENOMEM;
}

/* `tend repl`; without memory for it there is none. */
static void offer_prompt(struct engine *e) {
  struct control *control = supervisor_control(e->supervisor);
  if (!control) return;
  load_host(&e->load, &e->host);
  e->repl = repl_new(&(struct repl_options){.host = e->host, .live = e->load.vm, .control = control});
  if (e->repl) control_add(control, repl_ops, e->repl);
  if (e->by_hand) by_hand_serve(e->by_hand, control);
}

static int engine_main(int channel_fd, int log_fd, void *arg) {
  static struct engine e; /* large, most of it never touched */
  e.options = arg;
  struct err err = ERR_INIT;
  int rc = engine_open(&e, channel_fd, log_fd, &err);
  if (rc == 0) {
    supervisor_begin(e.supervisor);
    sink_release(e.ground.sink);
    offer_prompt(&e);
    loop_run(e.ground.loop);
  } else {
    fprintf(stderr, "tend: the engine cannot start: %s\n", err.msg);
    /* one that takes over has said nothing: init makes another, or goes on alone */
    if (e.ground.children && !init_revival()) children_exit(e.ground.children, EXIT_SYSTEM, false);
  }
#ifdef __SANITIZE_ADDRESS__ /* the kernel gives it all back faster; but leaks shall be found */
  repl_free(e.repl);
  by_hand_free(e.by_hand);
  struct generation *last = e.supervisor ? supervisor_generation(e.supervisor) : NULL;
  supervisor_free(e.supervisor);
  if (last) maker_generations(e.maker)->free(last);
  maker_free(e.maker);
  load_free(&e.load);
  kept_policy_free(&e.kept);
  script_state_free(&e.state);
  ground_close(&e.ground);
#endif
  return rc ? EXIT_SYSTEM : 0;
}

/* As `tend report FILE`, of the flow and state directory that are named. */
static int export_report(const struct options *o) {
  const char *state_dir = NULL;
  for (int i = 0; i < o->n_given && !state_dir; i++)
    if (STR_EQ(o->given[i].option, "--state-dir")) state_dir = o->given[i].value;
  return client_export_report(o->export_report, state_dir, o->flow_name);
}

int cmd_run(int argc, char **argv) {
  struct options options;
  int rc = options_parse(&options, argc, argv, OPTIONS_FLOW | OPTIONS_RUN);
  if (rc) return rc;
  if (options.help) return cmd_help(2, (char *[]){(char *)"help", (char *)"run", NULL});
  if (options.export_report) return export_report(&options);
  return init_run(&(struct init_options){.tty = options.tty, .revive = true}, engine_main, &options);
}
