#include "core/kept.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/str.h"

enum part { PART_FILE, PART_FLOW, PART_SCRIPT, PART_SETTING };

struct head {
  uint32_t part, path, text; /* bytes of what follows */
};

void kept_policy_free(struct kept_policy *k) {
  free(k->flow);
  sources_free(&k->scripts);
  sources_free(&k->settings);
  *k = (struct kept_policy){.file = ""};
}

static void add(struct buf *out, enum part part, const char *path, const char *text, size_t n) {
  const struct head h = {.part = part, .path = (uint32_t)strlen(path), .text = (uint32_t)n};
  buf_add(out, (const char *)&h, sizeof h);
  buf_add(out, path, h.path);
  buf_add(out, text, n);
}

static void add_all(struct buf *out, enum part part, const struct sources *s) {
  for (size_t i = 0; s && i < s->n; i++) add(out, part, s->list[i].path, s->list[i].text, s->list[i].n);
}

void kept_pack(const char *file, const cJSON *flow, const struct sources *scripts, const struct sources *settings,
               struct buf *out) {
  auto_buf struct buf text = {0};
  struct json j = JSON_INIT(&text);
  if (flow) json_value(&j, NULL, flow);
  if (text.failed) out->failed = true;
  add(out, PART_FILE, file ? file : "", "", 0);
  if (text.len) add(out, PART_FLOW, "", text.data, text.len);
  add_all(out, PART_SCRIPT, scripts);
  add_all(out, PART_SETTING, settings);
}

static int take(struct kept_policy *k, const struct head *h, const char *p) {
  char path[PATH_MAX];
  if (h->path >= sizeof path) return -EINVAL;
  memcpy(path, p, h->path);
  path[h->path] = 0;
  const char *text = p + h->path;
  switch ((enum part)h->part) {
    case PART_FILE:
      str_copy(k->file, sizeof k->file, path);
      return 0;
    case PART_FLOW:
      k->flow = strndup(text, h->text);
      return k->flow ? 0 : -ENOMEM;
    case PART_SCRIPT:
      return sources_add(&k->scripts, path, text, h->text);
    case PART_SETTING:
      return sources_add(&k->settings, path, text, h->text);
  }
  return -EINVAL;
}

int kept_unpack(const char *bytes, size_t n, struct kept_policy *out) {
  int rc = 0;
  for (size_t at = 0; at < n && !rc;) {
    struct head h = {0};
    if (n - at < sizeof h) rc = -EINVAL;
    if (!rc) memcpy(&h, bytes + at, sizeof h);
    if (!rc && n - at - sizeof h < (uint64_t)h.path + h.text) rc = -EINVAL;
    if (!rc) rc = take(out, &h, bytes + at + sizeof h);
    if (!rc) at += sizeof h + h.path + h.text;
  }
  if (rc) kept_policy_free(out);
  return rc;
}

static bool has_function(const cJSON *v) {
  if (cJSON_IsObject(v) && cJSON_GetObjectItemCaseSensitive(v, "$fn")) return true;
  for (const cJSON *c = v->child; c; c = c->next)
    if (has_function(c)) return true;
  return false;
}

static void drop_functions(cJSON *v) {
  for (cJSON *c = v->child, *next; c; c = next) {
    next = c->next;
    if (has_function(c)) cJSON_Delete(cJSON_DetachItemViaPointer(v, c));
  }
}

void kept_strip(cJSON *flow) {
  static const char *const keys[] = {"checks", "dependencies", "remedies", "cleanup"};
  for (size_t i = 0; i < ARRAY_LEN(keys); i++) cJSON_DeleteItemFromObjectCaseSensitive(flow, keys[i]);
  cJSON *p;
  cJSON_ArrayForEach(p, cJSON_GetObjectItemCaseSensitive(flow, "processes")) {
    cJSON_DeleteItemFromObjectCaseSensitive(p, "startup");
    drop_functions(p);
  }
  drop_functions(flow);
}
