#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "core/redact.h"

#define auto_redact __attribute__((cleanup(redact_free)))

static void expect(const struct redact *r, const char *in, const char *out) {
  auto_buf struct buf b = {0};
  buf_str(&b, in);
  redact_apply(r, &b);
  if (!STR_EQ(buf_cstr(&b), out)) fail_msg("\"%s\"\n gave \"%s\"\n not  \"%s\"", in, buf_cstr(&b), out);
}

static void by_value(void **state) {
  (void)state;
  auto_redact struct redact r = {0};
  redact_add(&r, "p@ss \"w/rd\"");
  redact_add(&r, "short");
  redact_add(&r, "abcdefgh");
  redact_add(&r, "efghijkl");
  redact_add(&r, "abcabcabc");
  expect(&r, "is p@ss \"w/rd\".", "is ***.");
  expect(&r, "is p%40ss%20%22w%2Frd%22.", "is ***.");
  expect(&r, "is p%40ss%20%22w%2frd%22.", "is ***.");
  expect(&r, "{\"m\": \"is p@ss \\\"w/rd\\\".\"}", "{\"m\": \"is ***.\"}");
  expect(&r, "is cEBzcyAidy9yZCI=.", "is ***=.");
  expect(&r, "a short one stays", "a short one stays");
  expect(&r, "abcdefghijkl", "***"); /* overlapping */
  expect(&r, "abcdefghabcdefgh", "***");
  expect(&r, "xabcabcabcabcy", "x***y");
  expect(&r, "abcdefg", "abcdefg");
  expect(&r, "", "");
  expect(&r, "abcdefgh", "***");
}

static void parts_of_connection_strings(void **state) {
  (void)state;
  static const struct {
    const char *secret, *text, *out;
  } rows[] = {
      {"postgresql://user:geheim99@host/db", "auth with geheim99 failed", "auth with *** failed"},
      {"postgresql://user:ge%68eim%2F99@host/db", "auth with geheim/99 failed", "auth with *** failed"},
      {"postgresql://user:raw/slash99@host/db", "with raw/slash99!", "with ***!"},
      {"host=h password=geheim99 user=u", "with geheim99!", "with ***!"},
      {"host=h password = 'two w\\'rds' user=u", "with two w'rds!", "with ***!"},
      {"postgresql://host/db?user=u&password=geheim99&x=y", "with geheim99!", "with ***!"},
      {"postgresql://user@host/db", "user at host", "user at host"},
      {"host=h user=username", "username at h", "username at h"},
  };
  for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
    auto_redact struct redact r = {0};
    redact_add(&r, rows[i].secret);
    expect(&r, rows[i].text, rows[i].out);
    auto_buf struct buf quoted = {0};
    json_quote(&quoted, rows[i].secret, strlen(rows[i].secret));
    expect(&r, buf_cstr(&quoted), "\"***\"");
  }
}

static void by_shape(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"at postgres://u:secret@h:5432/db now", "at postgres://u:***@h:5432/db now"},
      {"redis://:secret@h", "redis://:***@h"},
      {"http://u:p:w@d@h/x", "http://u:***@h/x"},
      {"http://user@host/", "http://user@host/"},
      {"http://host:80/a@b", "http://host:80/a@b"},
      {"http://u:@h/", "http://u:@h/"},
      {"a://b:c@d and e://f:g@h", "a://b:***@d and e://f:***@h"},
      {"host=h password=secret user=u", "host=h password=*** user=u"},
      {"password = secret user=u", "password = *** user=u"},
      {"PASSWORD='two words' user=u", "PASSWORD='***' user=u"},
      {"password='it\\'s me' user=u", "password='***' user=u"},
      {"password=\"two words\" x", "password=\"***\" x"},
      {"password=a\\ b c", "password=*** c"},
      {"sslpassword=x,passfile=/f", "sslpassword=***,passfile=/f"},
      {"--db-password=x y", "--db-password=*** y"},
      {"/?access_token=abc&x=1", "/?access_token=***&x=1"},
      {"api_key=abc", "api_key=***"},
      {"key=abc", "key=abc"},
      {"passed=3 compass=n", "passed=3 compass=n"},
      {"password=", "password="},
      {"password", "password"},
      {"=", "="},
      {"://", "://"},
      {"a://b:c@", "a://b:***@"},
      {"The password: none", "The password: none"},
      {"{\"m\": \"password=secret\"}", "{\"m\": \"password=***\"}"},
      {"{\"m\": \"password='a b' x\", \"n\": 1}", "{\"m\": \"password='***' x\", \"n\": 1}"},
      {"{\"m\": \"password='a b\", \"n\": 1}", "{\"m\": \"password='***\", \"n\": 1}"},
      {"{\"m\": \"password=\\\"a b\\\" x\", \"n\": 1}", "{\"m\": \"password=\\\"***\\\" x\", \"n\": 1}"},
      {"{\"db_password\": \"a \\\" b\", \"n\": \"x\"}", "{\"db_password\": \"***\", \"n\": \"x\"}"},
      {"{\"token\":\"abc\"}", "{\"token\":\"***\"}"},
      {"{\"token\": 5, \"key\": \"a.b\"}", "{\"token\": 5, \"key\": \"a.b\"}"},
      {"{\"m\": \"{\\\"token\\\": \\\"abc\\\"}\"}", "{\"m\": \"{\\\"token\\\": \\\"***\\\"}\"}"},
      {"{\"m\": \"at postgres://u:secret@h\"}", "{\"m\": \"at postgres://u:***@h\"}"},
      {"{\"m\": \"password=\"}", "{\"m\": \"password=\"}"},
  };
  for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
    expect(NULL, rows[i][0], rows[i][1]);
    expect(NULL, rows[i][1], rows[i][1]); /* again changes nothing */
  }
}

static void names(void **state) {
  (void)state;
  static const char *const secret[] = {"CONTAINER_HTTP_TOKEN",
                                       "DB_PASSWORD",
                                       "password",
                                       "PGPASSWORD",
                                       "DB_PASS",
                                       "api_key",
                                       "SECRET_ID",
                                       "credentials",
                                       "X_DSN",
                                       "RPA_DB_CONNECTION_STRING",
                                       "pwd",
                                       "access-key",
                                       "connectionString",
                                       "aws.secret"};
  static const char *const plain[] = {"key",  "passed", "health_check_passed", "bypass", "monkey", "keyboard",
                                      "name", ""};
  for (size_t i = 0; i < ARRAY_LEN(secret); i++)
    if (!redact_secret_name(secret[i], strlen(secret[i]))) fail_msg("%s", secret[i]);
  for (size_t i = 0; i < ARRAY_LEN(plain); i++)
    if (redact_secret_name(plain[i], strlen(plain[i]))) fail_msg("%s", plain[i]);
}

static uint64_t seed = 20240229;
static uint32_t rnd(uint32_t n) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 33) % n;
}

/* Texts out of the pieces that matter: the secret is gone, what was JSON still is, a second pass changes nothing. */
static void random_texts(void **state) {
  (void)state;
  static const char *const pieces[] = {"password", "=",     ":",     "://",           "@", "'", "\"", "\\", " ",
                                       "u",        "token", "/",     "S3cr3t-\"x\\y", "{", "}", "\n", "é",  ",",
                                       "&",        "\x01",  "S3cr3t"};
  auto_redact struct redact r = {0};
  redact_add(&r, "S3cr3t-\"x\\y");
  for (int i = 0; i < 40000; i++) {
    auto_buf struct buf raw = {0};
    for (uint32_t k = rnd(24); k > 0; k--) buf_str(&raw, pieces[rnd(ARRAY_LEN(pieces))]);
    auto_buf struct buf line = {0};
    struct json j = JSON_INIT(&line);
    json_object(&j, NULL);
    json_strn(&j, "message", buf_cstr(&raw), raw.len);
    json_str(&j, "end", "of line");
    json_object_end(&j);
    auto_buf struct buf before = {0};
    buf_add(&before, line.data, line.len);
    redact_apply(&r, &line);
    redact_apply(&r, &raw);
    assert_null(strstr(buf_cstr(&raw), "S3cr3t-\"x\\y"));
    assert_null(strstr(buf_cstr(&line), "S3cr3t-\\\"x\\\\y"));
    auto_json cJSON *v = NULL;
    if (json_parse(buf_cstr(&line), line.len, "line", &v, NULL) != 0)
      fail_msg("no JSON any more:\n%s\n%s", buf_cstr(&before), buf_cstr(&line));
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(v, "end")), "of line");
  }
}

/* A megabyte of what is worst for each matcher takes no longer than a megabyte of anything. */
static void linear_time(void **state) {
  (void)state;
  static const char *const worst[] = {"a",  "aaaaaaab", "://",    "password=", "password='",
                                      "\\", "\"",       "a://b:", "=",         "token\":\""};
  auto_redact struct redact r = {0};
  char secret[2001];
  memset(secret, 'a', sizeof secret - 1);
  secret[sizeof secret - 1] = 0;
  redact_add(&r, secret);
  for (size_t i = 0; i < ARRAY_LEN(worst); i++) {
    auto_buf struct buf b = {0};
    buf_char(&b, '{');
    while (b.len < 1024 * 1024) buf_str(&b, worst[i]);
    int64_t begin = clock_mono_ns();
    redact_apply(&r, &b);
    int64_t took = clock_mono_ns() - begin;
    if (took > 2 * NS_PER_S) fail_msg("\"%s\": %lld ms", worst[i], (long long)(took / NS_PER_MS));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(by_value),     cmocka_unit_test(parts_of_connection_strings),
      cmocka_unit_test(by_shape),     cmocka_unit_test(names),
      cmocka_unit_test(random_texts), cmocka_unit_test(linear_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
