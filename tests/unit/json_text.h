/* A JSON value as text without spaces; the caller's. */
#ifndef TEST_JSON_TEXT_H
#define TEST_JSON_TEXT_H

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static char *json_text(const cJSON *v) {
  auto_buf struct buf b = {0};
  struct json j = JSON_INIT(&b);
  json_value(&j, NULL, v);
  char *text = strdup(buf_cstr(&b)), *to = text;
  int in_string = 0;
  for (const char *p = text; *p; p++) {
    if (*p == '"' && (p == text || p[-1] != '\\')) in_string = !in_string;
    if (*p != ' ' || in_string) *to++ = *p;
  }
  *to = 0;
  return text;
}

#endif
