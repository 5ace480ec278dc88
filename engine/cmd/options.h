/* Command-line options that say which flow and which settings: shared by run, check, config, script. */
#ifndef TEND_CMD_OPTIONS_H
#define TEND_CMD_OPTIONS_H

#include <stdbool.h>

#include "core/settings.h"

enum { OPTIONS_GIVEN = 16, OPTIONS_CHUNKS = 32 };

struct options {
  const char *flow_name;     /* --flow-name */
  const char *export_report; /* --export-report FILE */
  const char *scenario;      /* SCENARIO, --scenario FILE */
  const char *events;        /* --events FILE */
  const char *expected;      /* --check FILE */
  bool plot;                 /* --plot */
  bool tap;                  /* --tap */
  bool simple;               /* --mode simple */
  bool tty, json, dependencies, docs, help;
  bool read_only, dry, offline;
  const char *chunks[OPTIONS_CHUNKS]; /* -e CHUNK */
  int n_chunks;
  char **command; /* what follows `--`, NULL-terminated; NULL when there is no `--` */
  char **rest;    /* positional arguments before `--` */
  int n_rest;
  struct { /* settings given as options, in order */
    const char *setting, *value, *option;
  } given[OPTIONS_GIVEN];
  int n_given;
};

/* Which options a command takes: a set of these. */
enum {
  OPTIONS_FLOW = 1,         /* --flow-name, --flows, --scripts, --config, --state-dir, --container-id, --log-… */
  OPTIONS_RUN = 2,          /* --mode, --tty, --http, --export-report, -- COMMAND */
  OPTIONS_JSON = 4,         /* --json */
  OPTIONS_DEPENDENCIES = 8, /* --dependencies */
  OPTIONS_REST = 16,        /* positional arguments; parsing stops at the first one */
  OPTIONS_DOCS = 32,        /* --docs: for the generated page */
  OPTIONS_SIMULATE = 64,    /* --scenario, --events, --check, --plot */
  OPTIONS_REPL = 128,       /* -e, --read-only, --dry, --offline */
  OPTIONS_TEST = 256,       /* --tap */
};

/* Fills *o from argv[1..]. On a mistake prints one line on standard error and returns EXIT_USAGE; 0 else. */
int options_parse(struct options *o, int argc, char **argv, unsigned takes);

/* Gives the options' settings to the command-line layer. */
void options_settings(const struct options *o, struct settings *s);

#endif
