/* Kinds file and directory: it is there, of that type, and can be used as asked. The look itself is taken by a child
 * (`tend helper stat`), because stat on a dead mount hangs in the kernel.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"
#include "loop/probe_kinds.h"
#include "loop/probe_params.h"

static const struct tend_param file_params[] = {
    {"path", TEND_TEXT, true, 0, 0, "the file"},
    {"readable", TEND_BOOL, false, 0, 0, "tend's user may read it (default true)"},
    {"writable", TEND_BOOL, false, 0, 0, "tend's user may write it"},
    {"executable", TEND_BOOL, false, 0, 0, "tend's user may execute it"},
    {"non_empty", TEND_BOOL, false, 0, 0, "it holds at least one byte"},
    {"min_size", TEND_INTEGER, false, 0, INT64_C(1) << 52, "at least that many bytes"},
    {"max_age", TEND_DURATION, false, 0, 0, "modified no longer ago than that"},
    {0},
};

static const struct tend_param directory_params[] = {
    {"path", TEND_TEXT, true, 0, 0, "the directory"},
    {"readable", TEND_BOOL, false, 0, 0, "tend's user may list and enter it (default true)"},
    {"writable", TEND_BOOL, false, 0, 0, "tend's user may create files in it"},
    {"non_empty", TEND_BOOL, false, 0, 0, "it holds at least one entry"},
    {"max_age", TEND_DURATION, false, 0, 0, "an entry was made or removed no longer ago than that"},
    {0},
};

struct run {
  struct tend_probe *probe;
  struct children *children;
  uint32_t child;
  const struct tend_params *params;
};

static bool said(const cJSON *facts, const char *key) {
  return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(facts, key));
}

static double number(const cJSON *facts, const char *key) {
  const cJSON *v = cJSON_GetObjectItemCaseSensitive(facts, key);
  return cJSON_IsNumber(v) ? v->valuedouble : 0;
}

/* Compares what the helper found with what was asked for. */
static void judge(struct run *r, const cJSON *facts) {
  struct tend_probe *p = r->probe;
  const struct tend_params *ps = r->params;
  const char *path = probe_param_text(ps, "path"), *kind = probe_kind_of(p);
  const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(facts, "type"));
  const char *error = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(facts, "error"));
  bool directory = STR_EQ(kind, "directory");
  if (!type) {
    int e = (int)number(facts, "errno");
    const char *reason = e == ENOENT || e == ENOTDIR || e == ENXIO ? "missing" : e == EACCES ? "permission" : "io";
    probe_end(p, TEND_FAIL, reason, "%s %s: %s", kind, path, error ? error : "no answer");
    return;
  }
  /* a socket, a pipe or a device will do as a file */
  if (directory != STR_EQ(type, "directory")) {
    probe_end(p, TEND_FAIL, "type", "%s is a %s, expected a %s", path, type, kind);
    return;
  }
  static const struct {
    const char *key;
    bool fallback;
  } rights[] = {{"readable", true}, {"writable", false}, {"executable", false}};
  for (size_t i = 0; i < ARRAY_LEN(rights); i++)
    if (probe_param_bool(ps, rights[i].key, rights[i].fallback) && !said(facts, rights[i].key)) {
      bool ro = STR_EQ(rights[i].key, "writable") && said(facts, "read_only");
      probe_end(p, TEND_FAIL, ro ? "read_only" : "permission", "%s %s is not %s for %s%s", kind, path, rights[i].key,
                ro ? "anyone" : "tend's user", ro ? ": its file system is mounted read-only" : "");
      return;
    }
  double size = number(facts, "size"), min = probe_param_number(ps, "min_size", 0);
  if (probe_param_bool(ps, "non_empty", false) && said(facts, "empty")) {
    probe_end(p, TEND_FAIL, "empty", "%s %s is empty", kind, path);
    return;
  }
  if (size < min) {
    probe_end(p, TEND_FAIL, "small", "%s %s has %.0f bytes, expected at least %.0f", kind, path, size, min);
    return;
  }
  int64_t max_age = probe_param_ns(ps, "max_age", TIME_NEVER);
  double age_s = number(facts, "age_s");
  if (max_age != TIME_NEVER && age_s * (double)NS_PER_S > (double)max_age) {
    char most[32];
    probe_end(p, TEND_FAIL, "old", "%s %s was modified %.0f s ago, expected at most %s", kind, path, age_s,
              str_format_duration(max_age, most, sizeof most));
    return;
  }
  struct tend_fact out[] = {{.name = "size", .number = size}, {.name = "age_s", .number = age_s}};
  probe_env_of(p)->host.probe_done(p, &(struct tend_result){.status = TEND_OK, .facts = out, .nfacts = 2});
}

static void on_exited(void *arg, uint32_t child, const struct child_exit *e) {
  (void)child;
  struct run *r = arg;
  auto_json cJSON *facts = NULL;
  struct err err = ERR_INIT;
  if (WIFEXITED(e->status) && WEXITSTATUS(e->status) == 0 && e->out &&
      json_parse(e->out->data, e->out->len, "tend helper stat", &facts, &err) == 0)
    judge(r, facts);
  else
    probe_end(r->probe, TEND_UNKNOWN, "exec", "tend helper stat ended with status %d: %.100s", e->status,
              e->out ? buf_cstr(e->out) : err.msg);
  free(r);
}

static void on_failed(void *arg, uint32_t child, enum spawn_stage stage, int error) {
  (void)child;
  (void)stage;
  struct run *r = arg;
  probe_end(r->probe, TEND_UNKNOWN, "exec", "tend helper stat cannot be run: %s", strerror(error));
  free(r);
}

static void on_started(void *arg, uint32_t child, pid_t pid) {
  (void)arg;
  (void)child;
  (void)pid;
}

static const struct child_ops ops = {.started = on_started, .failed = on_failed, .exited = on_exited};

static void cancel(void *run) {
  struct run *r = run;
  children_kill(r->children, r->child, SIGKILL, KILL_GROUP);
  children_forget(r->children, r->child);
  free(r);
}

static void *start(const struct tend_host *host, struct tend_probe *p, const struct tend_params *ps,
                   int64_t deadline_ns, char *msg, size_t size) {
  (void)deadline_ns;
  struct err err = ERR_INIT;
  struct run *r = calloc(1, sizeof *r);
  auto_buf struct buf path = {0};
  buf_str(&path, probe_param_text(ps, "path"));
  if (!r || path.failed) {
    free(r);
    snprintf(msg, size, "no memory");
    return NULL;
  }
  *r = (struct run){.probe = p, .children = probe_env_of(p)->children, .params = ps};
  char tend[] = "tend", helper[] = "helper", stat[] = "stat", *argv[] = {tend, helper, stat, path.data, NULL};
  struct child_spec spec = {.kind = CHILD_HELPER, .name = "stat", .argv = argv};
  if (r->children)
    r->child = children_spawn(r->children, &spec, &ops, r, &err);
  else
    err_set(&err, -EINVAL, "there is no one to run it");
  char doing[160];
  snprintf(doing, sizeof doing, "looking at %s", buf_cstr(&path));
  host->probe_progress(p, doing);
  if (!r->child) {
    probe_end(p, TEND_UNKNOWN, "exec", "tend helper stat cannot be run: %s", err.msg);
    free(r);
    return NULL;
  }
  return r;
}

const struct tend_probe_kind probe_kind_file = {
    .name = "file", .doc = "A file is there and can be used.", .params = file_params, .start = start, .cancel = cancel};
const struct tend_probe_kind probe_kind_directory = {.name = "directory",
                                                     .doc = "A directory is there and can be used.",
                                                     .params = directory_params,
                                                     .start = start,
                                                     .cancel = cancel};
