/* What is taken for right of a probe of kind postgres without its part: only what the part takes too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "loop/part.h"
#include "probes/part_host.h"
#include "probes/postgres_plain.h"

static const char *value;
static struct probe_env env;
static struct tend_host host;

static const char *setting(void *self, const char *name) {
  (void)self;
  return STR_EQ(name, "DB") ? value : NULL;
}

static bool plain(const char *params) {
  auto_json cJSON *json = cJSON_Parse(params);
  return postgres_plain(&host, json);
}

static bool part_takes(const char *params) {
  auto_json cJSON *json = cJSON_Parse(params);
  const struct tend_part *part = part_load("postgres", NULL);
  char msg[512];
  return !part || part->kinds[0].check(&host, (const struct tend_params *)json, msg, sizeof msg) == 0;
}

static int before(void **state) {
  (void)state;
  char dir[512];
  const char *build = getenv("BUILD");
  snprintf(dir, sizeof dir, "%s/parts", build ? build : "build");
  part_set_dir(dir);
  part_host_fill(&host, &env);
  host.setting = setting;
  return 0;
}

#define WITH_DB "{\"setting\": \"DB\"}"

static void usual_strings_are_right_at_once(void **state) {
  (void)state;
  static const char *const values[] = {NULL,
                                       "",
                                       "postgresql://app:x@127.0.0.1:1/app",
                                       "postgres://app@db.example.org:5432/app",
                                       "postgresql://a%40b:p%3Aw%2f@db:65535/the_base",
                                       "postgresql://a.b-c_d:1@h-1:05432/x.y"};
  if (!part_there("postgres")) skip();
  for (size_t i = 0; i < ARRAY_LEN(values); i++) {
    value = values[i];
    assert_true(plain(WITH_DB));
    assert_true(part_takes(WITH_DB));
  }
  value = values[2];
  assert_true(plain("{\"setting\": \"DB\", \"query\": \"SELECT 2\", \"writable\": true}"));
}

static void what_is_unusual_is_the_parts_to_judge(void **state) {
  (void)state;
  static const char *const values[] = {"host=db",
                                       "postgresql://",
                                       "postgresql://db:5432/app",
                                       "postgresql://app:x@db/app",
                                       "postgresql://app:x@db:5432",
                                       "postgresql://app:x@db:5432/",
                                       "postgresql://app:x@db:/app",
                                       "postgresql://app:x@db:123456/app",
                                       "postgresql://app:x@a:1,b:2/app",
                                       "postgresql://app:x@[::1]:1/app",
                                       "postgresql://app:x@db:1/app?sslmode=require",
                                       "postgresql://app:x%00@db:1/app",
                                       "postgresql://app:x%4@db:1/app",
                                       "postgresql://app:x@db%2e:1/app",
                                       "postgresql://app:x y@db:1/app",
                                       "postgresql://app:@db:1/app",
                                       "mysql://app:x@db:1/app"};
  for (size_t i = 0; i < ARRAY_LEN(values); i++) {
    value = values[i];
    assert_false(plain(WITH_DB));
  }
  value = "postgresql://app:x@127.0.0.1:1/app";
  static const char *const params[] = {"[1]",
                                       "{}",
                                       "{\"setting\": 1}",
                                       "{\"setting\": \"DB\", \"conninfo\": \"host=a\"}",
                                       "{\"setting\": \"DB\", \"writable\": 1}",
                                       "{\"setting\": \"DB\", \"pool\": 5}",
                                       "{\"setting\": \"DB\", \"colour\": \"red\"}",
                                       "null"};
  for (size_t i = 0; i < ARRAY_LEN(params); i++) assert_false(plain(params[i]));
  assert_false(postgres_plain(&host, NULL));
}

static void a_missing_part_is_seen(void **state) {
  (void)state;
  part_set_dir("/nonexistent");
  if (!part_find("postgres")) assert_false(plain(WITH_DB));
  before(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_setup(a_missing_part_is_seen, before),
                                     cmocka_unit_test_setup(usual_strings_are_right_at_once, before),
                                     cmocka_unit_test_setup(what_is_unusual_is_the_parts_to_judge, before)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
