/* One request on the control socket: is it understood, may this client, are its arguments as the operation's table
 * allows; then the function behind it. hello, help and cancel are answered here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/str.h"
#include "loop/control_inner.h"
#include "tend/version.h"

/* --- hello, help, cancel ----------------------------------------------------------------------------------------- */

static void op_hello(struct client *k, const struct control_request *q, struct control_reply *reply) {
  if (control_arg_bool(q, "read_only", false)) k->read_only = true;
  const struct event_source *who = sink_who(k->control->sink);
  auto_buf struct buf value = {0};
  struct json j = JSON_INIT(&value);
  json_object(&j, NULL);
  json_int(&j, "protocol", CONTROL_VERSION);
  json_str(&j, "version", TEND_VERSION);
  json_str(&j, "flow", who->flow);
  json_str(&j, "container_id", who->container_id);
  json_str(&j, "right", right_name(k->read_only ? RIGHT_READ : RIGHT_OPERATE));
  json_array(&j, "capabilities");
  static const char *const can[] = {"cancel", "streams", "read-only", "script-commands"};
  for (size_t i = 0; i < ARRAY_LEN(can); i++) json_str(&j, NULL, can[i]);
  json_array_end(&j);
  json_object(&j, "limits");
  json_int(&j, "request_bytes", LIMIT_CONTROL_FRAME);
  json_int(&j, "answer_bytes", LIMIT_CONTROL_REPLY);
  json_int(&j, "requests_at_once", LIMIT_CONTROL_PENDING);
  json_int(&j, "requests_a_second", LIMIT_CONTROL_RATE);
  json_int(&j, "clients", LIMIT_CONTROL_CLIENTS);
  json_object_end(&j);
  json_object_end(&j);
  control_answer_buf(reply, &value);
}

static const struct operation *def_of(const struct control_op *op) {
  return op->def ? op->def : operation_find(op->name);
}

static void op_help(const struct control *c, struct control_reply *reply) {
  auto_buf struct buf value = {0};
  struct json j = JSON_INIT(&value);
  json_array(&j, NULL);
  for (size_t i = 0; i < c->n_sets; i++)
    for (const struct control_op *op = c->sets[i].ops; op->name; op++)
      if (def_of(op)) operation_json(def_of(op), &j);
  static const char *const own[] = {"hello", "help", "cancel"};
  for (size_t i = 0; i < ARRAY_LEN(own); i++) operation_json(operation_find(own[i]), &j);
  const struct operation *op;
  for (size_t i = 0; (op = script_command(c, i)); i++) operation_json(op, &j);
  json_array_end(&j);
  control_answer_buf(reply, &value);
}

static void op_cancel(struct client *k, const struct control_request *q, struct control_reply *reply) {
  int64_t id = control_arg_int(q, "id", -1);
  struct control_reply *r = k->replies;
  while (r && (r == reply || !r->has_id || r->id != id)) r = r->next;
  control_answer(reply, r ? "{\"cancelled\": true}" : "{\"cancelled\": false}");
  if (!r || r->cancelled) return;
  r->cancelled = true;
  if (r->end)
    reply_end_later(r);
  else
    reply_abandon(r);
}

/* --- finding ----------------------------------------------------------------------------------------------------- */

struct found {
  const struct operation *def;
  const struct control_op *op; /* NULL: built in, or of a script */
  void *arg;
};

static bool find(const struct control *c, const char *name, struct found *out) {
  for (size_t i = 0; i < c->n_sets; i++)
    for (const struct control_op *op = c->sets[i].ops; op->name; op++)
      if (STR_EQ(op->name, name)) {
        *out = (struct found){def_of(op), op, c->sets[i].arg};
        return out->def != NULL;
      }
  const struct operation *def = NULL;
  if (STR_EQ(name, "hello") || STR_EQ(name, "help") || STR_EQ(name, "cancel")) def = operation_find(name);
  if (!def) def = script_find(c, name);
  *out = (struct found){.def = def};
  return def != NULL;
}

static void refuse_unknown(const struct control *c, const char *name, struct control_reply *reply) {
  const char *names[256];
  size_t n = 0;
  for (size_t i = 0; i < c->n_sets; i++)
    for (const struct control_op *op = c->sets[i].ops; op->name && n < ARRAY_LEN(names); op++) names[n++] = op->name;
  const struct operation *op;
  for (size_t i = 0; n < ARRAY_LEN(names) && (op = script_command(c, i)); i++) names[n++] = op->name;
  const char *near = str_nearest(name, names, n);
  control_fail(reply, "unknown", "this engine does not know \"%.64s\"%s%s%s", name, near ? "; did you mean \"" : "",
               near ? near : "", near ? "\"?" : "");
}

bool control_right(const struct control *c, const char *name, const cJSON *args, enum right *out) {
  struct found f;
  if (!find(c, name, &f)) return false;
  *out = operation_right(f.def, args);
  return true;
}

/* --- a request --------------------------------------------------------------------------------------------------- */

void control_dispatch(struct control *c, struct client *k, const struct control_request *q,
                      struct control_reply *reply) {
  struct found f;
  if (!find(c, q->op, &f)) {
    refuse_unknown(c, q->op, reply);
    return;
  }
  struct err err = ERR_INIT;
  if (operation_check(f.def, q->args, &err)) {
    control_fail(reply, "arguments", "%s", err.msg);
    return;
  }
  enum right needed = operation_right(f.def, q->args);
  if (needed == RIGHT_OPERATE && q->read_only) {
    audit_refused(c, q, "denied", "this client may only look");
    control_fail(reply, "denied", "%s changes something, and this client may only look", q->op);
    return;
  }
  if (f.def->own && q->foreign) {
    audit_refused(c, q, "denied", "only for the same user and root");
    control_fail(reply, "denied", "%s is for the same user and root", q->op);
    return;
  }
  if (f.def->audit && needed == f.def->right) audit_begin(c, reply, q);
  if (f.op)
    f.op->fn(f.arg, q, reply);
  else if (f.def->script)
    script_run(c, f.def, q, reply);
  else if (!k && !STR_EQ(q->op, "help"))
    control_fail(reply, "unavailable", "%s is for connections", q->op);
  else if (STR_EQ(q->op, "hello"))
    op_hello(k, q, reply);
  else if (STR_EQ(q->op, "help"))
    op_help(c, reply);
  else
    op_cancel(k, q, reply);
}

/* The id: -1 none, -2 no id that we take. */
static int64_t read_id(const cJSON *request) {
  const cJSON *id = cJSON_GetObjectItemCaseSensitive(request, "id");
  if (!id || cJSON_IsNull(id)) return -1;
  double d = cJSON_IsNumber(id) ? id->valuedouble : -1;
  return d >= 0 && d <= 9007199254740992.0 && d == (double)(int64_t)d ? (int64_t)d : -2;
}

static bool is_under_way(const struct client *k, int64_t id) {
  for (const struct control_reply *r = k->replies; r; r = r->next)
    if (r->has_id && r->id == id) return true;
  return false;
}

static void refuse_version(struct client *k, int64_t id, const cJSON *version) {
  char text[192];
  if (cJSON_IsNumber(version))
    snprintf(text, sizeof text,
             "this engine (tend " TEND_VERSION
             ") speaks version %d of the control protocol, the client version %g: use "
             "the tend that the engine was started from",
             CONTROL_VERSION, version->valuedouble);
  else
    snprintf(text, sizeof text, "expected \"v\": %d, the version of the protocol", CONTROL_VERSION);
  client_complain(k, id, "version", text);
}

void control_handle(struct client *k, const char *text, size_t n) {
  struct err err = ERR_INIT;
  auto_json cJSON *request = NULL;
  auto_json cJSON *no_args = NULL;
  if (!str_utf8_valid(text, n) || json_has_nul(text, n)) {
    client_complain(k, -1, "invalid", "the request is not UTF-8, or has a NUL in it");
    return;
  }
  if (json_parse(text, n, "request", &request, &err)) {
    client_complain(k, -1, "invalid", err.msg);
    return;
  }
  const cJSON *version = cJSON_GetObjectItemCaseSensitive(request, "v");
  const cJSON *op = cJSON_GetObjectItemCaseSensitive(request, "op");
  const cJSON *args = cJSON_GetObjectItemCaseSensitive(request, "args");
  int64_t id = read_id(request);
  if (!cJSON_IsNumber(version) || version->valuedouble != CONTROL_VERSION) {
    refuse_version(k, id < 0 ? -1 : id, version);
    return;
  }
  if (cJSON_IsNull(args)) args = NULL;
  if (!cJSON_IsString(op) || id == -2 || (args && !cJSON_IsObject(args))) {
    client_complain(k, -1, "invalid", "expected {\"v\": 1, \"id\": N, \"op\": \"NAME\", \"args\": {}}");
    return;
  }
  if (id >= 0 && is_under_way(k, id)) {
    client_complain(k, -1, "invalid", "another request with this id is under way");
    return;
  }
  if (!args) args = no_args = cJSON_CreateObject();
  struct control_reply *reply = args ? reply_new(k, id) : NULL;
  if (!reply) {
    client_complain(k, id, "busy", "out of memory");
    return;
  }
  struct control_request q = {.op = op->valuestring,
                              .args = args,
                              .uid = k->uid,
                              .pid = k->pid,
                              .read_only = k->read_only,
                              .foreign = k->foreign};
  control_dispatch(k->control, k, &q, reply);
}

void control_add(struct control *c, const struct control_op *ops, void *arg) {
  if (c && c->n_sets < CONTROL_SETS) c->sets[c->n_sets++] = (struct control_set){ops, arg};
}

/* --- arguments --------------------------------------------------------------------------------------------------- */

const char *control_arg_str(const struct control_request *q, const char *name, const char *fallback) {
  const cJSON *v = cJSON_GetObjectItemCaseSensitive(q->args, name);
  return cJSON_IsString(v) ? v->valuestring : fallback;
}

int64_t control_arg_int(const struct control_request *q, const char *name, int64_t fallback) {
  const cJSON *v = cJSON_GetObjectItemCaseSensitive(q->args, name);
  return cJSON_IsNumber(v) && v->valuedouble > -9e15 && v->valuedouble < 9e15 ? (int64_t)v->valuedouble : fallback;
}

bool control_arg_bool(const struct control_request *q, const char *name, bool fallback) {
  const cJSON *v = cJSON_GetObjectItemCaseSensitive(q->args, name);
  return cJSON_IsBool(v) ? cJSON_IsTrue(v) : fallback;
}
