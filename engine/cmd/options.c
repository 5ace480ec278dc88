#include "cmd/options.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "cmd/cmd.h"

/* What an option's value goes to. */
enum option_kind {
  OPT_SETTING, /* a setting of tend's */
  OPT_TEXT,    /* a text of struct options */
  OPT_FLAG,    /* a bool of struct options; takes no value */
  OPT_MODE,
  OPT_CHUNK
};

#define TEXT(field) OPT_TEXT, .at = offsetof(struct options, field)
#define FLAG(field) OPT_FLAG, .at = offsetof(struct options, field)
#define SETTING(name) OPT_SETTING, .setting = name

static const struct option_def {
  const char *name;
  unsigned group;
  enum option_kind kind;
  const char *setting;
  size_t at;
} defs[] = {
    {"--flow-name", OPTIONS_FLOW, TEXT(flow_name)},
    {"--log-level", OPTIONS_FLOW, SETTING("CONTAINER_LOG_LEVEL")},
    {"--log-format", OPTIONS_FLOW, SETTING("CONTAINER_LOG_FORMAT")},
    {"--container-id", OPTIONS_FLOW, SETTING("CONTAINER_WORKER_ID")},
    {"--flows", OPTIONS_FLOW, SETTING("CONTAINER_FLOWS_DIR")},
    {"--scripts", OPTIONS_FLOW, SETTING("CONTAINER_SCRIPTS_DIR")},
    {"--config", OPTIONS_FLOW, SETTING("CONTAINER_CONFIG_FILE")},
    {"--state-dir", OPTIONS_FLOW, SETTING("CONTAINER_STATE_DIR")},
    {"--http", OPTIONS_RUN, SETTING("CONTAINER_HTTP_ADDRESS")},
    {"--mode", OPTIONS_RUN, .kind = OPT_MODE},
    {"--export-report", OPTIONS_RUN, TEXT(export_report)},
    {"--tty", OPTIONS_RUN, FLAG(tty)},
    {"--json", OPTIONS_JSON, FLAG(json)},
    {"--dependencies", OPTIONS_DEPENDENCIES, FLAG(dependencies)},
    {"--docs", OPTIONS_DOCS, FLAG(docs)},
    {"--scenario", OPTIONS_SIMULATE, TEXT(scenario)},
    {"--events", OPTIONS_SIMULATE, TEXT(events)},
    {"--check", OPTIONS_SIMULATE, TEXT(expected)},
    {"--plot", OPTIONS_SIMULATE, FLAG(plot)},
    {"--tap", OPTIONS_TEST, FLAG(tap)},
    {"-e", OPTIONS_REPL, .kind = OPT_CHUNK},
    {"--read-only", OPTIONS_REPL, FLAG(read_only)},
    {"--dry", OPTIONS_REPL, FLAG(dry)},
    {"--offline", OPTIONS_REPL, FLAG(offline)},
    {"--help", ~0U, FLAG(help)},
};

static int unknown_option(const char *command, const char *arg, size_t len, unsigned takes) {
  const char *names[ARRAY_LEN(defs)];
  size_t n = 0;
  for (size_t i = 0; i < ARRAY_LEN(defs); i++)
    if (defs[i].group & takes) names[n++] = defs[i].name;
  char name[64];
  snprintf(name, sizeof name, "%.*s", (int)len, arg);
  const char *near = str_nearest(name, names, n);
  fprintf(stderr, "tend %s: unknown option %s%s%s; see tend help %s\n", command, name, near ? "; did you mean " : "",
          near ? near : "", command);
  return EXIT_USAGE;
}

static int take_mode(struct options *o, const char *command, const char *value) {
  o->simple = strcasecmp(value, "simple") == 0;
  if (!o->simple && strcasecmp(value, "managed") != 0) {
    const char *const modes[] = {"managed", "simple"};
    const char *near = str_nearest(value, modes, ARRAY_LEN(modes));
    fprintf(stderr, "tend %s: --mode \"%s\": expected managed or simple%s%s\n", command, value,
            near ? "; did you mean " : "", near ? near : "");
    return EXIT_USAGE;
  }
  return 0;
}

static int take(struct options *o, const char *command, const struct option_def *def, const char *value) {
  switch (def->kind) {
    case OPT_SETTING:
      if (o->n_given == OPTIONS_GIVEN) {
        fprintf(stderr, "tend %s: too many options, %d settings at most\n", command, OPTIONS_GIVEN);
        return EXIT_USAGE;
      }
      o->given[o->n_given].setting = def->setting;
      o->given[o->n_given].value = value;
      o->given[o->n_given++].option = def->name;
      break;
    case OPT_TEXT:
      *(const char **)((char *)o + def->at) = value;
      break;
    case OPT_FLAG:
      *(bool *)((char *)o + def->at) = true;
      break;
    case OPT_MODE:
      return take_mode(o, command, value);
    case OPT_CHUNK:
      if (o->n_chunks == OPTIONS_CHUNKS) {
        fprintf(stderr, "tend %s: more than %d times -e\n", command, OPTIONS_CHUNKS);
        return EXIT_USAGE;
      }
      o->chunks[o->n_chunks++] = value;
      break;
  }
  return 0;
}

int options_parse(struct options *o, int argc, char **argv, unsigned takes) {
  *o = (struct options){0};
  const char *command = str_ends(argv[0], "tend") ? "run" : argv[0]; /* options without a command */
  for (int i = 1; i < argc; i++) {
    char *arg = argv[i];
    if (STR_EQ(arg, "--") && takes & OPTIONS_RUN) {
      o->command = argv + i + 1;
      if (*o->command && **o->command) return 0;
      fprintf(stderr, "tend %s: a command is missing after --\n", command);
      return EXIT_USAGE;
    }
    if (arg[0] != '-' || STR_EQ(arg, "-")) {
      if (takes & OPTIONS_SIMULATE && !o->scenario) {
        o->scenario = arg;
        continue;
      }
      if (takes & OPTIONS_REST) {
        o->rest = argv + i;
        o->n_rest = argc - i;
        return 0;
      }
      fprintf(stderr, "tend %s: unexpected argument \"%s\"%s\n", command, arg,
              takes & OPTIONS_RUN ? "; the command to run goes after --" : "");
      return EXIT_USAGE;
    }
    size_t len = strcspn(arg, "=");
    const struct option_def *def = NULL;
    for (size_t k = 0; k < ARRAY_LEN(defs) && !def; k++)
      if (defs[k].group & takes && strlen(defs[k].name) == len && strncmp(defs[k].name, arg, len) == 0) def = &defs[k];
    if (!def && STR_EQ(arg, "-h")) def = &defs[ARRAY_LEN(defs) - 1];
    if (!def) return unknown_option(command, arg, len, takes);
    const char *value = arg[len] == '=' ? arg + len + 1 : NULL;
    bool flag = def->kind == OPT_FLAG;
    if (flag && value) {
      fprintf(stderr, "tend %s: %s takes no value\n", command, def->name);
      return EXIT_USAGE;
    }
    if (!flag && !value && (i + 1 == argc || STR_EQ(argv[i + 1], "--"))) {
      fprintf(stderr, "tend %s: %s needs a value\n", command, def->name);
      return EXIT_USAGE;
    }
    if (!flag && !value) value = argv[++i];
    int rc = take(o, command, def, value ? value : "");
    if (rc) return rc;
  }
  return 0;
}

void options_settings(const struct options *o, struct settings *s) {
  for (int i = 0; i < o->n_given; i++)
    settings_give(s, LAYER_COMMAND_LINE, o->given[i].setting, o->given[i].value, o->given[i].option);
}
