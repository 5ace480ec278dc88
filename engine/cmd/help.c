/* tend help, tend version, and the list of commands. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "client/client.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "tend/version.h"

/* A command without a summary is not for people. */
const struct command commands[] = {
    {"run", cmd_run, "[options] [-- COMMAND ARG...]", "run a flow, or a command, and look after it"},
    {"check", cmd_check, "[--flow-name F] [--dependencies] [--json]", "what would run, and all that is wrong with it"},
    {"simulate", cmd_simulate, "[SCENARIO|--events FILE] [--check FILE] [--plot] [--flow-name F] [--json]",
     "what the policy would do, on a virtual clock; starts nothing"},
    {"test", cmd_test, "FLOW [--json|--tap]", "run the specs of a flow; starts nothing"},
    {"config", cmd_config, "[--flow-name F] [--json]", "every setting, its value, and where it came from"},
    {"", cmd_client, "", NULL}, /* what asks a running engine: core/operation */
    {"repl", cmd_repl, "[--read-only|--dry] [--offline] [-e CHUNK]... [FILE] [--json] [--flow-name F]",
     "a Lua prompt inside the running engine"},
    {"script", cmd_script, "FILE [ARG...]", "a Lua file with all primitives, without an engine"},
    {"explain", cmd_explain, "[CODE|SIGNAL|EVENT|STATE|REASON|SETTING] [--flow-name F] [--json]",
     "what an exit code, event, setting, state or reason means"},
    {"version", cmd_version, "", "print the version"},
    {"help", cmd_help, "[COMMAND]", "this list, or one command with its options"},
    {"helper", cmd_helper, "ACTION PATH [--option VALUE]...", NULL},
    {0},
};

/* Options by command, of those that ask no engine. Completion, the man page and this help agree by test. */
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
    {"simulate", "SCENARIO", "a file: what goes wrong, and when; without: nothing, for an hour"},
    {"simulate", "--scenario FILE", "the same"},
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
    {"repl", "-e CHUNK", "run this, and no more; as often as wanted"},
    {"repl", "--read-only", "effects are refused"},
    {"repl", "--dry", "effects are listed, not done"},
    {"repl", "--offline", "without an engine: all primitives, no processes"},
    {"repl", "--json", "for programs: values on standard output, what is printed on the other"},
    {"repl", "--flow-name F", "which engine, where several run; offline: whose settings"},
    {"repl", "--state-dir DIR", "where the control socket is looked for"},
};

int cmd_version(int argc, char **argv) {
  struct options o;
  int rc = options_parse(&o, argc, argv, 0);
  if (rc) return rc;
  puts("tend " TEND_VERSION);
  return 0;
}

static void print_command(const struct command *c) {
  printf("tend %s%s%s\n  %s\n", c->name, c->args[0] ? " " : "", c->args, c->summary);
  bool any = false;
  for (size_t i = 0; i < ARRAY_LEN(options); i++) {
    if (!STR_EQ(options[i].command, c->name)) continue;
    if (!any) puts("");
    any = true;
    printf("  %-28s %s\n", options[i].option, options[i].text);
  }
}

static void print_operation(const struct operation *op) {
  auto_buf struct buf text = {0};
  operation_usage(op, &text);
  printf("tend %s%s%s\n  %s\n\n", op->name, text.len ? " " : "", buf_cstr(&text), op->summary);
  for (const struct operation_arg *a = op->args; a->name; a++) {
    if (a->place == ARG_PROTOCOL) continue;
    buf_clear(&text);
    operation_arg_usage(a, &text);
    printf("  %-28s %s\n", buf_cstr(&text), a->doc ? a->doc : "");
  }
  static const char *const all[][2] = {{"--json", "for programs"},
                                       {"--flow-name F", "which engine, where several run"},
                                       {"--state-dir DIR", "where its control socket is looked for"},
                                       {"--read-only", "look, but refuse to change anything"}};
  for (size_t i = 0; i < ARRAY_LEN(all); i++) printf("  %-28s %s\n", all[i][0], all[i][1]);
}

/* A command that a script has added, where an engine runs. */
struct wanted {
  const char *name;
  bool found, any;
};

static void print_wanted(void *arg, const struct operation *op) {
  struct wanted *w = arg;
  if (!STR_EQ(op->name, w->name)) return;
  w->found = true;
  print_operation(op);
}

static void print_line(void *arg, const struct operation *op) {
  struct wanted *w = arg;
  if (!w->any) puts("\nof the flow that runs here:");
  w->any = true;
  printf("  %-12s %s\n", op->name, op->summary ? op->summary : "");
}

size_t command_names(const char **names, size_t max) {
  size_t n = 0;
  for (const struct command *c = commands; c->name && n < max; c++)
    if (c->summary) names[n++] = c->name;
  for (const struct operation *op = operations; op->name && n < max; op++)
    if (op->shown) names[n++] = op->name;
  return n;
}

int command_printed(void) {
  if (fflush(stdout) != 0) return -errno;
  return ferror(stdout) ? -EIO : 0;
}

const struct operation *command_operation(const char *name) {
  const struct operation *op = operation_find(name);
  return op && (op->shown || op->right == RIGHT_OPERATE) ? op : NULL;
}

static int help_of(const char *name) {
  for (const struct command *c = commands; c->name; c++) {
    if (!STR_EQ(name, c->name) || !c->summary) continue;
    print_command(c);
    return 0;
  }
  const struct operation *op = command_operation(name);
  if (op) {
    print_operation(op);
    return 0;
  }
  struct wanted w = {.name = name};
  client_scripts(print_wanted, &w, 0, NULL);
  if (w.found) return 0;
  const char *names[64];
  size_t n = command_names(names, ARRAY_LEN(names));
  const char *near = str_nearest(name, names, n);
  fprintf(stderr, "tend help: unknown command \"%s\"%s%s%s\n", name, near ? "; did you mean \"" : "", near ? near : "",
          near ? "\"" : "");
  return EXIT_USAGE;
}

/* For docs/control.md. */
static int print_docs(void) {
  puts("| operation | right | arguments | |\n| --- | --- | --- | --- |");
  for (const struct operation *op = operations; op->name; op++) {
    printf("| `%s` | %s%s%s |", op->name, right_name(op->right), op->audit ? ", audited" : "",
           op->own ? ", not for the group" : "");
    for (const struct operation_arg *a = op->args; a->name; a++)
      if (!a->local) printf("%s `%s`%s", a == op->args ? "" : ",", a->name, a->required ? " (required)" : "");
    printf(" | %s", op->summary);
    if (op->reads_with) printf("; with `%s` true read-only is enough, and it is not audited", op->reads_with);
    if (op->reads_without) printf("; without `%s` read-only is enough, and it is not audited", op->reads_without);
    puts(" |");
  }
  return 0;
}

int cmd_help(int argc, char **argv) {
  if (argc > 1 && STR_EQ(argv[1], "--complete")) return complete_words(argc - 2, argv + 2);
  if (argc > 1 && STR_EQ(argv[1], "--docs")) return print_docs();
  if (argc > 1) return help_of(argv[1]);
  puts("tend: starts, watches and stops what runs in a container\n");
  for (const struct command *c = commands; c->name; c++) {
    if (c->summary) printf("  %-12s %s\n", c->name, c->summary);
    for (const struct operation *op = operations; !*c->name && op->name; op++)
      if (op->shown) printf("  %-12s %s\n", op->name, op->summary);
  }
  client_scripts(print_line, &(struct wanted){0}, 0, NULL);
  puts("\ntend help COMMAND, or tend COMMAND --help, tells its options.");
  return 0;
}
