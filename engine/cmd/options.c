#include "cmd/options.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "cmd/cmd.h"

enum option_kind {
  OPT_SETTING,
  OPT_FLOW_NAME,
  OPT_MODE,
  OPT_EXPORT,
  OPT_TTY,
  OPT_JSON,
  OPT_DEPENDENCIES,
  OPT_DOCS,
  OPT_SCENARIO,
  OPT_EVENTS,
  OPT_CHECK,
  OPT_PLOT,
  OPT_TAP,
  OPT_READ_ONLY,
  OPT_DRY,
  OPT_OFFLINE,
  OPT_CHUNK,
  OPT_HELP
};

static const struct option_def {
  const char *name;
  enum option_kind kind;
  unsigned group;
  const char *setting; /* OPT_SETTING */
  bool flag;           /* takes no argument */
} defs[] = {
    {"--flow-name", OPT_FLOW_NAME, OPTIONS_FLOW, NULL, false},
    {"--log-level", OPT_SETTING, OPTIONS_FLOW, "CONTAINER_LOG_LEVEL", false},
    {"--log-format", OPT_SETTING, OPTIONS_FLOW, "CONTAINER_LOG_FORMAT", false},
    {"--container-id", OPT_SETTING, OPTIONS_FLOW, "CONTAINER_WORKER_ID", false},
    {"--flows", OPT_SETTING, OPTIONS_FLOW, "CONTAINER_FLOWS_DIR", false},
    {"--scripts", OPT_SETTING, OPTIONS_FLOW, "CONTAINER_SCRIPTS_DIR", false},
    {"--config", OPT_SETTING, OPTIONS_FLOW, "CONTAINER_CONFIG_FILE", false},
    {"--state-dir", OPT_SETTING, OPTIONS_FLOW, "CONTAINER_STATE_DIR", false},
    {"--http", OPT_SETTING, OPTIONS_RUN, "CONTAINER_HTTP_ADDRESS", false},
    {"--mode", OPT_MODE, OPTIONS_RUN, NULL, false},
    {"--export-report", OPT_EXPORT, OPTIONS_RUN, NULL, false},
    {"--tty", OPT_TTY, OPTIONS_RUN, NULL, true},
    {"--json", OPT_JSON, OPTIONS_JSON, NULL, true},
    {"--dependencies", OPT_DEPENDENCIES, OPTIONS_DEPENDENCIES, NULL, true},
    {"--docs", OPT_DOCS, OPTIONS_DOCS, NULL, true},
    {"--scenario", OPT_SCENARIO, OPTIONS_SIMULATE, NULL, false},
    {"--events", OPT_EVENTS, OPTIONS_SIMULATE, NULL, false},
    {"--check", OPT_CHECK, OPTIONS_SIMULATE, NULL, false},
    {"--plot", OPT_PLOT, OPTIONS_SIMULATE, NULL, true},
    {"--tap", OPT_TAP, OPTIONS_TEST, NULL, true},
    {"-e", OPT_CHUNK, OPTIONS_REPL, NULL, false},
    {"--read-only", OPT_READ_ONLY, OPTIONS_REPL, NULL, true},
    {"--dry", OPT_DRY, OPTIONS_REPL, NULL, true},
    {"--offline", OPT_OFFLINE, OPTIONS_REPL, NULL, true},
    {"--help", OPT_HELP, ~0U, NULL, true},
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
    case OPT_FLOW_NAME:
      o->flow_name = value;
      break;
    case OPT_MODE:
      return take_mode(o, command, value);
    case OPT_EXPORT:
      o->export_report = value;
      break;
    case OPT_TTY:
      o->tty = true;
      break;
    case OPT_JSON:
      o->json = true;
      break;
    case OPT_DEPENDENCIES:
      o->dependencies = true;
      break;
    case OPT_DOCS:
      o->docs = true;
      break;
    case OPT_SCENARIO:
      o->scenario = value;
      break;
    case OPT_EVENTS:
      o->events = value;
      break;
    case OPT_CHECK:
      o->expected = value;
      break;
    case OPT_READ_ONLY:
      o->read_only = true;
      break;
    case OPT_DRY:
      o->dry = true;
      break;
    case OPT_OFFLINE:
      o->offline = true;
      break;
    case OPT_CHUNK:
      if (o->n_chunks == OPTIONS_CHUNKS) {
        fprintf(stderr, "tend %s: more than %d times -e\n", command, OPTIONS_CHUNKS);
        return EXIT_USAGE;
      }
      o->chunks[o->n_chunks++] = value;
      break;
    case OPT_PLOT:
      o->plot = true;
      break;
    case OPT_TAP:
      o->tap = true;
      break;
    case OPT_HELP:
      o->help = true;
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
    if (def->flag && value) {
      fprintf(stderr, "tend %s: %s takes no value\n", command, def->name);
      return EXIT_USAGE;
    }
    if (!def->flag && !value && (i + 1 == argc || STR_EQ(argv[i + 1], "--"))) {
      fprintf(stderr, "tend %s: %s needs a value\n", command, def->name);
      return EXIT_USAGE;
    }
    if (!def->flag && !value) value = argv[++i];
    int rc = take(o, command, def, value ? value : "");
    if (rc) return rc;
  }
  return 0;
}

void options_settings(const struct options *o, struct settings *s) {
  for (int i = 0; i < o->n_given; i++)
    settings_give(s, LAYER_COMMAND_LINE, o->given[i].setting, o->given[i].value, o->given[i].option);
}
