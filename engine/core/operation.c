#include "core/operation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"

/* --- the table --------------------------------------------------------------------------------------------------- */

static const struct operation_arg no_args[] = {{0}};

#define WAIT_ARG \
  { .name = "wait", .type = ARG_BOOL, .place = ARG_OPTION, .option = "--no-wait", .doc = "do not wait for the outcome" }
#define DRY_RUN_ARG \
  { \
    .name = "dry_run", .type = ARG_BOOL, .place = ARG_OPTION, .option = "--dry-run", \
    .doc = "say what would be done, do nothing" \
  }
#define PROCESS_ARG(text) \
  { .name = "process", .type = ARG_STRING, .place = ARG_WORD, .value = "PROCESS", .names = "process", .doc = (text) }

static const struct operation_arg metrics_args[] = {{.name = "format",
                                                     .type = ARG_STRING,
                                                     .choices = "json|prometheus",
                                                     .doc = "prometheus: {\"text\"}, as /metrics has it"},
                                                    {0}};
static const struct operation_arg report_args[] = {{.name = "file",
                                                    .type = ARG_STRING,
                                                    .place = ARG_WORD,
                                                    .local = true,
                                                    .value = "FILE",
                                                    .names = "file",
                                                    .doc = "where it is written; else standard output"},
                                                   {0}};
static const struct operation_arg events_args[] = {
    {.name = "follow", .type = ARG_BOOL, .place = ARG_OPTION, .doc = "go on with what happens"},
    {.name = "last",
     .type = ARG_INTEGER,
     .place = ARG_OPTION,
     .max = LIMIT_EVENTS,
     .value = "N",
     .doc = "no more than N to begin with"},
    {.name = "level",
     .type = ARG_STRING,
     .place = ARG_OPTION,
     .value = "LEVEL",
     .choices = "DEBUG|INFO|WARNING|ERROR|CRITICAL",
     .doc = "this level and above"},
    {.name = "from",
     .type = ARG_INTEGER,
     .max = INT64_C(1) << 52,
     .doc = "the number of the first event that is wanted"},
    {0}};
static const struct operation_arg logs_args[] = {
    PROCESS_ARG("whose; without: all"),
    {.name = "follow", .type = ARG_BOOL, .place = ARG_OPTION, .doc = "go on with what is written"},
    {.name = "instance", .type = ARG_INTEGER, .min = -1, .max = LIMIT_INSTANCES, .doc = "which of several; -1: all"},
    {0}};
static const struct operation_arg setting_args[] = {
    {.name = "name", .type = ARG_STRING, .required = true, .value = "NAME", .doc = "of the setting"}, {0}};
static const struct operation_arg check_args[] = {{.name = "name",
                                                   .type = ARG_STRING,
                                                   .place = ARG_WORD,
                                                   .required = true,
                                                   .value = "NAME",
                                                   .names = "check",
                                                   .doc = "of a check or dependency"},
                                                  {0}};
static const struct operation_arg process_args[] = {PROCESS_ARG("which; without: all"), WAIT_ARG, {0}};
static const struct operation_arg wait_args[] = {WAIT_ARG, {0}};
static const struct operation_arg reload_args[] = {DRY_RUN_ARG, WAIT_ARG, {0}};
static const struct operation_arg release_args[] = {{.name = "task",
                                                     .type = ARG_STRING,
                                                     .place = ARG_WORD,
                                                     .value = "TASK",
                                                     .doc = "which, as status names it; without: all"},
                                                    {0}};
static const struct operation_arg remediate_args[] = {{.name = "action",
                                                       .type = ARG_STRING,
                                                       .place = ARG_WORD,
                                                       .required = true,
                                                       .value = "ACTION",
                                                       .names = "remedy",
                                                       .doc = "a remedy, or one of its steps"},
                                                      DRY_RUN_ARG,
                                                      WAIT_ARG,
                                                      {0}};
static const struct operation_arg maintenance_args[] = {{.name = "on",
                                                         .type = ARG_BOOL,
                                                         .place = ARG_WORD,
                                                         .required = true,
                                                         .choices = "on|off",
                                                         .doc = "on: remedies rest"},
                                                        {.name = "for",
                                                         .type = ARG_DURATION,
                                                         .place = ARG_KEYWORD,
                                                         .value = "DURATION",
                                                         .doc = "90, 30m, 2h; without: until it is turned off"},
                                                        WAIT_ARG,
                                                        {0}};
static const struct operation_arg log_level_args[] = {{.name = "level",
                                                       .type = ARG_STRING,
                                                       .place = ARG_WORD,
                                                       .value = "LEVEL",
                                                       .choices = "DEBUG|INFO|WARNING|ERROR|CRITICAL",
                                                       .doc = "the new one; without: tell the present one"},
                                                      {0}};
static const struct operation_arg hello_args[] = {
    {.name = "read_only", .type = ARG_BOOL, .doc = "true: this connection only looks, from now on"}, {0}};
static const struct operation_arg cancel_args[] = {{.name = "id",
                                                    .type = ARG_INTEGER,
                                                    .required = true,
                                                    .max = INT64_C(1) << 53,
                                                    .doc = "of the request that is to end"},
                                                   {0}};
static const struct operation_arg repl_args[] = {{.name = "options", .type = ARG_ANY, .doc = "the prompt's own"}, {0}};
static const struct operation_arg eval_args[] = {
    {.name = "code", .type = ARG_STRING, .required = true, .doc = "a Lua chunk"},
    {.name = "options", .type = ARG_ANY, .doc = "the prompt's own"},
    {0}};
static const struct operation_arg set_args[] = {
    {.name = "name", .type = ARG_STRING, .required = true, .doc = "of the setting"},
    {.name = "value", .type = ARG_ANY, .doc = "null or none: as the files say"},
    {0}};
static const struct operation_arg change_args[] = {
    {.name = "what",
     .type = ARG_STRING,
     .required = true,
     .choices = "checks|dependencies|processes|remedies",
     .doc = "where in the flow it is"},
    {.name = "name", .type = ARG_STRING, .required = true, .doc = "of the one that is changed"},
    {.name = "fields", .type = ARG_ANY, .required = true, .doc = "as in the flow; null: as the flow says"},
    {0}};
static const struct operation_arg complete_args[] = {
    {.name = "text", .type = ARG_STRING, .required = true, .doc = "the line so far"},
    {.name = "options", .type = ARG_ANY, .doc = "the prompt's own"},
    {0}};

#define READS .right = RIGHT_READ
#define CHANGES .right = RIGHT_OPERATE, .audit = true, .waits = true

const struct operation operations[] = {
    {"status", "what runs, since when, what is wrong, what comes next", true, READS, .json = true, .args = no_args},
    {"health", "the verdict; ends with 0 when healthy or degraded, else 1", true, READS, .json = true, .args = no_args},
    {"why", "why the engine is in its present state", true, READS, .json = true, .args = no_args},
    {"metrics", "the engine's numbers", true, READS, .json = true, .args = metrics_args},
    {"report", "the whole report as JSON, into a file where one is given", true, READS, .args = report_args},
    {"events", "the last events", true, READS, .json = true, .args = events_args},
    {"logs", "the last output of the processes", true, READS, .json = true, .args = logs_args},
    {"start", "start what was stopped", true, CHANGES, .args = process_args},
    {"stop", "stop the processes; tend stays", true, CHANGES, .args = process_args},
    {"restart", "stop, and start again", true, CHANGES, .args = process_args},
    {"shutdown", "stop everything in order, and end tend", true, CHANGES, .args = wait_args},
    {"reload", "load settings, flow and scripts anew", true, CHANGES, .reads_with = "dry_run", .args = reload_args},
    {"release", "let a function run again that was quarantined", true, CHANGES, .args = release_args},
    {"remediate", "run a remedy, or one of its steps, now", true, CHANGES, .reads_with = "dry_run",
     .args = remediate_args},
    {"maintenance", "on: checks run, remedies do not", true, CHANGES, .args = maintenance_args},
    {"check-now", "run a check or dependency once; ends with 0 when good, else 1", true, .right = RIGHT_OPERATE,
     .waits = true, .json = true, .args = check_args},
    {"log-level", "tell or set the level of the log, until tend ends", true, CHANGES, .reads_without = "level",
     .args = log_level_args},
    {"hello", "what the engine is and can; a client may give up its right to change", false, READS, .args = hello_args},
    {"help", "these operations, with those of scripts", false, READS, .args = no_args},
    {"cancel", "end another request of this connection", false, READS, .args = cancel_args},
    {"setting", "one setting as the engine uses it; never a secret value", false, READS, .args = setting_args},
    {"repl", "open a prompt, for as long as the client stays: its number comes as a part", false, READS, .own = true,
     .waits = true, .args = repl_args},
    {"set", "a setting by hand, over what the files say", false, CHANGES, .own = true, .args = set_args},
    {"change", "fields of a check, process … by hand, over what the flow says", false, CHANGES, .own = true,
     .args = change_args},
    {"undo", "take back what was changed by hand", false, CHANGES, .own = true, .args = no_args},
    {"by-hand", "what was changed by hand, and what the files say", false, READS, .args = no_args},
    {"eval", "run a Lua chunk; what it prints comes as parts", false, READS, .own = true, .audit = true, .waits = true,
     .args = eval_args},
    {"complete", "what may follow in a Lua line", false, READS, .own = true, .args = complete_args},
    {0},
};

/* Commands that need no engine. */
static const char *const words[] = {"run",     "check",  "simulate", "config", "script", "explain",
                                    "version", "helper", "repl",     "test",   "tend",   "help"};

const struct operation *operation_find(const char *name) {
  for (const struct operation *op = operations; op->name; op++)
    if (STR_EQ(op->name, name)) return op;
  return NULL;
}

bool operation_is_taken(const char *name) {
  for (size_t i = 0; i < ARRAY_LEN(words); i++)
    if (STR_EQ(words[i], name)) return true;
  return operation_find(name) != NULL;
}

const char *right_name(enum right r) { return r == RIGHT_READ ? "read-only" : "operator"; }

/* --- requests ---------------------------------------------------------------------------------------------------- */

static const struct operation_arg *find_arg(const struct operation *op, const char *name) {
  for (const struct operation_arg *a = op->args; a->name; a++)
    if (!a->local && STR_EQ(a->name, name)) return a;
  return NULL;
}

static int refuse_unknown(const struct operation *op, const char *name, struct err *err) {
  const char *names[32];
  size_t n = 0;
  for (const struct operation_arg *a = op->args; a->name && n < ARRAY_LEN(names); a++)
    if (!a->local) names[n++] = a->name;
  const char *near = str_nearest(name, names, n);
  return err_set(err, -EINVAL, "%s has no argument \"%.64s\"%s%s%s", op->name, name, near ? "; did you mean \"" : "",
                 near ? near : "", near ? "\"?" : "");
}

static bool is_choice(const char *choices, const char *text) {
  size_t n = strlen(text);
  for (const char *p = choices; n && *p; p += *p == '|') {
    size_t k = strcspn(p, "|");
    if (k == n && strncasecmp(p, text, n) == 0) return true;
    p += k;
  }
  return false;
}

static int wrong(const struct operation *op, const struct operation_arg *a, const char *expected, const cJSON *v,
                 struct err *err) {
  auto_buf struct buf got = {0};
  struct json j = JSON_INIT(&got);
  json_value(&j, NULL, v);
  return err_set(err, -EINVAL, "%s: argument \"%s\": expected %s, got %.80s%s", op->name, a->name, expected,
                 buf_cstr(&got), got.len > 80 ? "…" : "");
}

static int check_arg(const struct operation *op, const struct operation_arg *a, const cJSON *v, struct err *err) {
  char expected[128];
  double d = cJSON_IsNumber(v) ? v->valuedouble : 0;
  int64_t ns;
  switch (a->type) {
    case ARG_STRING:
      if (!cJSON_IsString(v)) return wrong(op, a, "a text", v, err);
      if (!a->choices || is_choice(a->choices, v->valuestring)) return 0;
      snprintf(expected, sizeof expected, "one of %s", a->choices);
      return wrong(op, a, expected, v, err);
    case ARG_BOOL:
      return cJSON_IsBool(v) ? 0 : wrong(op, a, "true or false", v, err);
    case ARG_NUMBER:
      return cJSON_IsNumber(v) ? 0 : wrong(op, a, "a number", v, err);
    case ARG_DURATION:
      if (cJSON_IsNumber(v) && d >= 0) return 0;
      if (cJSON_IsString(v) && str_duration(v->valuestring, 1, &ns) == 0) return 0;
      return wrong(op, a, "a duration like 90, 30m or 2h", v, err);
    case ARG_INTEGER:
      if (a->min == a->max) {
        if (cJSON_IsNumber(v) && d > -9e15 && d < 9e15 && d == (double)(int64_t)d) return 0;
        return wrong(op, a, "a whole number", v, err);
      }
      if (cJSON_IsNumber(v) && d >= (double)a->min && d <= (double)a->max && d == (double)(int64_t)d) return 0;
      snprintf(expected, sizeof expected, "a whole number from %lld to %lld", (long long)a->min, (long long)a->max);
      return wrong(op, a, expected, v, err);
    case ARG_ANY:
      break;
  }
  return 0;
}

int operation_check(const struct operation *op, const cJSON *args, struct err *err) {
  const cJSON *v;
  cJSON_ArrayForEach(v, args) {
    const struct operation_arg *a = find_arg(op, v->string);
    if (!a) return refuse_unknown(op, v->string, err);
    int rc = cJSON_IsNull(v) ? 0 : check_arg(op, a, v, err);
    if (rc) return rc;
  }
  for (const struct operation_arg *a = op->args; a->name; a++) {
    const cJSON *given = cJSON_GetObjectItemCaseSensitive(args, a->name);
    if (a->required && !a->local && (!given || cJSON_IsNull(given)))
      return err_set(err, -EINVAL, "%s: the argument \"%s\" is missing%s%s", op->name, a->name, a->doc ? ": " : "",
                     a->doc ? a->doc : "");
  }
  return 0;
}

enum right operation_right(const struct operation *op, const cJSON *args) {
  if (op->reads_with && cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(args, op->reads_with))) return RIGHT_READ;
  if (op->reads_without && !cJSON_GetObjectItemCaseSensitive(args, op->reads_without)) return RIGHT_READ;
  return op->right;
}
