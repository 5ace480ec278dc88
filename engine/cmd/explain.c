/* tend explain: what an exit code, a signal, an event, a state, a cause, a reason or a setting means, from the tables
 * that the program itself uses. A setting is shown with the value that tend would take here. --docs writes the
 * generated parts of the pages. Starts nothing. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clean.h"
#include "base/limits.h"
#include "base/str.h"
#include "client/client.h"
#include "cmd/cmd.h"
#include "cmd/load.h"
#include "cmd/options.h"
#include "core/explain.h"
#include "core/machine.h"
#include "core/plan.h"

enum { FOUND_MAX = 16, SHOWN_MAX = 60, NAME_WIDTH = 24, SETTING_WIDTH = 44 };

/* --- one topic --------------------------------------------------------------------------------------------------- */

/* `x` in the tables is for the pages. */
static void plain(const char *text, struct buf *out) {
  for (; *text; text++)
    if (*text != '`') buf_char(out, *text);
}

static void put_line(const char *title, const char *text) {
  auto_buf struct buf b = {0};
  plain(text, &b);
  if (b.len) printf("  %s%s%s\n", title, *title ? ": " : "", buf_cstr(&b));
}

static void topic_text(const struct explain *e) {
  printf("%s  %s\n", e->name, explain_kind_title(e->kind));
  put_line("", e->doc);
  if (e->component) put_line("component", e->component);
  if (e->keys) put_line("details", STR_EQ(e->keys, "*") ? "whatever the script gave" : e->keys);
  if (e->kind == EXPLAIN_SIGNAL) printf("  exit code of a workload that it ends: %d\n", e->code);
  put_line("look at", e->look);
}

static void topic_json(const struct explain *e, struct json *j) {
  auto_buf struct buf doc = {0}, look = {0};
  plain(e->doc, &doc);
  plain(e->look, &look);
  json_object(j, NULL);
  json_str(j, "kind", explain_kind_name(e->kind));
  json_str(j, "name", e->name);
  json_str(j, "doc", buf_cstr(&doc));
  json_str(j, "look", look.len ? buf_cstr(&look) : NULL);
  if (e->code >= 0) json_int(j, "code", e->code);
  if (e->component) json_str(j, "component", e->component);
  if (e->keys) {
    json_array(j, "details");
    for (const char *p = e->keys; *p;) {
      size_t n = strcspn(p, " ");
      json_strn(j, NULL, p, n);
      p += n + (p[n] == ' ');
    }
    json_array_end(j);
  }
  json_object_end(j);
}

/* --- one setting ------------------------------------------------------------------------------------------------- */

/* A value on one line. */
static void put_value(const char *title, const char *value, const char *origin) {
  auto_buf struct buf b = {0};
  for (const char *p = value; *p; p++) buf_char(&b, (unsigned char)*p < 0x20 || *p == 0x7f ? ' ' : *p);
  printf("  %s: %s, from %s\n", title, buf_cstr(&b), origin);
}

/* running: what the engine that runs here says of it, NULL for none. */
static void setting_text(const struct setting_view *v, const cJSON *running) {
  auto_buf struct buf allowed = {0};
  const struct setting_def *def = v->def;
  setting_allowed(def, &allowed);
  printf("%s  setting\n", def->name);
  put_line("", def->doc ? def->doc : "");
  put_line("takes", buf_cstr(&allowed));
  put_line("default", def->fallback ? setting_default(def) : "none");
  if (v->shown)
    put_value("here", v->shown, v->origin);
  else
    puts("  here: not set");
  const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(running, "value"));
  const char *origin = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(running, "origin"));
  if (value && origin)
    put_value("in the engine that runs", value, origin);
  else if (running)
    puts("  in the engine that runs: not set");
  printf("  also given as: %s_FILE, a path whose content is the value\n", def->name);
  if (def->flags & SETTING_REQUIRED) puts("  required");
  if (def->flags & SETTING_SECRET) puts("  secret: shown as ***");
  if (def->flags & SETTING_RELOADABLE) puts("  a reload may change it");
}

static void setting_json(const struct setting_view *v, const cJSON *running, struct json *j) {
  auto_buf struct buf allowed = {0}, file = {0};
  const struct setting_def *def = v->def;
  setting_allowed(def, &allowed);
  buf_fmt(&file, "%s_FILE", def->name);
  json_object(j, NULL);
  json_str(j, "kind", "setting");
  json_str(j, "name", def->name);
  json_str(j, "doc", def->doc ? def->doc : "");
  json_str(j, "takes", buf_cstr(&allowed));
  json_str(j, "default", setting_default(def));
  json_str(j, "file", buf_cstr(&file));
  json_bool(j, "required", def->flags & SETTING_REQUIRED);
  json_bool(j, "secret", def->flags & SETTING_SECRET);
  json_bool(j, "reloadable", def->flags & SETTING_RELOADABLE);
  json_str(j, "value", v->shown);
  json_str(j, "origin", v->shown ? v->origin : NULL);
  if (running) json_value(j, "running", running);
  json_object_end(j);
}

/* "restart_policy", "CONTAINER_RESTART_POLICY" and "…_FILE" are CONTAINER_RESTART_POLICY. */
static bool same_name(const char *name, const char *word) {
  size_t prefix = strlen("CONTAINER_");
  if (strncasecmp(word, "CONTAINER_", prefix) == 0) word += prefix;
  name += prefix;
  size_t n = strlen(name);
  return strncasecmp(name, word, n) == 0 && (!word[n] || strcasecmp(word + n, "_FILE") == 0);
}

/* The ith of CONTAINER_DATABASE_<NAME>_POOL_SIZE and so on; name holds the name of *def. */
static bool family_at(size_t i, struct setting_def *def, struct buf *name) {
  const struct setting_def *field = settings_family_field(i);
  if (!field) return false;
  *def = *field;
  buf_clear(name);
  buf_fmt(name, "CONTAINER_DATABASE_<NAME>%s", field->name);
  def->name = buf_cstr(name);
  return true;
}

/* One of these, of a database that is not given here. */
static bool find_family(const char *word, struct setting_def *def, struct buf *name) {
  size_t prefix = strlen("CONTAINER_");
  if (strncasecmp(word, "CONTAINER_", prefix) == 0) word += prefix;
  if (strncasecmp(word, "DATABASE_", strlen("DATABASE_")) != 0) return false;
  const struct setting_def *field;
  size_t n = strlen(word);
  if (n > 5 && strcasecmp(word + n - 5, "_FILE") == 0) n -= 5;
  for (size_t i = 0; (field = settings_family_field(i)); i++) {
    size_t k = strlen(field->name);
    if (n <= k + strlen("DATABASE_") || strncasecmp(word + n - k, field->name, k) != 0) continue;
    return family_at(i, def, name);
  }
  return false;
}

/* --- what was asked for ------------------------------------------------------------------------------------------ */

struct asked {
  const char *word;
  struct explain topics[FOUND_MAX];
  size_t n;
  bool is_setting;
  struct setting_def family;
  struct buf family_name;
  struct setting_view setting;
  cJSON *running; /* what the engine that runs says of it; NULL: none */
};

static void find_setting(struct asked *a, const struct load *l) {
  struct setting_view v;
  for (size_t i = 0; !a->is_setting && settings_at(l->settings, i, &v); i++) {
    a->is_setting = same_name(v.def->name, a->word);
    if (a->is_setting) a->setting = v;
  }
  if (!a->is_setting && find_family(a->word, &a->family, &a->family_name)) {
    a->is_setting = true;
    a->setting = (struct setting_view){.def = &a->family};
  }
}

static bool is_known(struct asked *a, const struct load *l) {
  find_setting(a, l);
  return a->is_setting || explain_find(a->word, a->topics, FOUND_MAX);
}

/* CONTAINER_RPA1_BATCH_SIZE is flow rpa1's, also where no flow is named: the first of its beginnings that has a file.
 */
static int load_by_word(struct asked *a, struct load *l, struct options *o, char *flow, size_t size,
                        const struct vm_host *host, struct err *err) {
  size_t prefix = strlen("CONTAINER_");
  const char *word = a->word;
  if (strncasecmp(word, "CONTAINER_", prefix) == 0) word += prefix;
  for (const char *end = strchr(word, '_'); end && end > word; end = strchr(end + 1, '_')) {
    if (snprintf(flow, size, "%.*s", (int)(end - word), word) >= (int)size) break;
    for (char *p = flow; *p; p++) *p = (char)tolower((unsigned char)*p);
    if (!plan_flow_name_valid(flow)) continue;
    load_free(l);
    *l = (struct load){0};
    o->flow_name = flow;
    if (load_settings(l, o, err) || load_rest(l, host, err)) return -1;
    if (l->file[0] && is_known(a, l)) return 0;
  }
  load_free(l);
  *l = (struct load){0};
  o->flow_name = NULL;
  return load_settings(l, o, err) || load_rest(l, host, err) ? -1 : 0;
}

/* A word as it can be shown: what a terminal would obey is a '?', what is long is cut. */
static const char *shown(const char *word, char *to) {
  size_t n = 0;
  for (; *word && n < SHOWN_MAX; word++) to[n++] = (char)(*word >= 0x20 && *word < 0x7f ? *word : '?');
  if (*word) memset(to + n - 3, '.', 3);
  to[n] = 0;
  return to;
}

static int unknown(const struct asked *a, const struct load *l) {
  const char *names[1024];
  static struct explain topics[512];
  size_t n = 0;
  struct setting_view v;
  bool prefix = strncasecmp(a->word, "CONTAINER_", strlen("CONTAINER_")) == 0;
  for (size_t i = 0; n < ARRAY_LEN(topics) && explain_at(i, &topics[n]); i++, n++) names[n] = topics[n].name;
  for (size_t i = 0; n < ARRAY_LEN(names) && settings_at(l->settings, i, &v); i++)
    names[n++] = v.def->name + (prefix ? 0 : strlen("CONTAINER_"));
  const char *near = strlen(a->word) > 2 ? str_nearest(a->word, names, n) : NULL;
  char word[SHOWN_MAX + 1];
  bool number = *a->word && !a->word[strspn(a->word, "0123456789")];
  const char *note = number ? "; exit codes are 0 to 255" : "";
  fprintf(stderr, "tend explain: nothing is called \"%s\"%s%s%s%s; tend explain lists all\n", shown(a->word, word),
          near && !*note ? "; did you mean \"" : "", near && !*note ? near : "", near && !*note ? "\"" : "", note);
  return EXIT_USAGE;
}

static void answer_text(const struct asked *a) {
  for (size_t i = 0; i < a->n; i++) {
    if (i) puts("");
    topic_text(&a->topics[i]);
  }
  if (a->n && a->is_setting) puts("");
  if (a->is_setting) setting_text(&a->setting, a->running);
}

static void list_text(const struct load *l) {
  struct explain e;
  int last = -1;
  for (size_t i = 0; explain_at(i, &e); last = (int)e.kind, i++) {
    auto_buf struct buf doc = {0};
    plain(e.doc, &doc);
    if ((int)e.kind != last) printf("%s%s:\n", i ? "\n" : "", explain_kind_title(e.kind));
    printf("  %-*s %s\n", NAME_WIDTH, e.name, buf_cstr(&doc));
  }
  puts("\nsetting:");
  struct setting_view v;
  for (size_t i = 0; settings_at(l->settings, i, &v); i++)
    printf("  %-*s %s\n", SETTING_WIDTH, v.def->name, v.def->doc ? v.def->doc : "");
  auto_buf struct buf name = {0};
  struct setting_def def;
  for (size_t i = 0; family_at(i, &def, &name); i++) printf("  %-*s %s\n", SETTING_WIDTH, def.name, def.doc);
}

static void answer_json(const struct asked *a, const struct load *l) {
  auto_buf struct buf out = {0};
  struct json j = JSON_INIT(&out);
  struct explain e;
  struct setting_view v;
  json_object(&j, NULL);
  json_str(&j, "asked", a->word);
  json_array(&j, "topics");
  if (a->word) {
    for (size_t i = 0; i < a->n; i++) topic_json(&a->topics[i], &j);
    if (a->is_setting) setting_json(&a->setting, a->running, &j);
  } else {
    for (size_t i = 0; explain_at(i, &e); i++) topic_json(&e, &j);
    for (size_t i = 0; settings_at(l->settings, i, &v); i++) setting_json(&v, NULL, &j);
    auto_buf struct buf name = {0};
    struct setting_def def;
    for (size_t i = 0; family_at(i, &def, &name); i++) setting_json(&(struct setting_view){.def = &def}, NULL, &j);
  }
  json_array_end(&j);
  json_object_end(&j);
  puts(buf_cstr(&out));
}

/* --- the pages --------------------------------------------------------------------------------------------------- */

static void docs_rows(enum explain_kind kind, const char *head) {
  struct explain e;
  puts(head);
  for (size_t i = 0; explain_at(i, &e); i++) {
    if (e.kind != kind) continue;
    auto_buf struct buf keys = {0};
    if (e.keys && *e.keys && *e.keys != '*') {
      buf_str(&keys, "`");
      for (const char *p = e.keys; *p; p++) buf_str(&keys, *p == ' ' ? "` `" : (char[]){*p, 0});
      buf_str(&keys, "`");
    }
    if (kind == EXPLAIN_EVENT)
      printf("| %s | %s | %s | %s |\n", e.name, e.doc, buf_cstr(&keys), e.look);
    else
      printf("| %s | %s | %s |\n", e.name, e.doc, e.look);
  }
}

/* Those of which the same is said are one row. */
static void docs_signals(void) {
  struct explain e;
  const char *last = NULL;
  puts("| signal | effect |\n| --- | --- |");
  for (size_t i = 0; explain_at(i, &e); i++) {
    if (e.kind != EXPLAIN_SIGNAL) continue;
    if (last && !STR_EQ(last, e.doc)) printf(" | %s |\n", last);
    printf("%s%s", last && STR_EQ(last, e.doc) ? ", " : "| ", e.name + strlen("SIG"));
    last = e.doc;
  }
  printf(" | %s |\n", last);
}

static void docs_machine(void) {
  auto_buf struct buf b = {0};
  machine_markdown(&b);
  printf("# The lifecycle machine\n\nWritten by `make docs` from engine/core/machine.def.\n\n%s", buf_cstr(&b));
}

static int write_docs(const char *part) {
  if (part && STR_EQ(part, "machine")) {
    docs_machine();
    return 0;
  }
  if (part && STR_EQ(part, "exits")) {
    docs_rows(EXPLAIN_EXIT, "| code | meaning | look at |\n| --- | --- | --- |");
    return 0;
  }
  if (part && STR_EQ(part, "signals")) {
    docs_signals();
    return 0;
  }
  puts(
      "# Events and reasons\n\nWritten by `make docs` from the tables in the code; `tend explain WORD` tells the "
      "same.\n");
  puts(
      "A line of the log is one JSON object: timestamp, level, component, container_id, flow, event, duration_ms where "
      "it has one, message where\nuseful, details. Durations are in the unit that their name ends with.\n");
  docs_rows(EXPLAIN_EVENT, "| event | meaning | keys of details | look at |\n| --- | --- | --- | --- |");
  puts("\n## Why a dependency or a check is bad\n\n`reason`; errors in Lua have the same words as `code`.\n");
  docs_rows(EXPLAIN_PROBE, "| reason | meaning | look at |\n| --- | --- | --- |");
  puts(
      "\n## Why a process or a start ended\n\n`reason` of `process_exited`, `failure_detected`, `restart_initiated`, "
      "and "
      "in a flow's restart rules.\n");
  docs_rows(EXPLAIN_END, "| reason | meaning | look at |\n| --- | --- | --- |");
  puts(
      "\n## Where a start failed\n\n`stage` of `failure_detected`, and codes of `process.run` in Lua. Its other codes, "
      "and those of `fs`, are the system's "
      "names in small letters (`enoent`);\n`tend explain` knows these, too.\n");
  docs_rows(EXPLAIN_STAGE, "| stage | meaning | look at |\n| --- | --- | --- |");
  return 0;
}

/* --- the command ------------------------------------------------------------------------------------------------- */

/* The word may stand between the options. It is moved to the end, where the options' parser wants it. */
static int parse(struct options *o, int argc, char **argv) {
  for (int words = 0;; words++) {
    int rc = options_parse(o, argc, argv, OPTIONS_FLOW | OPTIONS_JSON | OPTIONS_DOCS | OPTIONS_REST);
    if (rc || o->n_rest <= 1 || o->help) return rc;
    if (words || o->rest[1][0] != '-') break;
    char *word = o->rest[0];
    memmove(o->rest, o->rest + 1, (size_t)(o->n_rest - 1) * sizeof *o->rest);
    o->rest[o->n_rest - 1] = word;
  }
  char word[SHOWN_MAX + 1];
  fprintf(stderr, "tend explain: unexpected argument \"%s\"\n", shown(o->rest[1], word));
  return EXIT_USAGE;
}

static int explain(struct asked *a, struct load *l, bool json) {
  if (a->word) {
    find_setting(a, l);
    const char *dir = settings_given_value(l->settings, LAYER_COMMAND_LINE, SET_STATE_DIR);
    if (a->is_setting && a->setting.def != &a->family)
      a->running = client_setting(dir, l->flow[0] ? l->flow : NULL, a->setting.def->name);
    a->n = explain_find(a->word, a->topics, FOUND_MAX);
    if (!a->n && !a->is_setting) return unknown(a, l);
  }
  if (json)
    answer_json(a, l);
  else if (a->word)
    answer_text(a);
  else
    list_text(l);
  return 0;
}

int cmd_explain(int argc, char **argv) {
  struct options o;
  struct load l = {0};
  struct err err = ERR_INIT;
  int rc = parse(&o, argc, argv);
  if (rc) return rc;
  if (o.help) return cmd_help(2, (char *[]){argv[0], argv[0], NULL});
  struct asked a = {.word = o.n_rest ? o.rest[0] : NULL};
  if (o.docs) return write_docs(a.word);
  struct loop *loop = loop_new();
  struct vm_host host = {.loop = loop};
  if (!loop) err_set(&err, -ENOMEM, "no event loop: out of memory or of descriptors");
  char flow[LIMIT_NAME];
  bool failed = !loop || load_settings(&l, &o, &err) || load_rest(&l, &host, &err);
  if (!failed && a.word && !l.flow[0] && !is_known(&a, &l))
    failed = load_by_word(&a, &l, &o, flow, sizeof flow, &host, &err);
  if (failed) {
    fprintf(stderr, "tend explain: %s\n", err.msg);
    rc = EXIT_SYSTEM;
  } else {
    rc = explain(&a, &l, o.json);
  }
  int printed = command_printed();
  if (printed) {
    fprintf(stderr, "tend explain: standard output: %s\n", strerror(-printed));
    rc = EXIT_CANNOT_CREATE;
  }
  cJSON_Delete(a.running);
  buf_free(&a.family_name);
  load_free(&l);
  loop_free(loop);
  return rc;
}
