/* tend config: every setting, its value, and where it came from; --docs writes docs/configuration.md from the same
 * tables. Starts nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/load.h"
#include "cmd/options.h"

static const char *type_name(enum setting_type type) {
  static const char *const names[] = {
      [SETTING_STRING] = "string",   [SETTING_PATH] = "path", [SETTING_PATHS] = "paths",
      [SETTING_INTEGER] = "integer", [SETTING_BOOL] = "bool", [SETTING_DURATION] = "duration",
      [SETTING_CHOICE] = "choice",   [SETTING_URL] = "url",   [SETTING_ADDRESS] = "address",
  };
  return names[type];
}

/* A value on one line: what is a control character becomes a blank. */
static void one_line(struct buf *out, const char *s) {
  for (; *s; s++) buf_char(out, (unsigned char)*s < 0x20 || *s == 0x7f ? ' ' : *s);
}

static void print_problems(const struct problems *ps, bool warnings, const char *title) {
  bool any = false;
  for (size_t i = 0; i < ps->n; i++) {
    if (ps->items[i].warning != warnings) continue;
    auto_buf struct buf line = {0};
    problem_text(&ps->items[i], &line);
    printf("%s  %s\n", any ? "" : title, buf_cstr(&line));
    any = true;
  }
}

static void print_text(const struct load *l) {
  enum { VALUE_WIDTH = 40 };
  int names = 0;
  int values = 0;
  struct setting_view v;
  for (size_t i = 0; settings_at(l->settings, i, &v); i++) {
    int n = (int)strlen(v.def->name);
    int k = v.shown ? (int)strlen(v.shown) : 1;
    if (n > names) names = n;
    if (k > values && k <= VALUE_WIDTH) values = k;
  }
  for (size_t i = 0; settings_at(l->settings, i, &v); i++) {
    auto_buf struct buf value = {0};
    one_line(&value, v.shown ? v.shown : "-");
    printf("%-*s  %-*s  %s\n", names, v.def->name, values, buf_cstr(&value), v.shown ? v.origin : "not set");
  }
  print_problems(&l->problems, true, "\nWarnings:\n");
  print_problems(&l->problems, false, "\nProblems:\n");
}

static void print_json(const struct load *l) {
  auto_buf struct buf out = {0};
  struct json j = JSON_INIT(&out);
  struct setting_view v;
  json_object(&j, NULL);
  json_str(&j, "flow", l->flow[0] ? l->flow : NULL);
  json_str(&j, "flow_file", l->file[0] ? l->file : NULL);
  json_array(&j, "settings");
  for (size_t i = 0; settings_at(l->settings, i, &v); i++) {
    json_object(&j, NULL);
    json_str(&j, "name", v.def->name);
    json_str(&j, "value", v.shown);
    json_str(&j, "origin", v.shown ? v.origin : NULL);
    json_str(&j, "type", type_name(v.def->type));
    json_str(&j, "unit", v.def->unit);
    json_str(&j, "default", setting_default(v.def));
    json_bool(&j, "secret", v.def->flags & SETTING_SECRET);
    json_bool(&j, "reloadable", v.def->flags & SETTING_RELOADABLE);
    json_bool(&j, "own", i < SET_COUNT);
    json_str(&j, "doc", v.def->doc);
    json_object_end(&j);
  }
  json_array_end(&j);
  problems_json(&l->problems, false, &j, "failures");
  problems_json(&l->problems, true, &j, "warnings");
  json_object_end(&j);
  puts(buf_cstr(&out));
}

/* A cell of a table. */
static void cell(struct buf *out, const char *text) {
  for (; *text; text++) {
    if (*text == '|' || *text == '<') buf_char(out, '\\');
    buf_char(out, *text == '\n' ? ' ' : *text);
  }
}

static void docs_row(const struct setting_def *def, const char *prefix, struct buf *out) {
  buf_fmt(out, "| `%s%s` | ", prefix, def->name);
  if (def->fallback) buf_fmt(out, "`%s`", setting_default(def));
  buf_str(out, " | ");
  auto_buf struct buf allowed = {0};
  setting_allowed(def, &allowed);
  cell(out, buf_cstr(&allowed));
  if (def->flags & SETTING_SECRET) buf_str(out, "; secret");
  buf_fmt(out, " | %s | ", def->flags & SETTING_RELOADABLE ? "yes" : "");
  cell(out, def->doc ? def->doc : "");
  buf_str(out, " |\n");
}

static void docs_head(struct buf *out) {
  buf_str(out, "\n| setting | default | takes | reload | |\n| --- | --- | --- | --- | --- |\n");
}

static void docs_own(struct buf *out) {
  buf_str(
      out,
      "# Configuration\n\n"
      "Written by `make docs` from the tables in the code; `tend config` shows the same settings with their values,\n"
      "`tend explain NAME` one of them.\n\n"
      "A setting takes its value from the highest of these that gives one: command line, environment, configuration\n"
      "file, flow file, built-in default. An empty value counts as not given. The configuration file\n"
      "(`CONTAINER_CONFIG_FILE`, `--config`) is a JSON object; its keys are the names with or without `CONTAINER_`, "
      "in\n"
      "any case.\n\n"
      "Any setting `NAME` can be given as `NAME_FILE` instead, the path of a file with the value in it (one newline "
      "at\n"
      "its end is dropped). Giving both is an error. What is secret is shown as `***` wherever tend writes.\n\n"
      "Durations are a bare number in the unit that the setting names, or have a suffix: `250ms`, `10s`, `5m`, `1h`.\n"
      "`${NAME}` in a default stands for the value of `CONTAINER_NAME`. \"reload\" says whether a reload may change "
      "it.\n"
      "What has no effect here is listed in [operations.md](operations.md).\n\n"
      "A value that does not parse, is out of bounds or is missing where it is required ends the start with code 78;\n"
      "all such errors are told at once. Values that cannot work together, and variables whose name is almost that of "
      "a\n"
      "setting, are warnings.\n\n"
      "## Settings of tend\n");
  docs_head(out);
  for (int i = 0; i < SET_COUNT; i++) docs_row(setting_table((enum setting_id)i), "", out);
  buf_str(out,
          "\n## Databases by name\n\nFor each `<NAME>` of which one of these is given. `RPA_DB` is the database of\n"
          "`CONTAINER_RPA_DB_CONNECTION_STRING`.\n");
  docs_head(out);
  const struct setting_def *def;
  for (size_t i = 0; (def = settings_family_field(i)); i++) docs_row(def, "CONTAINER_DATABASE_<NAME>", out);
}

static void docs_flow(const struct load *l, struct buf *out) {
  buf_fmt(out, "\n## Settings of flow %s\n", l->flow);
  bool any = false;
  struct setting_view v;
  for (size_t i = SET_COUNT; settings_at(l->settings, i, &v); i++) {
    if (str_starts(v.def->name, "CONTAINER_DATABASE_")) continue;
    if (!any) docs_head(out);
    any = true;
    docs_row(v.def, "", out);
  }
  if (!any) buf_str(out, "\nNone.\n");
}

static int show(const struct options *o, struct load *l) {
  if (o->docs) {
    auto_buf struct buf out = {0};
    if (o->flow_name)
      docs_flow(l, &out);
    else
      docs_own(&out);
    fputs(buf_cstr(&out), stdout);
  } else if (o->json) {
    print_json(l);
  } else {
    print_text(l);
  }
  int rc = command_printed();
  if (rc) {
    fprintf(stderr, "tend config: standard output: %s\n", strerror(-rc));
    return EXIT_CANNOT_CREATE;
  }
  return problems_errors(&l->problems) && !(o->docs && !o->flow_name) ? EXIT_CONFIG : 0;
}

int cmd_config(int argc, char **argv) {
  struct options o;
  struct load l = {0};
  struct err err = ERR_INIT;
  int rc = options_parse(&o, argc, argv, OPTIONS_FLOW | OPTIONS_JSON | OPTIONS_DOCS);
  if (rc) return rc;
  if (o.help) {
    char *help[] = {(char *)"help", (char *)"config", NULL};
    return cmd_help(2, help);
  }
  struct loop *loop = loop_new();
  struct vm_host host = {.loop = loop};
  if (!loop) err_set(&err, -ENOMEM, "no event loop: out of memory or of descriptors");
  if (!loop || load_settings(&l, &o, &err) || load_rest(&l, &host, &err)) {
    fprintf(stderr, "tend config: %s\n", err.msg);
    rc = EXIT_SYSTEM;
  } else {
    rc = show(&o, &l);
  }
  load_free(&l);
  loop_free(loop);
  return rc;
}
