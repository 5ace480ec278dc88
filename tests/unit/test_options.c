/* Options of the command line: what is taken, what is refused and with which help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/options.h"

static char said[1024];

/* Parses and keeps what was printed on standard error. */
static int parse(struct options *o, unsigned takes, char **argv) {
  int argc = 0;
  while (argv[argc]) argc++;
  int keep = dup(2);
  int p[2];
  assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
  dup2(p[1], 2);
  int rc = options_parse(o, argc, argv, takes);
  fflush(stderr);
  dup2(keep, 2);
  close(keep);
  close(p[1]);
  ssize_t n = read(p[0], said, sizeof said - 1);
  said[n > 0 ? n : 0] = 0;
  close(p[0]);
  return rc;
}

#define ARGV(...) ((char *[]){(char *)"run", __VA_ARGS__, NULL})
#define S(x) ((char *)(x))

static void takes_all_forms(void **state) {
  (void)state;
  struct options o;
  char **argv = ARGV(S("--flow-name"), S("rpa1"), S("--mode=simple"), S("--log-level"), S("debug"), S("--tty"), S("--"),
                     S("sh"), S("--mode"));
  assert_int_equal(parse(&o, OPTIONS_FLOW | OPTIONS_RUN, argv), 0);
  assert_string_equal(o.flow_name, "rpa1");
  assert_true(o.simple);
  assert_true(o.tty);
  assert_int_equal(o.n_given, 1);
  assert_string_equal(o.given[0].setting, "CONTAINER_LOG_LEVEL");
  assert_string_equal(o.given[0].value, "debug");
  assert_string_equal(o.command[0], "sh");
  assert_string_equal(o.command[1], "--mode");
  assert_string_equal(said, "");
}

static void refuses(void **state) {
  (void)state;
  struct options o;
  static const struct {
    char *argv[4];
    const char *says;
  } cases[] = {
      {{S("run"), S("--flow-nam"), S("x")}, "--flow-name"},
      {{S("run"), S("--flow-name")}, "needs a value"},
      {{S("run"), S("--flow-name"), S("--")}, "needs a value"},
      {{S("run"), S("--")}, "command is missing"},
      {{S("run"), S("--mode"), S("manged")}, "managed"},
      {{S("run"), S("--tty=yes")}, "takes no value"},
      {{S("run"), S("sleep")}, "after --"},
      {{S("run"), S("--json")}, "unknown option --json"},
  };
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    assert_int_equal(parse(&o, OPTIONS_FLOW | OPTIONS_RUN, (char **)(uintptr_t)cases[i].argv), EXIT_USAGE);
    if (!strstr(said, cases[i].says)) fail_msg("\"%s\" does not say \"%s\"", said, cases[i].says);
    assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1); /* one line */
  }
}

static void are_of_one_group(void **state) {
  (void)state;
  static const struct {
    char *option;
    unsigned group;
  } cases[] = {
      {S("--flow-name"), OPTIONS_FLOW}, {S("--mode"), OPTIONS_RUN},
      {S("--json"), OPTIONS_JSON},      {S("--dependencies"), OPTIONS_DEPENDENCIES},
      {S("--docs"), OPTIONS_DOCS},      {S("--plot"), OPTIONS_SIMULATE},
      {S("-e"), OPTIONS_REPL},          {S("--read-only"), OPTIONS_REPL},
      {S("--tap"), OPTIONS_TEST},
  };
  for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
    struct options o;
    char *const argv[] = {S("run"), cases[i].option, NULL};
    assert_int_equal(parse(&o, ~(cases[i].group | OPTIONS_REST), (char **)(uintptr_t)argv), EXIT_USAGE);
    if (!strstr(said, "unknown option"))
      fail_msg("%s is taken by a command that has none of its kind", cases[i].option);
  }
}

static void leaves_the_rest(void **state) {
  (void)state;
  struct options o;
  assert_int_equal(parse(&o, OPTIONS_FLOW | OPTIONS_REST, ARGV(S("--flow-name=a"), S("file.lua"), S("--own"))), 0);
  assert_int_equal(o.n_rest, 2);
  assert_string_equal(o.rest[1], "--own");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_all_forms),
      cmocka_unit_test(refuses),
      cmocka_unit_test(are_of_one_group),
      cmocka_unit_test(leaves_the_rest),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
