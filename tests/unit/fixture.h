/* What the tests share that keep their scene in a header: cmocka with all that it needs, and JSON that reads well in C.
 */
#ifndef TESTS_FIXTURE_H
#define TESTS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

/* A test program takes what it needs of a scene. */
#define UNUSED __attribute__((unused))

/* JSON with ' for ". */
static UNUSED cJSON *parse(const char *text) {
  char *copy = strdup(text);
  for (char *c = copy; *c; c++)
    if (*c == '\'') *c = '"';
  cJSON *json = cJSON_Parse(copy);
  if (!json) fail_msg("test JSON: %s", copy);
  free(copy);
  return json;
}

#endif
