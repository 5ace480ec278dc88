/* core/access: who sees details over HTTP, and what Accept asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "core/access.h"

static void loopback_names(void **state) {
  (void)state;
  static const char *const good[] = {"localhost",    "LocalHost",       "localhost:9464", "127.0.0.1",
                                     "127.0.0.1:80", "127.255.255.254", "[::1]",          "[::1]:9464"};
  static const char *const bad[] = {"",
                                    "localhost.",
                                    "localhost.evil.com",
                                    "evil.com",
                                    "localhost:80:80",
                                    "localhost:a",
                                    "localhost:999999",
                                    "127.0.0.1.evil.com",
                                    "127.0.0.1.nip.io",
                                    "127.1",
                                    "127.0.0.256",
                                    "127.0.0.",
                                    "127.0..1",
                                    "1127.0.0.1",
                                    "[::1",
                                    "[::2]",
                                    "[::1]x",
                                    "[::ffff:127.0.0.1]",
                                    "::1",
                                    "user@localhost",
                                    "localhost/x",
                                    "10.0.0.1"};
  for (size_t i = 0; i < ARRAY_LEN(good); i++)
    if (!access_loopback_name(good[i])) fail_msg("%s is refused", good[i]);
  for (size_t i = 0; i < ARRAY_LEN(bad); i++)
    if (access_loopback_name(bad[i])) fail_msg("%s is taken", bad[i]);
}

/* Headers as "Name: value" texts. */
static enum access_verdict ask(enum access_detail detail, const char *token, bool loopback,
                               const char *const headers[]) {
  struct access_request r = {.loopback = loopback};
  for (size_t i = 0; headers[i]; i++) {
    char name[64];
    const char *colon = strchr(headers[i], ':');
    size_t n = (size_t)(colon - headers[i]);
    memcpy(name, headers[i], n);
    name[n] = 0;
    access_header(&r, name, colon + 1 + (colon[1] == ' '));
  }
  const char *why = NULL;
  enum access_verdict v = access_check(detail, token, &r, &why);
  assert_non_null(why);
  assert_int_equal(v == ACCESS_GRANTED, !*why);
  return v;
}

#define ASK(detail, token, loopback, ...) ask(detail, token, loopback, (const char *const[]){__VA_ARGS__, NULL})
#define HERE "Host: localhost:9464"
#define THERE "Host: tend.example.com"

static void local_means_this_host(void **state) {
  (void)state;
  assert_int_equal(ACCESS_GRANTED, ASK(ACCESS_LOCAL, NULL, true, HERE));
  assert_int_equal(ACCESS_FORBIDDEN, ASK(ACCESS_LOCAL, NULL, false, HERE));
  assert_int_equal(ACCESS_FORBIDDEN, ASK(ACCESS_LOCAL, NULL, true, THERE));
  assert_int_equal(ACCESS_FORBIDDEN, ASK(ACCESS_LOCAL, NULL, true, "Accept: */*"));
  assert_int_equal(ACCESS_FORBIDDEN, ASK(ACCESS_LOCAL, NULL, true, HERE, HERE));
  static const char *const proxies[] = {"Forwarded: for=1.2.3.4", "X-Forwarded-For: 1.2.3.4", "x-forwarded-host: a",
                                        "X-Real-IP: 1.2.3.4", "Via: 1.1 proxy"};
  for (size_t i = 0; i < ARRAY_LEN(proxies); i++)
    assert_int_equal(ACCESS_FORBIDDEN, ASK(ACCESS_LOCAL, NULL, true, HERE, proxies[i]));
  assert_int_equal(ACCESS_FORBIDDEN, ASK(ACCESS_OFF, NULL, true, HERE));
  assert_int_equal(ACCESS_GRANTED, ASK(ACCESS_ALL, NULL, false, THERE, "X-Forwarded-For: 1.2.3.4"));
}

static void token_opens(void **state) {
  (void)state;
  static const char secret[] = "a-long-secret";
  const enum access_detail details[] = {ACCESS_OFF, ACCESS_LOCAL, ACCESS_ALL};
  for (size_t i = 0; i < ARRAY_LEN(details); i++) {
    assert_int_equal(ACCESS_GRANTED, ASK(details[i], secret, false, THERE, "Authorization: Bearer a-long-secret"));
    assert_int_equal(ACCESS_GRANTED, ASK(details[i], secret, false, THERE, "authorization: bearer  a-long-secret"));
  }
  static const char *const wrong[] = {"Bearer a-long-secre",
                                      "Bearer a-long-secrett",
                                      "Bearer a-long-secreT",
                                      "Bearer ",
                                      "Basic a-long-secret",
                                      "a-long-secret",
                                      "Bearer a-long-secreta-long-secret",
                                      ""};
  for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
    char header[128];
    snprintf(header, sizeof header, "Authorization: %s", wrong[i]);
    assert_int_equal(ACCESS_UNAUTHORIZED, ASK(ACCESS_OFF, secret, true, HERE, header));
  }
  assert_int_equal(ACCESS_UNAUTHORIZED, ASK(ACCESS_LOCAL, secret, false, HERE));
  assert_int_equal(ACCESS_UNAUTHORIZED, ASK(ACCESS_OFF, secret, true, HERE, "Authorization: Bearer a-long-secret",
                                            "Authorization: Bearer a-long-secret"));
  assert_int_equal(ACCESS_GRANTED, ASK(ACCESS_LOCAL, secret, true, HERE)); /* local goes on beside it */
  assert_int_equal(ACCESS_FORBIDDEN, ASK(ACCESS_OFF, NULL, true, HERE, "Authorization: Bearer "));
  assert_int_equal(ACCESS_FORBIDDEN, ASK(ACCESS_OFF, "", true, HERE, "Authorization: Bearer "));
}

static void pages_of_other_sites_get_nothing(void **state) {
  (void)state;
  assert_int_equal(ACCESS_FORBIDDEN, ASK(ACCESS_LOCAL, NULL, true, HERE, "Sec-Fetch-Site: cross-site"));
  assert_int_equal(ACCESS_FORBIDDEN, ASK(ACCESS_LOCAL, NULL, true, HERE, "Sec-Fetch-Site: same-site"));
  assert_int_equal(ACCESS_FORBIDDEN, ASK(ACCESS_ALL, NULL, true, HERE, "Sec-Fetch-Site: cross-site"));
  assert_int_equal(ACCESS_GRANTED, ASK(ACCESS_LOCAL, NULL, true, HERE, "Sec-Fetch-Site: same-origin"));
  assert_int_equal(ACCESS_GRANTED, ASK(ACCESS_LOCAL, NULL, true, HERE, "Sec-Fetch-Site: none"));
  /* a browser that says only from which page it asks */
  assert_int_equal(ACCESS_GRANTED, ASK(ACCESS_LOCAL, NULL, true, HERE, "Origin: http://localhost:9464"));
  assert_int_equal(ACCESS_FORBIDDEN, ASK(ACCESS_LOCAL, NULL, true, HERE, "Origin: http://localhost:8080"));
  assert_int_equal(ACCESS_FORBIDDEN, ASK(ACCESS_ALL, NULL, true, HERE, "Origin: https://tend.example.com"));
  assert_int_equal(ACCESS_FORBIDDEN, ASK(ACCESS_LOCAL, NULL, true, HERE, "Origin: null"));
  assert_int_equal(ACCESS_FORBIDDEN, ASK(ACCESS_LOCAL, NULL, true, HERE, "Origin:"));
}

static void a_long_authorization_is_none_of_ours(void **state) {
  (void)state;
  char header[4096];
  memset(header, 'a', sizeof header);
  memcpy(header, "Authorization: Bearer ", 22);
  header[sizeof header - 1] = 0;
  char token[1002];
  memset(token, 'a', sizeof token);
  token[sizeof token - 1] = 0;
  assert_int_equal(ACCESS_UNAUTHORIZED, ASK(ACCESS_OFF, token, true, HERE, header));
}

static void accept_decides_the_format(void **state) {
  (void)state;
  static const struct {
    const char *accept;
    bool open;
  } rows[] = {
      {NULL, false},
      {"", false},
      {"*/*", false},
      {"text/plain", false},
      {"application/openmetrics-text", true},
      {"application/openmetrics-text; version=1.0.0; charset=utf-8", true},
      {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
       "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
       true},
      {"text/plain;version=0.0.4;q=0.5, application/openmetrics-text;q=0.2", false},
      {"application/openmetrics-text;q=0", false},
      {"application/openmetrics-text;version=2.0.0", false},
      {"application/openmetrics-text;q=", false},
      {"application/openmetrics-textual", false},
      {"text/html, APPLICATION/OPENMETRICS-TEXT ;q=0.9, text/plain;q=0.8", true},
      {",,;;,q=1;", false},
  };
  for (size_t i = 0; i < ARRAY_LEN(rows); i++)
    if (access_wants_openmetrics(rows[i].accept) != rows[i].open) fail_msg("Accept: %s", rows[i].accept);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(loopback_names),
      cmocka_unit_test(local_means_this_host),
      cmocka_unit_test(token_opens),
      cmocka_unit_test(pages_of_other_sites_get_nothing),
      cmocka_unit_test(a_long_authorization_is_none_of_ours),
      cmocka_unit_test(accept_decides_the_format),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
