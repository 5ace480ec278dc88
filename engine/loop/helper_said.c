#include "loop/helper_said.h"

#include <stdio.h>

void helper_last_line(const struct buf *out, char *to, size_t size) {
  size_t end = out ? out->len : 0;
  while (end && out->data[end - 1] == '\n') end--;
  size_t start = end;
  while (start && out->data[start - 1] != '\n') start--;
  snprintf(to, size, "%.*s", (int)(end - start), end ? out->data + start : "");
}
