/* tend repl: a Lua prompt inside the running engine; with --offline, inside one made for it alone, which has all
 * primitives and looks after nothing. The client is a process of its own in both cases. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/stopreq.h"
#include "base/str.h"
#include "client/client.h"
#include "client/repl.h"
#include "cmd/cmd.h"
#include "cmd/ground.h"
#include "cmd/options.h"
#include "init/init.h"
#include "loop/control.h"
#include "loop/part.h"
#include "loop/script_state.h"
#include "lua/repl.h"
#include "tend/prompt.h"

/* --- the line editor, from its part ------------------------------------------------------------------------------ */

struct editor {
  const struct tend_prompt *part;
  void *prompt;
  struct tend_prompt_host host;
  void (*complete)(void *arg, const char *line, size_t cursor, struct repl_choices *out);
  void *arg;
  struct tend_prompt_item *items;
};

static void on_complete(void *self, const char *line, size_t cursor, struct tend_prompt_completion *out) {
  struct editor *e = self;
  struct repl_choices found = {0};
  e->complete(e->arg, line, cursor, &found);
  free(e->items);
  e->items = calloc(found.n ? found.n : 1, sizeof *e->items);
  if (!e->items) return;
  for (size_t i = 0; i < found.n; i++)
    e->items[i] = (struct tend_prompt_item){found.items[i].text, found.items[i].shown};
  *out =
      (struct tend_prompt_completion){.replaced = found.replaced, .n = found.n, .items = e->items, .hint = found.hint};
}

static int editor_open(void *self, void (*complete)(void *, const char *, size_t, struct repl_choices *), void *arg,
                       int history) {
  struct editor *e = self;
  struct err err = ERR_INIT;
  const struct tend_part *part = part_load("prompt", &err);
  if (!part) {
    fprintf(stderr, "tend repl: no editing of lines: %s\n", err.msg);
    return -ENOENT;
  }
  e->part = part->ops;
  e->complete = complete;
  e->arg = arg;
  e->host = (struct tend_prompt_host){.self = e, .complete = on_complete};
  e->prompt = e->part->open(&e->host, history);
  return e->prompt ? 0 : -ENOTTY;
}

static enum repl_line editor_read(void *self, const char *text, const char **line) {
  struct editor *e = self;
  switch (e->part->read(e->prompt, text, line)) {
    case TEND_PROMPT_LINE:
      return REPL_LINE;
    case TEND_PROMPT_INTERRUPTED:
      return REPL_INTERRUPTED;
    default:
      return REPL_END;
  }
}

static void editor_remember(void *self, const char *line) {
  struct editor *e = self;
  e->part->remember(e->prompt, line);
}

static void editor_close(void *self) {
  struct editor *e = self;
  e->part->close(e->prompt);
  free(e->items);
}

/* --- offline ----------------------------------------------------------------------------------------------------- */

struct offline {
  const struct options *options;
  int fd; /* the client's other end */
  struct ground ground;
  struct load load;
  struct script_state state;
  struct control *control;
  struct repl *repl;
};

static void on_signal(void *arg, int sig, int level, bool begun) {
  (void)sig;
  (void)begun;
  struct offline *o = arg;
  if (level > STOP_NONE) loop_stop(o->ground.loop);
}

/* A flow that is named gives its settings and is loaded; its processes are not started. */
static int offline_open(struct offline *o, int channel_fd, int log_fd, struct err *err) {
  if (ground_open(&o->ground, channel_fd, err)) return err->code;
  if (load_settings(&o->load, o->options, err)) return err_set(err, -ENOMEM, "out of memory");
  settings_give(o->load.settings, LAYER_DEFAULT, "CONTAINER_LOG_LEVEL", "WARNING", "tend repl --offline");
  if (ground_open_log(&o->ground, &o->load, log_fd, err)) return err->code;
  struct vm_host host = ground_host(&o->ground);
  host.state = &o->state;
  if (*o->load.flow) {
    int rc = load_flow(&o->load, &host, err);
    if (rc) return rc;
    for (size_t i = 0; i < o->load.problems.n; i++)
      if (STR_EQ(o->load.problems.items[i].check, "flow_file"))
        sink_say(o->ground.sink, EVENT_SETTING, LEVEL_WARNING, "the flow is not loaded: %s",
                 o->load.problems.items[i].fix);
  } else {
    settings_resolve(o->load.settings, NULL);
  }
  ground_configure_log(&o->ground, &o->load, log_fd);
  struct proto_output output = {.log_fd = 2}; /* standard output is the client's */
  children_output(o->ground.children, &output);
  o->control = control_new(o->ground.loop, o->ground.sink, NULL, -1, err);
  if (!o->control) return err->code;
  load_host(&o->load, &host);
  o->repl = repl_new(&(struct repl_options){.host = host, .live = o->load.vm});
  if (!o->repl) return err_set(err, -ENOMEM, "out of memory");
  control_add(o->control, repl_ops, o->repl);
  control_serve(o->control, o->fd);
  o->fd = -1;
  return 0;
}

static int offline_main(int channel_fd, int log_fd, void *arg) {
  struct offline *o = arg;
  struct err err = ERR_INIT;
  int rc = offline_open(o, channel_fd, log_fd, &err);
  if (rc) {
    fprintf(stderr, "tend repl: %s\n", err.msg);
  } else {
    children_on_signal(o->ground.children, on_signal, o);
    loop_run(o->ground.loop);
  }
  repl_free(o->repl);
  control_free(o->control);
  load_free(&o->load);
  if (o->ground.sink) sink_flush(o->ground.sink, 200 * NS_PER_MS);
  ground_close(&o->ground);
  return rc ? EXIT_SYSTEM : 0;
}

/* The init part below an engine of its own, out of reach of the terminal's signals; it ends with its client. */
static pid_t offline_start(const struct options *options, int *fd) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) return -errno;
  pid_t client = getpid(), pid = fork();
  if (pid == 0) {
    close(pair[0]);
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != client) _exit(EXIT_TERMINATED);
    struct offline o = {.options = options, .fd = pair[1]};
    _exit(init_run(&(struct init_options){.engine_is_main = true}, offline_main, &o));
  }
  int error = errno;
  close(pair[1]);
  if (pid < 0) {
    close(pair[0]);
    return -error;
  }
  *fd = pair[0];
  return pid;
}

static void offline_end(pid_t pid) {
  kill(pid, SIGTERM);
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
    ;
}

/* --- the command ------------------------------------------------------------------------------------------------- */

static const char *state_dir_of(const struct options *o) {
  for (int i = 0; i < o->n_given; i++)
    if (STR_EQ(o->given[i].option, "--state-dir")) return o->given[i].value;
  return NULL;
}

int cmd_repl(int argc, char **argv) {
  struct options o;
  int rc = options_parse(&o, argc, argv, OPTIONS_FLOW | OPTIONS_JSON | OPTIONS_REPL | OPTIONS_REST);
  if (rc) return rc;
  if (o.help) return cmd_help(2, (char *[]){(char *)"help", (char *)"repl", NULL});
  if (o.n_rest > 1) {
    fprintf(stderr, "tend repl: unexpected argument \"%s\" after the file\n", o.rest[1]);
    return EXIT_USAGE;
  }
  struct editor editor = {0};
  const struct repl_editor lines = {&editor, editor_open, editor_read, editor_remember, editor_close};
  struct repl_client_options c = {.n_chunks = o.n_chunks,
                                  .file = o.n_rest ? o.rest[0] : NULL,
                                  .read_only = o.read_only,
                                  .dry = o.dry,
                                  .json = o.json,
                                  .offline = o.offline,
                                  .state_dir = state_dir_of(&o),
                                  .flow = o.flow_name,
                                  .editor = &lines};
  for (int i = 0; i < o.n_chunks; i++) c.chunks[i] = o.chunks[i];
  if (!o.offline) {
    struct engine_place place;
    rc = find_engine(c.state_dir, c.flow, true, &place);
    return rc ? rc : repl_client_run(&c, place.fd);
  }
  int fd = -1;
  pid_t pid = offline_start(&o, &fd);
  if (pid < 0) {
    fprintf(stderr, "tend repl: cannot start: %s\n", strerror(-pid));
    return EXIT_SYSTEM;
  }
  rc = repl_client_run(&c, fd);
  offline_end(pid);
  return rc;
}
