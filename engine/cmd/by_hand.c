#include "cmd/by_hand.h"

#include <stdlib.h>
#include <string.h>

#include "base/keep.h"
#include "base/limits.h"
#include "base/str.h"

#define ORIGIN "by hand"

struct by_hand {
  const struct settings *settings; /* in force */
  struct control *control;
  struct keep *keep;
  cJSON *changes;        /* by path: {"settings": {NAME: value}, "checks": {name: {field: value}}, …} */
  cJSON *was;            /* in the same shape: what the files say, as of the last reload */
  struct asking *asking; /* the change that is under way */
};

struct asking {
  struct by_hand *hand;
  struct control_reply *reply;
  cJSON *before; /* the changes, to go back to */
};

static const char *const parts[] = {"checks", "dependencies", "processes", "remedies"};

/* What the engine before had. */
static void take_kept(struct by_hand *h) {
  size_t n = 0;
  const char *text = h->keep ? keep_get(h->keep, "by_hand", &n) : NULL;
  auto_json cJSON *kept = text && n ? cJSON_ParseWithLength(text, n) : NULL;
  cJSON *changes = cJSON_DetachItemFromObjectCaseSensitive(kept, "changes");
  cJSON *was = cJSON_DetachItemFromObjectCaseSensitive(kept, "was");
  h->changes = changes ? changes : cJSON_CreateObject();
  h->was = was ? was : cJSON_CreateObject();
}

struct by_hand *by_hand_new(const struct settings *settings, struct keep *keep) {
  struct by_hand *h = calloc(1, sizeof *h);
  if (!h) return NULL;
  *h = (struct by_hand){.settings = settings, .keep = keep};
  take_kept(h);
  if (h->changes && h->was) return h;
  by_hand_free(h);
  return NULL;
}

static void add_all(const struct by_hand *h, struct buf *out) {
  struct json j = JSON_INIT(out);
  json_object(&j, NULL);
  json_value(&j, "changes", h->changes);
  json_value(&j, "was", h->was);
  json_object_end(&j);
}

static void keep_it(const struct by_hand *h) {
  auto_buf struct buf text = {0};
  add_all(h, &text);
  if (h->keep && !text.failed) keep_put(h->keep, "by_hand", text.data, text.len);
}

void by_hand_free(struct by_hand *h) {
  if (!h) return;
  cJSON_Delete(h->changes);
  cJSON_Delete(h->was);
  free(h);
}

void by_hand_serve(struct by_hand *h, struct control *control) {
  h->control = control;
  control_add(control, by_hand_ops, h);
}

/* --- over what the files say ------------------------------------------------------------------------------------- */

/* The object under key, made where it is missing. */
static cJSON *object_in(cJSON *parent, const char *key) {
  cJSON *v = cJSON_GetObjectItemCaseSensitive(parent, key);
  return v ? v : cJSON_AddObjectToObject(parent, key);
}

static void put(cJSON *object, const char *key, cJSON *value) {
  if (!object || !value) {
    cJSON_Delete(value);
    return;
  }
  cJSON_DeleteItemFromObjectCaseSensitive(object, key);
  if (!cJSON_AddItemToObject(object, key, value)) cJSON_Delete(value);
}

/* A number as a setting's text; NULL for what is none. */
static const char *text_of(const cJSON *v, char *out, size_t size) {
  if (cJSON_IsString(v)) return v->valuestring;
  if (cJSON_IsBool(v)) return cJSON_IsTrue(v) ? "true" : "false";
  if (!cJSON_IsNumber(v)) return NULL;
  snprintf(out, size, "%.15g", v->valuedouble);
  return out;
}

void by_hand_settings(const struct by_hand *h, struct settings *s) {
  if (!h) return;
  const cJSON *change;
  cJSON_ArrayForEach(change, cJSON_GetObjectItemCaseSensitive(h->changes, "settings")) {
    char number[40];
    settings_give(s, LAYER_COMMAND_LINE, change->string, text_of(change, number, sizeof number), ORIGIN);
  }
}

/* The entry of that name, in an object by names or a list of entries with names. */
static cJSON *find_entry(cJSON *list, const char *name) {
  if (cJSON_IsObject(list)) return cJSON_GetObjectItemCaseSensitive(list, name);
  cJSON *entry;
  cJSON_ArrayForEach(entry, list) {
    const char *its = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "name"));
    if (its && STR_EQ(its, name)) return entry;
  }
  return NULL;
}

static void change_entry(cJSON *entry, const cJSON *fields, cJSON *was) {
  const cJSON *field;
  cJSON_ArrayForEach(field, fields) {
    const cJSON *old = cJSON_GetObjectItemCaseSensitive(entry, field->string);
    put(was, field->string, old ? cJSON_Duplicate(old, true) : cJSON_CreateNull());
    put(entry, field->string, cJSON_Duplicate(field, true));
  }
}

void by_hand_flow(struct by_hand *h, cJSON *flow) {
  for (size_t i = 0; h && i < ARRAY_LEN(parts); i++) {
    const cJSON *changed;
    cJSON_ArrayForEach(changed, cJSON_GetObjectItemCaseSensitive(h->changes, parts[i])) {
      cJSON *entry = find_entry(cJSON_GetObjectItemCaseSensitive(flow, parts[i]), changed->string);
      cJSON *was = object_in(object_in(h->was, parts[i]), changed->string);
      if (cJSON_IsObject(entry)) change_entry(entry, changed, was);
    }
  }
}

/* --- changes ----------------------------------------------------------------------------------------------------- */

/* What the files say by now is no change any more. */
static void drop_same(cJSON *changes, const cJSON *was, int depth) {
  cJSON *next;
  for (cJSON *v = changes ? changes->child : NULL; v; v = next) {
    next = v->next;
    const cJSON *old = cJSON_GetObjectItemCaseSensitive(was, v->string);
    bool empty = false;
    if (depth > 0) {
      drop_same(v, old, depth - 1);
      empty = !v->child;
    }
    char number[40];
    const char *text = depth == 0 ? text_of(v, number, sizeof number) : NULL;
    bool same = depth == 0 && old &&
                (cJSON_Compare(v, old, true) || (cJSON_IsString(old) && text && STR_EQ(text, old->valuestring)));
    if (empty || same) cJSON_Delete(cJSON_DetachItemViaPointer(changes, v));
  }
}

static void tidy(struct by_hand *h) {
  cJSON *settings = cJSON_GetObjectItemCaseSensitive(h->changes, "settings");
  drop_same(settings, cJSON_GetObjectItemCaseSensitive(h->was, "settings"), 0);
  for (size_t i = 0; i < ARRAY_LEN(parts); i++)
    drop_same(cJSON_GetObjectItemCaseSensitive(h->changes, parts[i]),
              cJSON_GetObjectItemCaseSensitive(h->was, parts[i]), 1);
}

static void on_reloaded(void *arg, const cJSON *answer) {
  struct asking *a = arg;
  struct by_hand *h = a->hand;
  struct control_reply *reply = a->reply;
  bool good = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "ok"));
  const char *why = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "error"));
  h->asking = NULL;
  if (good) {
    tidy(h);
    keep_it(h);
    cJSON_Delete(a->before);
    control_answer(reply, "\"done\"");
  } else {
    cJSON_Delete(h->changes);
    h->changes = a->before;
    control_refuse(reply, "%s", why ? why : "the reload was not answered");
  }
  free(a);
}

/* The reload that makes it so. `before` is taken over. */
static void apply(struct by_hand *h, cJSON *before, const struct control_request *q, struct control_reply *reply) {
  struct asking *a = calloc(1, sizeof *a);
  auto_json cJSON *args = cJSON_CreateObject();
  if (!a || !args) {
    free(a);
    cJSON_Delete(h->changes);
    h->changes = before;
    control_fail(reply, "busy", "out of memory");
    return;
  }
  *a = (struct asking){h, reply, before};
  h->asking = a;
  const struct control_request reload = {.op = "reload", .args = args, .uid = q->uid, .pid = q->pid};
  struct control_reply *call;
  if (control_call(h->control, &reload, on_reloaded, a, &call)) on_reloaded(a, NULL);
}

static bool begin(struct by_hand *h, struct control_reply *reply, cJSON **before) {
  if (h->asking) {
    control_fail(reply, "busy", "another change is under way");
    return false;
  }
  *before = cJSON_Duplicate(h->changes, true);
  if (!*before) control_fail(reply, "busy", "out of memory");
  return *before != NULL;
}

static void op_set(void *arg, const struct control_request *q, struct control_reply *reply) {
  struct by_hand *h = arg;
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(q->args, "value");
  char full[2 * LIMIT_NAME], number[40];
  const char *name = control_arg_str(q, "name", "");
  struct setting_view v;
  str_copy(full, sizeof full, name);
  if (!settings_view(h->settings, full, &v)) snprintf(full, sizeof full, "CONTAINER_%.100s", name);
  bool known = settings_view(h->settings, full, &v);
  if (!known) {
    control_refuse(reply, "there is no setting \"%.64s\"", name);
    return;
  }
  if (v.def->flags & SETTING_SECRET || !(v.def->flags & SETTING_RELOADABLE)) {
    control_refuse(reply,
                   v.def->flags & SETTING_SECRET ? "%s is a secret: give it by its file, %s_FILE"
                                                 : "%s is taken at the start only; set it there%.0s",
                   full, full);
    return;
  }
  if (value && !cJSON_IsNull(value) && !text_of(value, number, sizeof number)) {
    control_refuse(reply, "%s: expected a text, a number or a boolean", full);
    return;
  }
  cJSON *before;
  if (!begin(h, reply, &before)) return;
  cJSON *settings = object_in(h->changes, "settings"), *was = object_in(h->was, "settings");
  if (!cJSON_GetObjectItemCaseSensitive(settings, full)) put(was, full, cJSON_CreateString(v.shown ? v.shown : ""));
  if (!value || cJSON_IsNull(value))
    cJSON_DeleteItemFromObjectCaseSensitive(settings, full);
  else
    put(settings, full, cJSON_Duplicate(value, true));
  apply(h, before, q, reply);
}

static void op_change(void *arg, const struct control_request *q, struct control_reply *reply) {
  struct by_hand *h = arg;
  const char *part = control_arg_str(q, "what", ""), *name = control_arg_str(q, "name", "");
  const cJSON *fields = cJSON_GetObjectItemCaseSensitive(q->args, "fields"), *field;
  if (!cJSON_IsObject(fields) || !fields->child || cJSON_GetObjectItemCaseSensitive(fields, "name")) {
    control_refuse(reply, "expected the fields to change, e.g. { interval = 5 }; a name cannot be changed");
    return;
  }
  cJSON *before;
  if (!begin(h, reply, &before)) return;
  cJSON *entry = object_in(object_in(h->changes, part), name);
  cJSON_ArrayForEach(field, fields) {
    if (cJSON_IsNull(field))
      cJSON_DeleteItemFromObjectCaseSensitive(entry, field->string);
    else
      put(entry, field->string, cJSON_Duplicate(field, true));
  }
  apply(h, before, q, reply);
}

static void op_undo(void *arg, const struct control_request *q, struct control_reply *reply) {
  struct by_hand *h = arg;
  cJSON *before;
  if (!begin(h, reply, &before)) return;
  cJSON_Delete(h->changes);
  h->changes = cJSON_CreateObject();
  apply(h, before, q, reply);
}

static void op_list(void *arg, const struct control_request *q, struct control_reply *reply) {
  (void)q;
  struct by_hand *h = arg;
  auto_buf struct buf value = {0};
  if (!h->asking) tidy(h); /* a reload since may have made some of them the files' own */
  add_all(h, &value);
  settings_redact(h->settings, &value);
  control_answer_buf(reply, &value);
}

const struct control_op by_hand_ops[] = {
    {"set", op_set, NULL}, {"change", op_change, NULL}, {"undo", op_undo, NULL}, {"by-hand", op_list, NULL}, {0}};
