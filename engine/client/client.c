#include "client/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/str.h"
#include "client/asked.h"

#define PATIENCE_NS (10 * NS_PER_S)

/* The processes of a status, each name once. */
static size_t process_names(const cJSON *status, const char *names[LIMIT_PROCESSES]) {
  size_t n = 0;
  const cJSON *p;
  cJSON_ArrayForEach(p, cJSON_GetObjectItemCaseSensitive(status, "processes")) {
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(p, "name");
    bool again = n && cJSON_IsString(name) && STR_EQ(names[n - 1], name->valuestring); /* another instance */
    if (cJSON_IsString(name) && !again && n < LIMIT_PROCESSES) names[n++] = name->valuestring;
  }
  return n;
}

static int ask_logs(int fd, const char *process, cJSON **text, struct err *err) {
  auto_buf struct buf args = {0};
  struct json j = JSON_INIT(&args);
  json_object(&j, NULL);
  json_str(&j, "process", process);
  json_object_end(&j);
  return call_engine(fd, &(struct call){.op = "logs", .args = buf_cstr(&args), .patience_ns = PATIENCE_NS}, text, err);
}

/* One process after the other, on the connection that is there. */
static int ask_all_logs(const struct asked *q, int fd) {
  auto_json cJSON *status = NULL;
  struct err err = ERR_INIT;
  const char *names[LIMIT_PROCESSES];
  int rc = call_engine(fd, &(struct call){.op = "status", .patience_ns = PATIENCE_NS}, &status, &err);
  size_t n = rc ? 0 : process_names(status, names);
  auto_buf struct buf out = {0};
  struct json all = JSON_INIT(&out);
  if (q->json) json_object(&all, NULL);
  for (size_t i = 0; !rc && i < n; i++) {
    auto_json cJSON *text = NULL;
    rc = ask_logs(fd, names[i], &text, &err);
    if (rc) break;
    if (q->json) {
      json_value(&all, names[i], text);
    } else {
      if (n > 1) buf_fmt(&out, "==> %s <==\n", names[i]);
      show_text(text, 0, &out);
    }
  }
  if (q->json) {
    json_object_end(&all);
    buf_char(&out, '\n');
  }
  if (!rc) return put_text(buf_cstr(&out), out.len);
  fprintf(stderr, "tend logs: %s\n", err.msg);
  return rc == -EREMOTEIO ? CLIENT_NO : CLIENT_UNREACHABLE;
}

/* Where an engine died, the next one goes on telling; where it has ended there is none. */
static bool find_next(const struct asked *q, struct engine_place *engine) {
  const struct timespec moment = {.tv_nsec = 20 * NS_PER_MS};
  if (!asked_on(q, "follow") || !q->seen) return false;
  nanosleep(&moment, NULL);
  return find_engine(q->state_dir, q->flow, false, engine) == CLIENT_OK;
}

static int failed(const struct asked *q, int rc, struct err *err, const char *code) {
  tame_text(err->msg);
  fprintf(stderr, "tend %s: %s\n", q->op->name, err->msg);
  if (rc != -EREMOTEIO) return CLIENT_UNREACHABLE;
  return STR_EQ(code, "arguments") ? CLIENT_USAGE : CLIENT_NO;
}

/* From now on this connection only looks. */
static int give_up_rights(int fd, struct err *err) {
  auto_json cJSON *value = NULL;
  return call_engine(fd, &(struct call){.op = "hello", .args = "{\"read_only\": true}", .patience_ns = PATIENCE_NS},
                     &value, err);
}

/* Asks on this connection, which is taken. */
static int ask_at(struct asked *q, int given_fd) {
  auto_close int fd = given_fd;
  const struct operation *op = q->op;
  struct err err = ERR_INIT;
  int rc = q->read_only ? give_up_rights(fd, &err) : 0;
  if (rc) return failed(q, rc, &err, "");
  bool follows = asked_on(q, "follow");
  if (STR_EQ(op->name, "logs") && !asked_text(q, "process") && !follows) return ask_all_logs(q, fd);
  auto_buf struct buf args = {0};
  asked_args(q, &args);
  char code[32] = "";
  struct call call = {.op = op->name,
                      .args = buf_cstr(&args),
                      .patience_ns = op->waits || follows ? TIME_NEVER : PATIENCE_NS,
                      .on_part = follows || op->script ? answer_part : NULL,
                      .arg = q,
                      .code = code};
  auto_json cJSON *value = NULL;
  rc = call_engine(fd, &call, &value, &err);
  bool gone = rc == -ECONNRESET;
  struct engine_place engine;
  if (gone && find_next(q, &engine)) return ask_at(q, engine.fd);
  if (gone && (follows || STR_EQ(op->name, "shutdown"))) return CLIENT_OK; /* the engine's end ends these well */
  if (rc == -EINTR) return CLIENT_NO;
  if (rc) return failed(q, rc, &err, code);
  if (follows && cJSON_IsNull(value)) return CLIENT_OK; /* all was in the parts */
  return answer_put(q, value);
}

static int ask(struct asked *q) {
  struct engine_place engine;
  int code = find_engine(q->state_dir, q->flow, true, &engine);
  return code ? code : ask_at(q, engine.fd);
}

int client_main(int argc, char **argv) {
  struct asked q = {.op = operation_find(argv[0])};
  if (!q.op) {
    fprintf(stderr, "tend: unknown command \"%s\"\n", argv[0]);
    return CLIENT_USAGE;
  }
  int rc = asked_parse(&q, argc, argv);
  return rc ? rc : ask(&q);
}

int client_export_report(const char *file, const char *state_dir, const char *flow) {
  struct asked q = {.op = operation_find("report"), .state_dir = state_dir, .flow = flow};
  q.given[q.n++] = (struct asked_value){&q.op->args[0], file};
  return ask(&q);
}

/* --- commands of scripts ----------------------------------------------------------------------------------------- */

/* What the engine that is meant has: the answer to "help", and the connection. Nothing is told where there is none. */
static int ask_operations(const struct asked *where, cJSON **list) {
  struct engine_place engine;
  if (find_engine(where->state_dir, where->flow, false, &engine)) return -1;
  auto_close int fd = engine.fd;
  struct err err = ERR_INIT;
  if (call_engine(fd, &(struct call){.op = "help", .patience_ns = NS_PER_S}, list, &err)) return -1;
  return take_fd(&fd);
}

static bool is_script(const cJSON *item) { return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "script")); }

int client_scripts(client_script_fn *fn, void *arg, int argc, char **argv) {
  struct asked where = {0};
  asked_where(&where, argc, argv);
  auto_json cJSON *list = NULL;
  auto_close int fd = ask_operations(&where, &list);
  int n = 0;
  const cJSON *item;
  cJSON_ArrayForEach(item, list) {
    struct operation op;
    if (!is_script(item) || operation_read(item, &op, NULL)) continue;
    n++;
    fn(arg, &op);
    operation_free(&op);
  }
  return n;
}

int client_script_main(int argc, char **argv) {
  struct asked q = {0};
  asked_where(&q, argc, argv);
  auto_json cJSON *list = NULL;
  auto_close int fd = ask_operations(&q, &list);
  const cJSON *item;
  cJSON_ArrayForEach(item, list) {
    struct operation op;
    if (!is_script(item) || operation_read(item, &op, NULL)) continue;
    int rc = -1;
    if (STR_EQ(op.name, argv[0])) {
      q.op = &op;
      rc = asked_parse(&q, argc, argv);
      if (!rc) rc = ask_at(&q, take_fd(&fd));
    }
    operation_free(&op);
    if (rc >= 0) return rc;
  }
  return -1;
}

void client_names(const char *kind, client_name_fn *fn, void *arg, int argc, char **argv) {
  static const char *const lists[][3] = {
      {"process", "processes", NULL}, {"check", "checks", "dependencies"}, {"remedy", "remedies", NULL}};
  struct asked where = {0};
  struct engine_place engine;
  asked_where(&where, argc, argv);
  if (find_engine(where.state_dir, where.flow, false, &engine)) return;
  auto_close int fd = engine.fd;
  auto_json cJSON *status = NULL;
  struct err err = ERR_INIT;
  if (call_engine(fd, &(struct call){.op = "status", .patience_ns = NS_PER_S}, &status, &err)) return;
  for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
    if (!STR_EQ(lists[i][0], kind)) continue;
    const char *last = "";
    const cJSON *item;
    for (int k = 1; k < 3 && lists[i][k]; k++)
      cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(status, lists[i][k])) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));
        if (name && !STR_EQ(name, last)) fn(arg, last = name);
      }
  }
}

cJSON *client_setting(const char *state_dir, const char *flow, const char *name) {
  struct engine_place engine;
  if (find_engine(state_dir, flow, false, &engine)) return NULL;
  auto_close int fd = engine.fd;
  auto_buf struct buf args = {0};
  struct json j = JSON_INIT(&args);
  json_object(&j, NULL);
  json_str(&j, "name", name);
  json_object_end(&j);
  cJSON *value = NULL;
  struct err err = ERR_INIT;
  struct call call = {.op = "setting", .args = buf_cstr(&args), .patience_ns = NS_PER_S};
  return call_engine(fd, &call, &value, &err) == 0 ? value : NULL;
}
