/* tend script FILE [ARG...]: a Lua file with all primitives, without an engine: the jobs of flows, and tools. The same
 * init part runs below it. Exit: what the file returns; 1 on an error; 127 without such a file, 126 when it does not
 * load; by the signal that stopped it. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/stopreq.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/ground.h"
#include "cmd/options.h"
#include "init/init.h"

#define STUCK_NS (5 * NS_PER_S) /* of CPU: a job may look through large texts */

struct script {
  const struct options *options;
  char path[PATH_MAX];
  struct ground ground;
  struct load load;
  struct sched *sched;
  struct vm *vm;
  uint64_t task;
  int code;
};

/* FILE as given, else beside one of the directories with flows ("flows/jobs/rpa1.lua"), else inside one. */
static bool find_file(const char *file, const char *dirs, char *out, size_t size) {
  if (access(file, F_OK) == 0 || *file == '/') return str_copy(out, size, file) && access(file, F_OK) == 0;
  static const char *const forms[] = {"%.*s/../%s", "%.*s/%s"};
  while (*dirs) {
    size_t n = strcspn(dirs, ":");
    for (size_t i = 0; i < ARRAY_LEN(forms) && n; i++) {
      int len = snprintf(out, size, forms[i], (int)n, dirs, file);
      if (len > 0 && (size_t)len < size && access(out, F_OK) == 0) return true;
    }
    dirs += n + (dirs[n] == ':');
  }
  return false;
}

static void on_done(void *arg, enum policy_status status, const cJSON *result, const struct err *err) {
  struct script *s = arg;
  (void)err; /* told where it happened */
  const cJSON *first = cJSON_GetArrayItem(result, 0);
  const cJSON *second = cJSON_GetArrayItem(result, 1);
  s->task = 0;
  if (status == POLICY_ERROR) {
    s->code = 1;
  } else if (status == POLICY_OK && cJSON_IsNumber(first)) {
    s->code = first->valueint >= 0 && first->valueint <= 255 ? first->valueint : 1;
  } else if (status == POLICY_OK && cJSON_IsFalse(first)) {
    s->code = 1;
  } else if (status == POLICY_OK && second && !cJSON_IsNull(second)) { /* nil, err */
    const cJSON *message = cJSON_IsObject(second) ? cJSON_GetObjectItem(second, "message") : second;
    sink_say(s->ground.sink, EVENT_SCRIPT_ERROR, LEVEL_ERROR, "%s: %s", s->path,
             cJSON_IsString(message) ? message->valuestring : "returned an error");
    s->code = 1;
  }
  loop_stop(s->ground.loop);
}

/* A stop: the script's own handlers, or the end of its task; a second one does not ask any more. */
static void on_signal(void *arg, int sig, int level, bool begun) {
  (void)begun;
  struct script *s = arg;
  bool stop = level > STOP_NONE;
  unsigned handlers = vm_signal(s->vm, sig, stop);
  if (!stop || !s->task || (handlers && level <= STOP_BEGIN)) return;
  s->code = EXIT_SIGNALED + sig;
  if (level >= STOP_NOW)
    loop_stop(s->ground.loop);
  else
    task_cancel(s->sched, s->task, TASK_CANCELLED, false);
}

/* Without a flow's name the file's own one is it: its settings are CONTAINER_<NAME>_… */
static void name_flow(struct script *s) {
  if (*s->load.flow) return;
  const char *slash = strrchr(s->path, '/');
  str_copy(s->load.flow, sizeof s->load.flow, slash ? slash + 1 : s->path);
  char *dot = strrchr(s->load.flow, '.');
  if (dot) *dot = 0;
  settings_give(s->load.settings, LAYER_DEFAULT, "CONTAINER_FLOW_NAME", s->load.flow, "the file's name");
  settings_resolve(s->load.settings, NULL);
}

static int open_all(struct script *s, int channel_fd, int log_fd, struct err *err) {
  if (ground_open(&s->ground, channel_fd, err)) return err->code;
  name_flow(s);
  if (ground_open_log(&s->ground, &s->load, log_fd, err)) return err->code;
  struct proto_output output = {.log_fd = settings_choice(s->load.settings, SET_LOG_STREAM) == 0 ? 1 : 2};
  children_output(s->ground.children, &output);
  s->sched = sched_new(s->ground.loop, err);
  if (s->sched) sched_on_stuck(s->sched, STUCK_NS, NULL);
  if (!s->sched) return err->code;
  struct vm_host host = ground_host(&s->ground);
  host.sched = s->sched;
  host.settings = s->load.settings;
  host.scripts = buf_cstr(&s->load.scripts);
  host.flows = buf_cstr(&s->load.flows);
  host.flow = s->load.flow;
  host.script = true;
  host.memory_mb = LIMIT_SCRIPT_MB;
  s->vm = vm_new(&host, err);
  return s->vm ? 0 : err->code;
}

static int engine_main(int channel_fd, int log_fd, void *arg) {
  struct script *s = arg;
  struct err err = ERR_INIT;
  int rc = open_all(s, channel_fd, log_fd, &err);
  if (rc) {
    fprintf(stderr, "tend script: %s\n", err.msg);
    s->code = EXIT_SYSTEM;
  } else {
    children_on_signal(s->ground.children, on_signal, s);
    s->task = vm_run_script(s->vm, s->path, s->options->rest + 1, on_done, s, &err);
    if (s->task) {
      loop_run(s->ground.loop);
    } else {
      sink_say(s->ground.sink, EVENT_SCRIPT_ERROR, LEVEL_ERROR, "%s", err.msg);
      s->code = EXIT_NOT_EXECUTABLE;
    }
  }
  vm_free(s->vm);
  sched_free(s->sched);
  if (s->ground.sink) sink_flush(s->ground.sink, 200 * NS_PER_MS); /* the last words */
  ground_close(&s->ground);
  load_free(&s->load);
  return s->code;
}

int cmd_script(int argc, char **argv) {
  struct options options;
  int rc = options_parse(&options, argc, argv, OPTIONS_FLOW | OPTIONS_REST);
  if (rc) return rc;
  if (options.help) return cmd_help(2, (char *[]){(char *)"help", (char *)"script", NULL});
  if (options.n_rest == 0) {
    fprintf(stderr, "tend script: a file is missing: tend script FILE [ARG...]\n");
    return EXIT_USAGE;
  }
  struct script s = {.options = &options};
  struct err err = ERR_INIT;
  if (load_settings(&s.load, &options, &err)) {
    fprintf(stderr, "tend script: %s\n", err.msg);
    return EXIT_SYSTEM;
  }
  if (!find_file(options.rest[0], buf_cstr(&s.load.flows), s.path, sizeof s.path)) {
    fprintf(stderr, "tend script: there is no file %s, here or beside %s\n", options.rest[0], buf_cstr(&s.load.flows));
    load_free(&s.load);
    return EXIT_NOT_FOUND;
  }
  rc = init_run(&(struct init_options){.engine_is_main = true}, engine_main, &s);
  load_free(&s.load);
  if (rc == EXIT_TERMINATED || rc == EXIT_SIGNALED + SIGINT) { /* as whoever waits expects it */
    int sig = rc - EXIT_SIGNALED;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, sig);
    signal(sig, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(sig); /* does nothing as PID 1 */
  }
  return rc;
}
