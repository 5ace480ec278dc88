/* tend help, tend version, and the list of commands. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cmd/cmd.h"
#include "tend/version.h"

/* A command without a summary is not for people: the helper, and what an engine of this version refuses. */
const struct command commands[] = {
    {"run", cmd_run, "[options] [-- COMMAND ARG...]", "run a flow, or a command, and look after it"},
    {"check", cmd_check, "[--flow-name F] [--dependencies] [--json]", "what would run, and all that is wrong with it"},
    {"simulate", cmd_simulate, "[--scenario FILE|--events FILE] [--check FILE] [--plot] [--flow-name F] [--json]",
     "what the policy would do, on a virtual clock; starts nothing"},
    {"test", cmd_test, "FLOW [--json|--tap]", "run the specs of a flow; starts nothing"},
    {"config", cmd_config, "[--flow-name F] [--json]", "every setting, its value, and where it came from"},
    {"status", cmd_client, "[--json]", "what runs, since when, what is wrong, what comes next"},
    {"health", cmd_client, "[--json]", "the verdict; ends with 0 when healthy or degraded, else 1"},
    {"why", cmd_client, "[--json]", "why the engine is in its present state"},
    {"metrics", cmd_client, "[--json]", "the engine's numbers"},
    {"report", cmd_client, "[FILE]", "the whole report as JSON, into a file where one is given"},
    {"events", cmd_client, "[--follow] [--last N] [--level LEVEL] [--json]", "the last events"},
    {"logs", cmd_client, "[PROCESS] [--follow] [--json]", "the last output of the processes"},
    {"start", cmd_client, "[PROCESS] [--no-wait]", "start what was stopped"},
    {"stop", cmd_client, "[PROCESS] [--no-wait]", "stop the processes; tend stays"},
    {"restart", cmd_client, "[PROCESS] [--no-wait]", "stop, and start again"},
    {"shutdown", cmd_client, "[--no-wait]", "stop everything in order, and end tend"},
    {"remediate", cmd_client, "ACTION [--dry-run] [--no-wait]", "run a remedy, or one of its steps, now"},
    {"maintenance", cmd_client, "on|off [for DURATION]", "on: checks run, remedies do not"},
    {"check-now", cmd_client, "NAME [--json]", "run a check or dependency once; ends with 0 when good, else 1"},
    {"script", cmd_script, "FILE [ARG...]", "a Lua file with all primitives, without an engine"},
    {"explain", cmd_explain, "[CODE|SIGNAL|EVENT|STATE|REASON|SETTING] [--flow-name F] [--json]",
     "what an exit code, event, setting, state or reason means"},
    {"version", cmd_version, "", "print the version"},
    {"help", cmd_help, "[COMMAND]", "this list, or one command with its options"},
    {"reload", cmd_client, "", NULL},
    {"helper", cmd_helper, "ACTION PATH [--option VALUE]...", NULL},
    {0},
};

/* Options by command; "" is for all that ask a running engine. Completion, the man page and this help agree by test. */
static const struct {
  const char *command, *option, *text;
} options[] = {
    {"run", "--flow-name F", "the flow; CONTAINER_FLOW_NAME gives it too"},
    {"run", "--mode managed|simple", "simple: a bad end is final, nothing is restarted"},
    {"run", "--log-level LEVEL", "DEBUG, INFO, WARNING, ERROR or CRITICAL"},
    {"run", "--log-format json|pretty", "pretty is for people, and the default on a terminal"},
    {"run", "--container-id ID", "who speaks in log and metrics"},
    {"run", "--flows DIR", "where flow files are looked for"},
    {"run", "--scripts DIR", "where Lua modules are looked for"},
    {"run", "--config FILE", "settings as JSON"},
    {"run", "--state-dir DIR", "control socket and state"},
    {"run", "--tty", "the main process gets the terminal"},
    {"run", "--http ADDR:PORT|off", "where probes, metrics and the page are served"},
    {"run", "--export-report FILE", "ask the running engine for its report instead"},
    {"run", "-- COMMAND ARG...", "the main process's command, instead of the flow's"},
    {"check", "--flow-name F", "the flow"},
    {"check", "--dependencies", "try the dependencies too"},
    {"check", "--json", "for programs"},
    {"simulate", "--flow-name F", "the flow"},
    {"simulate", "--scenario FILE", "what goes wrong, and when; without: nothing, for an hour"},
    {"simulate", "--events FILE", "an events.jsonl: its last run is the scenario"},
    {"simulate", "--check FILE", "compare with what is expected; ends with 1 where it differs"},
    {"simulate", "--plot", "states over time, one row each"},
    {"simulate", "--json", "for programs"},
    {"test", "--flows DIR", "where flow files are looked for; specs lie beside them"},
    {"test", "--scripts DIR", "where Lua modules are looked for"},
    {"test", "--json", "for programs"},
    {"test", "--tap", "for programs that read TAP"},
    {"config", "--flow-name F", "with the flow's own settings"},
    {"config", "--json", "for programs"},
    {"explain", "--flow-name F", "with the flow's own settings"},
    {"explain", "--json", "for programs"},
    {"", "--flow-name F", "which engine, where several run"},
    {"", "--state-dir DIR", "where its control socket is looked for"},
    {"", "--json", "for programs"},
    {"events", "--follow", "go on with what happens"},
    {"events", "--last N", "no more than N to begin with"},
    {"events", "--level LEVEL", "this level and above"},
    {"logs", "--follow", "go on with what is written"},
    {"start", "--no-wait", "do not wait for the outcome"},
    {"stop", "--no-wait", "do not wait for the outcome"},
    {"restart", "--no-wait", "do not wait for the outcome"},
    {"shutdown", "--no-wait", "do not wait for the outcome"},
    {"remediate", "--dry-run", "say what would be done, do nothing"},
    {"remediate", "--no-wait", "do not wait for the outcome"},
    {"maintenance", "--no-wait", "do not wait for the outcome"},
};

int cmd_version(int argc, char **argv) {
  (void)argc;
  (void)argv;
  puts("tend " TEND_VERSION);
  return 0;
}

static void print_command(const struct command *c) {
  printf("tend %s%s%s\n  %s\n", c->name, c->args[0] ? " " : "", c->args, c->summary);
  bool any = false;
  for (size_t i = 0; i < ARRAY_LEN(options); i++) {
    bool mine = *options[i].command ? STR_EQ(options[i].command, c->name) : c->fn == cmd_client;
    if (!mine) continue;
    if (!any) puts("");
    any = true;
    printf("  %-28s %s\n", options[i].option, options[i].text);
  }
}

int cmd_help(int argc, char **argv) {
  const char *names[64];
  size_t n = 0;
  for (const struct command *c = commands; c->name; c++) {
    if (argc > 1 && STR_EQ(argv[1], c->name) && c->summary) {
      print_command(c);
      return 0;
    }
    if (c->summary && n < ARRAY_LEN(names)) names[n++] = c->name;
  }
  if (argc > 1) {
    const char *near = str_nearest(argv[1], names, n);
    fprintf(stderr, "tend help: unknown command \"%s\"%s%s%s\n", argv[1], near ? "; did you mean \"" : "",
            near ? near : "", near ? "\"" : "");
    return EXIT_USAGE;
  }
  puts("tend: starts, watches and stops what runs in a container\n");
  for (const struct command *c = commands; c->name; c++)
    if (c->summary) printf("  %-12s %s\n", c->name, c->summary);
  puts("\ntend help COMMAND, or tend COMMAND --help, tells its options.");
  return 0;
}
