/* Kinds file and directory: it is there, of that type, and can be used as asked. The look itself is taken by a child
 * (`tend helper stat`), because stat on a dead mount hangs in the kernel.
 */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "probes/look.h"
#include "probes/params.h"

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

static bool said(const cJSON *facts, const char *key) {
  return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(facts, key));
}

/* Compares what the helper found with what was asked for. */
static void judge(struct tend_probe *p, const struct tend_params *ps, const cJSON *facts) {
  const char *path = probe_param_text(ps, "path"), *kind = probe_kind_of(p);
  const char *type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(facts, "type"));
  const char *error = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(facts, "error"));
  bool directory = STR_EQ(kind, "directory");
  if (!type) {
    int e = (int)probe_look_number(facts, "errno");
    probe_end(p, TEND_FAIL, probe_look_reason(e), "%s %s: %s", kind, path, error ? error : "no answer");
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
  double size = probe_look_number(facts, "size"), min = probe_param_number(ps, "min_size", 0);
  if (probe_param_bool(ps, "non_empty", false) && said(facts, "empty")) {
    probe_end(p, TEND_FAIL, "empty", "%s %s is empty", kind, path);
    return;
  }
  if (size < min) {
    probe_end(p, TEND_FAIL, "small", "%s %s has %.0f bytes, expected at least %.0f", kind, path, size, min);
    return;
  }
  int64_t max_age = probe_param_ns(ps, "max_age", TIME_NEVER);
  double age_s = probe_look_number(facts, "age_s");
  if (max_age != TIME_NEVER && age_s * (double)NS_PER_S > (double)max_age) {
    char most[32];
    probe_end(p, TEND_FAIL, "old", "%s %s was modified %.0f s ago, expected at most %s", kind, path, age_s,
              str_format_duration(max_age, most, sizeof most));
    return;
  }
  struct tend_fact out[] = {{.name = "size", .number = size}, {.name = "age_s", .number = age_s}};
  probe_env_of(p)->host.probe_done(p, &(struct tend_result){.status = TEND_OK, .facts = out, .nfacts = 2});
}

static void *start(const struct tend_host *host, struct tend_probe *p, const struct tend_params *ps,
                   int64_t deadline_ns, char *msg, size_t size) {
  (void)host;
  (void)deadline_ns;
  return probe_look_start(p, ps, "stat", probe_param_text(ps, "path"), NULL, judge, msg, size);
}

const struct tend_probe_kind probe_kind_file = {.name = "file",
                                                .doc = "A file is there and can be used.",
                                                .params = file_params,
                                                .start = start,
                                                .cancel = probe_look_cancel};
const struct tend_probe_kind probe_kind_directory = {.name = "directory",
                                                     .doc = "A directory is there and can be used.",
                                                     .params = directory_params,
                                                     .start = start,
                                                     .cancel = probe_look_cancel};
