/* What is done with the engine's answers: text for people or JSON for programs on standard output, the exit code. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/str.h"
#include "client/asked.h"

typedef void show_fn(const cJSON *v, int64_t now_real_ns, struct buf *out);

/* --- output ------------------------------------------------------------------------------------------------------ */

int put_text(const char *p, size_t n) {
  if (fwrite(p, 1, n, stdout) == n && fflush(stdout) == 0) return CLIENT_OK;
  fprintf(stderr, "tend: cannot write the answer: %s\n", strerror(errno));
  return CLIENT_NO;
}

int put_json(const cJSON *value) {
  auto_buf struct buf out = {0};
  struct json j = JSON_INIT(&out);
  json_value(&j, NULL, value);
  buf_char(&out, '\n');
  return put_text(buf_cstr(&out), out.len);
}

/* Names and reasons come from anywhere: none of it may steer the terminal, or look like a line of ours. */
void tame_text(char *p) {
  for (; p && *p; p++) {
    unsigned char c = (unsigned char)*p, next = (unsigned char)p[1];
    if (c < 0x20 || c == 0x7f) *p = '?';
    if (c == 0xc2 && next >= 0x80 && next < 0xa0) p[0] = p[1] = '?'; /* the C1 set, in UTF-8 */
  }
}

static void tame(cJSON *value) {
  if (!value) return;
  tame_text(cJSON_GetStringValue(value));
  for (cJSON *v = value->child; v; v = v->next) {
    tame_text(v->string);
    tame(v);
  }
}

static int put_shown(show_fn *show, const cJSON *value) {
  auto_buf struct buf out = {0};
  auto_json cJSON *tamed = show == show_text ? NULL : cJSON_Duplicate(value, true);
  if (!tamed && show != show_text) return put_json(value);
  tame(tamed);
  show(tamed ? tamed : value, clock_real_ns(), &out);
  return put_text(buf_cstr(&out), out.len);
}

static int finish_health(const struct asked *q, const cJSON *value) {
  int rc = q->json ? put_json(value) : put_shown(show_health, value);
  return rc ? rc : cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(value, "healthy")) ? CLIENT_OK : CLIENT_NO;
}

static int finish_check(const struct asked *q, const cJSON *value) {
  int rc = q->json ? put_json(value) : put_shown(show_check, value);
  const char *result = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(value, "result"));
  return rc ? rc : result && (STR_EQ(result, "ok") || STR_EQ(result, "warn")) ? CLIENT_OK : CLIENT_NO;
}

static int put_event(const struct asked *q, const cJSON *item) {
  const cJSON *event = cJSON_GetObjectItemCaseSensitive(item, "event");
  const cJSON *lost = cJSON_GetObjectItemCaseSensitive(item, "lost");
  if (cJSON_IsNumber(lost)) {
    fprintf(stderr, "tend events: %.0f events were missed\n", lost->valuedouble);
    return CLIENT_OK;
  }
  if (q->json) return put_json(event);
  auto_buf struct buf out = {0};
  show_event(event, isatty(STDOUT_FILENO), &out);
  return put_text(buf_cstr(&out), out.len);
}

static int finish_events(const struct asked *q, const cJSON *value) {
  const cJSON *item;
  cJSON_ArrayForEach(item, value) {
    int rc = put_event(q, item);
    if (rc) return rc;
  }
  return CLIENT_OK;
}

/* Whoever opens the file finds a whole report. */
static int write_report(const char *path, const char *data, size_t n) {
  auto_buf struct buf temporary = {0};
  const char *slash = strrchr(path, '/');
  const char *name = slash ? slash + 1 : path;
  buf_add(&temporary, path, (size_t)(name - path));
  buf_fmt(&temporary, ".%s.%d.tmp", name, (int)getpid());
  const char *temp = buf_cstr(&temporary);
  auto_close int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (fd < 0) return -errno;
  int rc = 0;
  for (size_t done = 0; !rc && done < n;) {
    ssize_t k = write(fd, data + done, n - done);
    if (k >= 0)
      done += (size_t)k;
    else if (errno != EINTR)
      rc = -errno;
  }
  if (!rc && rename(temp, path)) rc = -errno;
  if (rc) unlink(temp);
  return rc;
}

static int finish_report(const struct asked *q, const cJSON *value) {
  const char *file = asked_text(q, "file");
  if (!file || STR_EQ(file, "-")) return put_json(value);
  auto_buf struct buf out = {0};
  struct json j = JSON_INIT(&out);
  json_value(&j, NULL, value);
  buf_char(&out, '\n');
  struct stat st;
  int rc = out.failed ? -ENOMEM : 0;
  /* /dev/stdout, a pipe: nothing to replace there */
  if (!rc && stat(file, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
    auto_file FILE *f = fopen(file, "we");
    if (!f || fwrite(out.data, 1, out.len, f) != out.len || fflush(f)) rc = -errno;
  } else if (!rc) {
    rc = write_report(file, out.data, out.len);
  }
  if (!rc) return CLIENT_OK;
  fprintf(stderr, "tend report: %s: %s\n", file, strerror(-rc));
  return CLIENT_NO;
}

/* What a script's command returned: {"exit", "value"}. What it printed has come before. */
static int finish_script(const struct asked *q, const cJSON *value) {
  const cJSON *code = cJSON_GetObjectItemCaseSensitive(value, "exit");
  const cJSON *result = cJSON_GetObjectItemCaseSensitive(value, "value");
  int rc = CLIENT_OK;
  if (cJSON_IsString(result) && !q->json) {
    rc = put_text(result->valuestring, strlen(result->valuestring));
    if (!rc) rc = put_text("\n", 1);
  } else if (result) {
    rc = put_json(result);
  }
  return rc ? rc : cJSON_IsNumber(code) ? code->valueint & 0xff : CLIENT_OK;
}

/* --- by operation ------------------------------------------------------------------------------------------------ */

typedef int finish_fn(const struct asked *q, const cJSON *value);

static const struct answer {
  const char *op;
  show_fn *show;
  finish_fn *finish; /* in place of show; returns the exit code */
} answers[] = {
    {"status", show_status, NULL},     {"why", show_why, NULL},         {"metrics", show_metrics, NULL},
    {"logs", show_text, NULL},         {"log-level", show_level, NULL}, {"health", NULL, finish_health},
    {"check-now", NULL, finish_check}, {"report", NULL, finish_report}, {"events", NULL, finish_events},
};

int answer_put(const struct asked *q, const cJSON *value) {
  if (q->op->script) return finish_script(q, value);
  show_fn *show = show_message;
  for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
    if (!STR_EQ(answers[i].op, q->op->name)) continue;
    if (answers[i].finish) return answers[i].finish(q, value);
    show = answers[i].show;
  }
  return q->json ? put_json(value) : put_shown(show, value);
}

/* As tail -f: whose lines these are, whenever it is another process than before. */
static bool put_heading(struct asked *q, const cJSON *part) {
  const char *process = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(part, "process"));
  const cJSON *instance = cJSON_GetObjectItemCaseSensitive(part, "instance");
  if (!process) return true;
  char name[sizeof q->heading], number[16] = "";
  if (cJSON_IsNumber(instance) && instance->valueint > 0) snprintf(number, sizeof number, "/%d", instance->valueint);
  snprintf(name, sizeof name, "%.*s%s", LIMIT_NAME, process, number);
  if (STR_EQ(name, q->heading)) return true;
  str_copy(q->heading, sizeof q->heading, name);
  auto_buf struct buf out = {0};
  buf_fmt(&out, "==> %s <==\n", name);
  return put_text(buf_cstr(&out), out.len) == CLIENT_OK;
}

bool answer_part(void *arg, const cJSON *part) {
  struct asked *q = arg;
  if (STR_EQ(q->op->name, "events")) {
    const cJSON *seq = cJSON_GetObjectItemCaseSensitive(part, "seq");
    if (cJSON_IsNumber(seq)) q->seen = (int64_t)seq->valuedouble;
    return put_event(q, part) == CLIENT_OK;
  }
  const cJSON *lost = cJSON_GetObjectItemCaseSensitive(part, "lost");
  if (cJSON_IsNumber(lost)) fprintf(stderr, "tend logs: %.0f bytes were missed\n", lost->valuedouble);
  if (lost) return true;
  if (!q->json && !put_heading(q, part)) return false;
  return (q->json && !q->op->script ? put_json(part) : put_shown(show_text, part)) == CLIENT_OK;
}
