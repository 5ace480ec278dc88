/* Kind command: runs a command in a process group of its own; its exit code is the result. At the deadline the whole
 * group is killed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/str.h"
#include "probes/kinds.h"
#include "probes/params.h"

enum { DETAIL_OUTPUT = 160, LINGERING_MAX = 64 };

static const struct tend_param params[] = {
    {"command", TEND_COMMAND, true, 0, 0, "a shell line, or a list: the program and its arguments"},
    {"cwd", TEND_TEXT, false, 0, 0, "folder to run in"},
    {"user", TEND_TEXT, false, 0, 0, "user to run as"},
    {"exits", TEND_ANY, false, 0, 0, "what exit codes mean: { [\"1\"] = \"warn\", [\"3\"] = \"unknown\" }"},
    {0},
};

struct run {
  struct tend_probe *probe;
  struct children *children;
  uint32_t child;
  const cJSON *exits; /* the probe's, as are: */
  const char *program, *cwd, *user;
};

static int status_of(const char *name) {
  static const char *const names[] = {"ok", "warn", "fail", "unknown"};
  for (int i = 0; i < (int)ARRAY_LEN(names); i++)
    if (STR_EQ(names[i], name)) return i;
  return -1;
}

static int check(const struct tend_host *host, const struct tend_params *ps, char *msg, size_t size) {
  (void)host;
  const cJSON *exits = cJSON_GetObjectItemCaseSensitive(probe_params_json(ps), "exits"), *v;
  if (!exits || cJSON_IsNull(exits) || (cJSON_IsArray(exits) && !exits->child)) return 0;
  if (!cJSON_IsObject(exits)) {
    snprintf(msg, size, "exits: expected a table such as { [\"1\"] = \"warn\" }");
    return -1;
  }
  cJSON_ArrayForEach(v, exits) {
    int64_t code;
    if (str_int(v->string, 0, 255, &code)) {
      snprintf(msg, size, "exits: expected exit codes from 0 to 255 as keys, got \"%s\"", v->string);
      return -1;
    }
    if (!cJSON_IsString(v) || status_of(v->valuestring) < 0) {
      snprintf(msg, size, "exits.%s: expected \"ok\", \"warn\", \"fail\" or \"unknown\"", v->string);
      return -1;
    }
  }
  return 0;
}

/* The end of what it said, on one line. */
static void last_output(const struct buf *out, char *to, size_t size) {
  to[0] = 0;
  if (!out || !out->len) return;
  size_t n = out->len, k = 0;
  const char *s = out->data;
  while (n && (unsigned char)s[n - 1] <= ' ') n--;
  size_t from = n > DETAIL_OUTPUT ? n - DETAIL_OUTPUT : 0;
  while (from < n && ((unsigned char)s[from] & 0xc0) == 0x80) from++;
  for (size_t i = from; i < n && k + 1 < size; i++) to[k++] = (unsigned char)s[i] < ' ' ? ' ' : s[i];
  to[k] = 0;
}

static void on_exited(void *arg, uint32_t child, const struct child_exit *e) {
  (void)child;
  struct run r = *(struct run *)arg;
  free(arg);
  char said[DETAIL_OUTPUT + 8], sig[16], key[8];
  last_output(e->out, said, sizeof said);
  const char *colon = said[0] ? ": " : "";
  if (WIFSIGNALED(e->status)) {
    probe_end(r.probe, TEND_FAIL, "signal", "%s was ended by signal %s%s%s", r.program,
              str_signal_name(WTERMSIG(e->status), sig, sizeof sig), colon, said);
    return;
  }
  int code = WEXITSTATUS(e->status);
  enum tend_status status = code ? TEND_FAIL : TEND_OK;
  snprintf(key, sizeof key, "%d", code);
  const char *mapped = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(r.exits, key));
  if (mapped) status = (enum tend_status)status_of(mapped);
  char detail[256] = "";
  if (status != TEND_OK) snprintf(detail, sizeof detail, "%s exited with %d%s%s", r.program, code, colon, said);
  struct tend_fact facts[] = {{.name = "exit_code", .number = code}, {.name = "output", .text = said}};
  probe_env_of(r.probe)->host.probe_done(
      r.probe,
      &(struct tend_result){
          .status = status, .reason = status == TEND_OK ? "" : "exit", .detail = detail, .facts = facts, .nfacts = 2});
}

static void on_failed(void *arg, uint32_t child, enum spawn_stage stage, int error) {
  (void)child;
  struct run r = *(struct run *)arg;
  free(arg);
  /* that it cannot be made is no word about what it was to check */
  enum tend_status status = stage == SPAWN_EXEC || stage == SPAWN_CWD || stage == SPAWN_USER ? TEND_FAIL : TEND_UNKNOWN;
  const char *where = stage == SPAWN_CWD ? " in " : stage == SPAWN_USER ? " as " : "";
  const char *what = stage == SPAWN_CWD ? r.cwd : stage == SPAWN_USER ? r.user : "";
  probe_end(r.probe, status, "exec", "%s cannot be run%s%s: %s", r.program, where, what, strerror(error));
}

static const struct child_ops ops = {.failed = on_failed, .exited = on_exited};

static void cancel(void *run) {
  struct run *r = run;
  children_forget(r->children, r->child);
  free(r);
}

static char **argv_of(const cJSON *command) {
  int n = cJSON_IsArray(command) ? cJSON_GetArraySize(command) : 3;
  char **argv = calloc((size_t)n + 1, sizeof *argv);
  if (!argv) return NULL;
  int i = 0;
  const cJSON *v;
  if (cJSON_IsArray(command)) {
    cJSON_ArrayForEach(v, command) argv[i++] = v->valuestring;
  } else {
    static char shell[] = "/bin/sh", flag[] = "-c";
    argv[0] = shell;
    argv[1] = flag;
    argv[2] = command->valuestring;
  }
  return argv;
}

static void *start(const struct tend_host *host, struct tend_probe *p, const struct tend_params *ps,
                   int64_t deadline_ns, char *msg, size_t size) {
  (void)deadline_ns;
  struct err err = ERR_INIT;
  const cJSON *command = cJSON_GetObjectItemCaseSensitive(probe_params_json(ps), "command");
  char **argv = argv_of(command);
  struct run *r = calloc(1, sizeof *r);
  if (!argv || !r) {
    free(argv);
    free(r);
    snprintf(msg, size, "no memory");
    return NULL;
  }
  *r = (struct run){.probe = p, .children = probe_env_of(p)->children};
  r->exits = cJSON_GetObjectItemCaseSensitive(probe_params_json(ps), "exits");
  r->program = cJSON_IsArray(command) ? argv[0] : argv[2];
  struct child_spec spec = {.kind = CHILD_HELPER, .name = "check", .argv = argv};
  spec.cwd = r->cwd = probe_param_text(ps, "cwd");
  spec.user = r->user = probe_param_text(ps, "user");
  if (r->children && children_lingering(r->children) >= LINGERING_MAX)
    err_set(&err, -EAGAIN, "%d processes that were killed are still there: does a mount hang?", LINGERING_MAX);
  else if (r->children)
    r->child = children_spawn(r->children, &spec, &ops, r, &err);
  else
    err_set(&err, -1, "there is no one to run it");
  free(argv);
  char doing[160];
  snprintf(doing, sizeof doing, "running %s", r->program);
  host->probe_progress(p, doing);
  if (!r->child) {
    probe_end(p, TEND_UNKNOWN, "exec", "%s cannot be run: %s", r->program, err.msg);
    free(r);
    return NULL;
  }
  return r;
}

const struct tend_probe_kind probe_kind_command = {.name = "command",
                                                   .doc = "A command exits with 0.",
                                                   .params = params,
                                                   .check = check,
                                                   .start = start,
                                                   .cancel = cancel};
