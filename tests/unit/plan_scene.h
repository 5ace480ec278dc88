/* Flows in short, read into a plan: good ones, and bad ones with what is said of them. */
#ifndef TESTS_PLAN_SCENE_H
#define TESTS_PLAN_SCENE_H

#include "fixture.h"

#include "base/clock.h"
#include "base/str.h"
#include "core/plan.h"

static const struct plan_options file_options = {.file = "flows/x.lua"};

static struct plan *good_with(const char *text, const struct plan_options *options) {
  auto_json cJSON *json = parse(text);
  struct problems problems = {0};
  struct plan *plan = NULL;
  int e = plan_from_json(json, options, &plan, &problems);
  if (e < 0 || problems.n) {
    struct buf b = {0};
    for (size_t i = 0; i < problems.n; i++) {
      problem_text(&problems.items[i], &b);
      buf_char(&b, '\n');
    }
    fail_msg("%s\n%s", text, buf_cstr(&b));
  }
  return plan;
}

static UNUSED struct plan *good(const char *text) { return good_with(text, &file_options); }

/* A problem of that name whose text holds `part`, and n problems in all (0: any number). */
static UNUSED void bad_n(const char *text, const char *name, const char *part, size_t n) {
  auto_json cJSON *json = parse(text);
  struct problems problems = {0};
  struct plan *plan = NULL;
  assert_int_equal(plan_from_json(json, &file_options, &plan, &problems), -22);
  assert_null(plan);
  bool found = false;
  struct buf all = {0};
  for (size_t i = 0; i < problems.n; i++) {
    struct buf b = {0};
    problem_text(&problems.items[i], &b);
    if (STR_EQ(problems.items[i].name, name) && strstr(buf_cstr(&b), part)) found = true;
    assert_string_equal(problems.items[i].check, "flow_file");
    assert_int_equal(problems.items[i].class, PROBLEM_CONFIG);
    buf_fmt(&all, "  %s\n", buf_cstr(&b));
    buf_free(&b);
  }
  if (!found) fail_msg("%s\nno problem of %s with \"%s\" in:\n%s", text, name, part, buf_cstr(&all));
  if (n && problems.n != n) fail_msg("%s\n%zu problems, not %zu:\n%s", text, problems.n, n, buf_cstr(&all));
  buf_free(&all);
  problems_free(&problems);
}

/* A flow with these members beside a good name and main. */
static const char *flow(const char *members) {
  static char text[16384];
  snprintf(text, sizeof(text), "{'name': 'x', 'processes': {'main': {'command': ['true']}}%s%s}",
           members[0] ? ", " : "", members);
  return text;
}

/* A flow whose main process has these members beside its command. */
static UNUSED const char *process(const char *members) {
  static char text[16384];
  snprintf(text, sizeof(text), "{'name': 'x', 'processes': {'main': {'command': ['true'], %s}}}", members);
  return text;
}

static UNUSED const char *dependency(const char *members) {
  static char text[4096];
  snprintf(text, sizeof(text), "'dependencies': [{'name': 'd', 'kind': 'tcp', %s}]", members);
  return flow(text);
}

#endif
