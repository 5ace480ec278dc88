/* The command line of what asks a running engine, read by the operation's table. */
#include "client/asked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

static int wrong(const struct asked *q, const char *what, const char *word, const char *const *near, size_t n) {
  const char *nearest = near ? str_nearest(word, near, n) : NULL;
  fprintf(stderr, "tend %s: %s%s%s%s%s\n", q->op->name, what, word, nearest ? "; did you mean \"" : "",
          nearest ? nearest : "", nearest ? "\"?" : "");
  return CLIENT_USAGE;
}

/* "--name VALUE" or "--name=VALUE": *value, and *i moved on; NULL where it is missing. */
static bool takes(const char *option, int argc, char **argv, int *i, const char **value) {
  size_t n = strlen(option);
  if (strncmp(argv[*i], option, n) != 0) return false;
  if (argv[*i][n] == '=') {
    *value = argv[*i] + n + 1;
    return true;
  }
  if (argv[*i][n]) return false;
  *value = *i + 1 < argc ? argv[++*i] : NULL;
  return true;
}

static bool is_flag(const struct operation_arg *a) { return a->type == ARG_BOOL && a->place == ARG_OPTION; }

/* "--no-wait": the name alone. */
static void option_name(const struct operation_arg *a, char *out, size_t size) {
  auto_buf struct buf b = {0};
  operation_arg_usage(a, &b);
  str_copy(out, size, buf_cstr(&b));
  out[strcspn(out, " ")] = 0;
}

/* --- values ------------------------------------------------------------------------------------------------------ */

static bool is_choice(const char *choices, const char *text) {
  size_t n = strlen(text);
  for (const char *p = choices; *p; p += *p == '|') {
    size_t k = strcspn(p, "|");
    if (k == n && strncasecmp(p, text, n) == 0) return true;
    p += k;
  }
  return false;
}

static int wrong_choice(const struct asked *q, const struct operation_arg *a, const char *text) {
  char list[256];
  const char *names[16];
  size_t n = 0;
  str_copy(list, sizeof list, a->choices);
  for (char *p = list, *save = NULL; n < ARRAY_LEN(names) && (p = strtok_r(p, "|", &save)); p = NULL) names[n++] = p;
  auto_buf struct buf what = {0};
  buf_str(&what, "expected ");
  for (size_t i = 0; i < n; i++) buf_fmt(&what, "%s%s", i ? i + 1 < n ? ", " : " or " : "", names[i]);
  buf_str(&what, ", not ");
  return wrong(q, buf_cstr(&what), text, names, n);
}

static int check_value(const struct asked *q, const struct operation_arg *a, const char *text) {
  char name[64], what[160];
  int64_t n;
  bool on;
  char *end = NULL;
  option_name(a, name, sizeof name);
  bool whole = a->min == a->max;
  switch (a->type) {
    case ARG_BOOL:
      return a->place == ARG_OPTION || str_bool(text, &on) == 0 ? CLIENT_OK : wrong_choice(q, a, text);
    case ARG_DURATION:
      if (str_duration(text, NS_PER_S, &n) == 0 && n > 0) return CLIENT_OK;
      return wrong(q, "expected a duration like 90, 30m or 2h, not ", text, NULL, 0);
    case ARG_INTEGER:
      if (str_int(text, whole ? INT64_MIN : a->min, whole ? INT64_MAX : a->max, &n) == 0) return CLIENT_OK;
      if (whole)
        snprintf(what, sizeof what, "%s expects a whole number, not ", name);
      else
        snprintf(what, sizeof what, "%s expects a number from %lld to %lld, not ", name, (long long)a->min,
                 (long long)a->max);
      return wrong(q, what, text, NULL, 0);
    case ARG_NUMBER:
      (void)strtod(text, &end);
      if (*text && !*end) return CLIENT_OK;
      snprintf(what, sizeof what, "%s expects a number, not ", name);
      return wrong(q, what, text, NULL, 0);
    case ARG_STRING:
    case ARG_ANY:
      break;
  }
  return !a->choices || is_choice(a->choices, text) ? CLIENT_OK : wrong_choice(q, a, text);
}

static int take(struct asked *q, const struct operation_arg *a, const char *text) {
  int rc = is_flag(a) ? CLIENT_OK : check_value(q, a, text);
  if (rc) return rc;
  for (size_t i = 0; i < q->n; i++)
    if (q->given[i].arg == a) {
      q->given[i].text = text; /* the last one counts */
      return CLIENT_OK;
    }
  if (q->n < ARRAY_LEN(q->given)) q->given[q->n++] = (struct asked_value){a, text};
  return CLIENT_OK;
}

/* --- words ------------------------------------------------------------------------------------------------------- */

static int unknown_option(const struct asked *q, const char *option) {
  char room[LIMIT_COMMAND_ARGS][64];
  const char *names[LIMIT_COMMAND_ARGS + 4] = {"--json", "--flow-name", "--state-dir", "--read-only"};
  size_t n = 4, k = 0;
  for (const struct operation_arg *a = q->op->args; a->name && k < LIMIT_COMMAND_ARGS; a++) {
    if (a->place != ARG_OPTION) continue;
    option_name(a, room[k], sizeof room[k]);
    names[n++] = room[k++];
  }
  return wrong(q, "unknown option ", option, names, n);
}

static int parse_option(struct asked *q, int argc, char **argv, int *i) {
  const char *option = argv[*i], *value = NULL;
  if (STR_EQ(option, "--json")) {
    q->json = true;
    return CLIENT_OK;
  }
  if (STR_EQ(option, "--read-only")) {
    q->read_only = true;
    return CLIENT_OK;
  }
  if (takes("--flow-name", argc, argv, i, &value)) {
    q->flow = value;
    return value ? CLIENT_OK : wrong(q, "a value is missing after ", "--flow-name", NULL, 0);
  }
  if (takes("--state-dir", argc, argv, i, &value)) {
    q->state_dir = value;
    return value ? CLIENT_OK : wrong(q, "a value is missing after ", "--state-dir", NULL, 0);
  }
  for (const struct operation_arg *a = q->op->args; a->name; a++) {
    char name[64];
    if (a->place != ARG_OPTION) continue;
    option_name(a, name, sizeof name);
    bool brief = STR_EQ(option, "-f") && STR_EQ(name, "--follow");
    if (is_flag(a) && (STR_EQ(option, name) || brief)) return take(q, a, NULL);
    if (is_flag(a) || !takes(name, argc, argv, i, &value)) continue;
    return value ? take(q, a, value) : wrong(q, "a value is missing after ", name, NULL, 0);
  }
  return unknown_option(q, option);
}

static bool is_given(const struct asked *q, const struct operation_arg *a) {
  for (size_t i = 0; i < q->n; i++)
    if (q->given[i].arg == a) return true;
  return false;
}

static int parse_word(struct asked *q, int argc, char **argv, int *i) {
  for (const struct operation_arg *a = q->op->args; a->name; a++) {
    if (is_given(q, a)) continue;
    if (a->place == ARG_WORD) return take(q, a, argv[*i]);
    if (a->place == ARG_KEYWORD && STR_EQ(argv[*i], a->name) && *i + 1 < argc) return take(q, a, argv[++*i]);
  }
  return wrong(q, "unexpected argument ", argv[*i], NULL, 0);
}

int asked_parse(struct asked *q, int argc, char **argv) {
  bool only_words = false;
  for (int i = 1; i < argc; i++) {
    int rc = CLIENT_OK;
    if (STR_EQ(argv[i], "--") && !only_words)
      only_words = true;
    else if (argv[i][0] == '-' && argv[i][1] && !only_words)
      rc = parse_option(q, argc, argv, &i);
    else
      rc = parse_word(q, argc, argv, &i);
    if (rc) return rc;
  }
  for (const struct operation_arg *a = q->op->args; a->name; a++) {
    if (!a->required || a->place == ARG_PROTOCOL || is_given(q, a)) continue;
    auto_buf struct buf usage = {0};
    operation_arg_usage(a, &usage);
    return wrong(q, "an argument is missing: ", buf_cstr(&usage), NULL, 0);
  }
  if (STR_EQ(q->op->name, "maintenance") && asked_text(q, "for") && !asked_on(q, "on"))
    return wrong(q, "off takes no duration: ", asked_text(q, "for"), NULL, 0);
  return CLIENT_OK;
}

void asked_where(struct asked *q, int argc, char **argv) {
  for (int i = 1; i < argc && !STR_EQ(argv[i], "--"); i++)
    if (!takes("--flow-name", argc, argv, &i, &q->flow)) takes("--state-dir", argc, argv, &i, &q->state_dir);
}

/* --- what was given ---------------------------------------------------------------------------------------------- */

static const struct asked_value *find(const struct asked *q, const char *name) {
  for (size_t i = 0; i < q->n; i++)
    if (STR_EQ(q->given[i].arg->name, name)) return &q->given[i];
  return NULL;
}

const char *asked_text(const struct asked *q, const char *name) {
  const struct asked_value *v = find(q, name);
  return v ? v->text : NULL;
}

static bool value_on(const struct asked_value *v) {
  bool on = true;
  if (v->text) (void)str_bool(v->text, &on);
  return v->arg->option && str_starts(v->arg->option, "--no-") ? !on : on;
}

bool asked_on(const struct asked *q, const char *name) {
  const struct asked_value *v = find(q, name);
  return v && value_on(v);
}

void asked_args(const struct asked *q, struct buf *out) {
  struct json j = JSON_INIT(out);
  json_object(&j, NULL);
  for (size_t i = 0; i < q->n; i++) {
    const struct asked_value *v = &q->given[i];
    int64_t n = 0;
    if (v->arg->local || (q->seen && STR_EQ(v->arg->name, "last"))) continue;
    if (v->arg->type == ARG_BOOL)
      json_bool(&j, v->arg->name, value_on(v));
    else if (v->arg->type == ARG_INTEGER && str_int(v->text, INT64_MIN, INT64_MAX, &n) == 0)
      json_int(&j, v->arg->name, n);
    else if (v->arg->type == ARG_NUMBER)
      json_num(&j, v->arg->name, strtod(v->text, NULL));
    else
      json_str(&j, v->arg->name, v->text);
  }
  if (q->seen) json_int(&j, "from", q->seen + 1);
  json_object_end(&j);
}
