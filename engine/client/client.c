#include "client/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/str.h"

#define PATIENCE_NS (10 * NS_PER_S)

struct asked {
  const struct client_command *command;
  const char *state_dir, *flow;
  const char *word; /* PROCESS, FILE, ACTION, NAME, on|off; NULL: none */
  const char *level;
  const char *lasts; /* maintenance: for how long; NULL: without end */
  int64_t last;      /* -1: not given */
  int64_t seen;      /* number of the last event that was put out; 0: none */
  bool json, follow, no_wait, dry_run;
};

typedef void show_fn(const cJSON *v, int64_t now_real_ns, struct buf *out);
typedef int finish_fn(const struct asked *q, const cJSON *value);

enum word { WORD_NONE, WORD_MAY, WORD_MUST };

struct client_command {
  const char *name;    /* the op has the same name */
  const char *key;     /* of the word in the arguments; NULL: the word is not for the engine */
  const char *meaning; /* of the word, for messages */
  enum word word;
  bool changes; /* waits for the outcome; --no-wait */
  bool waits;   /* for as long as it takes */
  bool follows; /* --follow */
  show_fn *show;
  finish_fn *finish; /* in place of show; returns the exit code */
};

static int finish_health(const struct asked *q, const cJSON *value);
static int finish_check(const struct asked *q, const cJSON *value);
static int finish_report(const struct asked *q, const cJSON *value);
static int finish_events(const struct asked *q, const cJSON *value);

static const struct client_command commands[] = {
    {.name = "status", .show = show_status},
    {.name = "health", .finish = finish_health},
    {.name = "why", .show = show_why},
    {.name = "metrics", .show = show_metrics},
    {.name = "report", .word = WORD_MAY, .meaning = "FILE", .finish = finish_report},
    {.name = "events", .follows = true, .finish = finish_events},
    {.name = "logs", .word = WORD_MAY, .meaning = "PROCESS", .key = "process", .follows = true, .show = show_text},
    {.name = "start", .word = WORD_MAY, .meaning = "PROCESS", .key = "process", .changes = true, .show = show_message},
    {.name = "stop", .word = WORD_MAY, .meaning = "PROCESS", .key = "process", .changes = true, .show = show_message},
    {.name = "restart",
     .word = WORD_MAY,
     .meaning = "PROCESS",
     .key = "process",
     .changes = true,
     .show = show_message},
    {.name = "shutdown", .changes = true, .show = show_message},
    {.name = "reload", .changes = true, .show = show_message},
    {.name = "remediate",
     .word = WORD_MUST,
     .meaning = "ACTION",
     .key = "action",
     .changes = true,
     .show = show_message},
    {.name = "maintenance", .word = WORD_MUST, .meaning = "on|off", .key = "on", .changes = true, .show = show_message},
    {.name = "check-now", .word = WORD_MUST, .meaning = "NAME", .key = "name", .waits = true, .finish = finish_check},
};

/* --- the command line -------------------------------------------------------------------------------------------- */

static int wrong(const struct client_command *c, const char *what, const char *word, const char *const *near,
                 size_t n) {
  const char *nearest = near ? str_nearest(word, near, n) : NULL;
  fprintf(stderr, "tend %s: %s%s%s%s%s\n", c->name, what, word, nearest ? "; did you mean \"" : "",
          nearest ? nearest : "", nearest ? "\"?" : "");
  return CLIENT_USAGE;
}

/* "--name VALUE" or "--name=VALUE": *value, and *i moved on. */
static bool takes(const char *option, int argc, char **argv, int *i, const char **value) {
  size_t n = strlen(option);
  if (strncmp(argv[*i], option, n) != 0) return false;
  if (argv[*i][n] == '=') {
    *value = argv[*i] + n + 1;
    return true;
  }
  if (argv[*i][n]) return false;
  *value = *i + 1 < argc ? argv[++*i] : NULL;
  return true;
}

static int parse_option(struct asked *q, int argc, char **argv, int *i) {
  const struct client_command *c = q->command;
  bool events = STR_EQ(c->name, "events"), remediate = STR_EQ(c->name, "remediate");
  const char *names[8] = {"--json", "--flow-name", "--state-dir"};
  size_t n = 3;
  if (c->changes) names[n++] = "--no-wait";
  if (c->follows) names[n++] = "--follow";
  if (remediate) names[n++] = "--dry-run";
  if (events) names[n++] = "--last";
  if (events) names[n++] = "--level";
  const char *last = NULL;
  const char *option = argv[*i];
  if (STR_EQ(option, "--json")) {
    q->json = true;
  } else if (c->changes && STR_EQ(option, "--no-wait")) {
    q->no_wait = true;
  } else if (remediate && STR_EQ(option, "--dry-run")) {
    q->dry_run = true;
  } else if (c->follows && (STR_EQ(option, "--follow") || STR_EQ(option, "-f"))) {
    q->follow = true;
  } else if (takes("--flow-name", argc, argv, i, &q->flow)) {
    if (!q->flow) return wrong(c, "a value is missing after ", "--flow-name", NULL, 0);
  } else if (takes("--state-dir", argc, argv, i, &q->state_dir)) {
    if (!q->state_dir) return wrong(c, "a value is missing after ", "--state-dir", NULL, 0);
  } else if (events && takes("--level", argc, argv, i, &q->level)) {
    if (!q->level) return wrong(c, "a value is missing after ", "--level", NULL, 0);
  } else if (events && takes("--last", argc, argv, i, &last)) {
    if (!last || str_int(last, 0, LIMIT_EVENTS, &q->last))
      return wrong(c, "--last expects a number from 0 to 1000, not ", last ? last : "nothing", NULL, 0);
  } else {
    return wrong(c, "unknown option ", option, names, n);
  }
  return CLIENT_OK;
}

static int parse(struct asked *q, int argc, char **argv) {
  const struct client_command *c = q->command;
  bool only_words = false;
  for (int i = 1; i < argc; i++) {
    if (STR_EQ(argv[i], "--") && !only_words) {
      only_words = true;
    } else if (argv[i][0] == '-' && argv[i][1] && !only_words) {
      int rc = parse_option(q, argc, argv, &i);
      if (rc) return rc;
    } else if (q->word && STR_EQ(c->name, "maintenance") && STR_EQ(argv[i], "for") && i + 1 < argc && !q->lasts) {
      q->lasts = argv[++i];
    } else if (c->word == WORD_NONE || q->word) {
      return wrong(c, "unexpected argument ", argv[i], NULL, 0);
    } else {
      q->word = argv[i];
    }
  }
  if (c->word == WORD_MUST && !q->word) return wrong(c, "an argument is missing: ", c->meaning, NULL, 0);
  static const char *const on_off[] = {"on", "off"};
  bool on = false;
  if (c->key && STR_EQ(c->key, "on") && str_bool(q->word, &on))
    return wrong(c, "expected on or off, not ", q->word, on_off, 2);
  int64_t lasts_ns;
  if (q->lasts && (!on || str_duration(q->lasts, NS_PER_S, &lasts_ns) || lasts_ns <= 0))
    return wrong(c, on ? "expected a duration like 90, 30m or 2h, not " : "off takes no duration: ", q->lasts, NULL, 0);
  return CLIENT_OK;
}

static void build_args(const struct asked *q, struct buf *out) {
  const struct client_command *c = q->command;
  struct json j = JSON_INIT(out);
  json_object(&j, NULL);
  bool on;
  if (c->key && STR_EQ(c->key, "on") && str_bool(q->word, &on) == 0)
    json_bool(&j, "on", on);
  else if (c->key && q->word)
    json_str(&j, c->key, q->word);
  if (c->changes) json_bool(&j, "wait", !q->no_wait);
  if (c->follows) json_bool(&j, "follow", q->follow);
  if (q->dry_run) json_bool(&j, "dry_run", true);
  if (q->lasts) json_str(&j, "for", q->lasts);
  if (q->level) json_str(&j, "level", q->level);
  if (q->seen)
    json_int(&j, "from", q->seen + 1);
  else if (q->last >= 0)
    json_int(&j, "last", q->last);
  json_object_end(&j);
}

/* --- output ------------------------------------------------------------------------------------------------------ */

static int put(const char *p, size_t n) {
  if (fwrite(p, 1, n, stdout) == n && fflush(stdout) == 0) return CLIENT_OK;
  fprintf(stderr, "tend: cannot write the answer: %s\n", strerror(errno));
  return CLIENT_NO;
}

static int put_json(const cJSON *value) {
  auto_buf struct buf out = {0};
  struct json j = JSON_INIT(&out);
  json_value(&j, NULL, value);
  buf_char(&out, '\n');
  return put(buf_cstr(&out), out.len);
}

/* Names and reasons come from anywhere: none of it may steer the terminal, or look like a line of ours. */
static void tame_text(char *p) {
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

static int put_text(show_fn *show, const cJSON *value) {
  auto_buf struct buf out = {0};
  auto_json cJSON *tamed = show == show_text ? NULL : cJSON_Duplicate(value, true);
  if (!tamed && show != show_text) return put_json(value);
  tame(tamed);
  show(tamed ? tamed : value, clock_real_ns(), &out);
  return put(buf_cstr(&out), out.len);
}

static int finish_health(const struct asked *q, const cJSON *value) {
  int rc = q->json ? put_json(value) : put_text(show_health, value);
  return rc ? rc : cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(value, "healthy")) ? CLIENT_OK : CLIENT_NO;
}

static int finish_check(const struct asked *q, const cJSON *value) {
  int rc = q->json ? put_json(value) : put_text(show_check, value);
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
  return put(buf_cstr(&out), out.len);
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
  if (!q->word || STR_EQ(q->word, "-")) return put_json(value);
  auto_buf struct buf out = {0};
  struct json j = JSON_INIT(&out);
  json_value(&j, NULL, value);
  buf_char(&out, '\n');
  struct stat st;
  int rc = out.failed ? -ENOMEM : 0;
  /* /dev/stdout, a pipe: nothing to replace there */
  if (!rc && stat(q->word, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
    auto_file FILE *f = fopen(q->word, "we");
    if (!f || fwrite(out.data, 1, out.len, f) != out.len || fflush(f)) rc = -errno;
  } else if (!rc) {
    rc = write_report(q->word, out.data, out.len);
  }
  if (!rc) return CLIENT_OK;
  fprintf(stderr, "tend report: %s: %s\n", q->word, strerror(-rc));
  return CLIENT_NO;
}

static bool on_part(void *arg, const cJSON *part) {
  struct asked *q = arg;
  if (q->command->finish == finish_events) {
    const cJSON *seq = cJSON_GetObjectItemCaseSensitive(part, "seq");
    if (cJSON_IsNumber(seq)) q->seen = (int64_t)seq->valuedouble;
    return put_event(q, part) == CLIENT_OK;
  }
  const cJSON *lost = cJSON_GetObjectItemCaseSensitive(part, "lost");
  if (cJSON_IsNumber(lost)) fprintf(stderr, "tend logs: %.0f bytes were missed\n", lost->valuedouble);
  if (lost) return true;
  return (q->json ? put_json(part) : put_text(q->command->show, part)) == CLIENT_OK;
}

/* --- the call ---------------------------------------------------------------------------------------------------- */

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
  if (!rc) return put(buf_cstr(&out), out.len);
  fprintf(stderr, "tend logs: %s\n", err.msg);
  return rc == -EREMOTEIO ? CLIENT_NO : CLIENT_UNREACHABLE;
}

/* Where an engine died, the next one goes on telling; where it has ended there is none. */
static bool find_next(const struct asked *q, struct engine_place *engine) {
  const struct timespec moment = {.tv_nsec = 20 * NS_PER_MS};
  if (!q->follow || !q->seen) return false;
  nanosleep(&moment, NULL);
  return find_engine(q->state_dir, q->flow, false, engine) == CLIENT_OK;
}

static int ask_at(struct asked *q, int given_fd);

static int ask(struct asked *q) {
  struct engine_place engine;
  int code = find_engine(q->state_dir, q->flow, true, &engine);
  return code ? code : ask_at(q, engine.fd);
}

static int ask_at(struct asked *q, int given_fd) {
  auto_close int fd = given_fd;
  struct engine_place engine;
  const struct client_command *c = q->command;
  if (STR_EQ(c->name, "logs") && !q->word && !q->follow) return ask_all_logs(q, fd);
  auto_buf struct buf args = {0};
  build_args(q, &args);
  struct call call = {.op = c->name,
                      .args = buf_cstr(&args),
                      .patience_ns = c->changes || c->waits || q->follow ? TIME_NEVER : PATIENCE_NS,
                      .on_part = q->follow ? on_part : NULL,
                      .arg = q};
  auto_json cJSON *value = NULL;
  struct err err = ERR_INIT;
  int rc = call_engine(fd, &call, &value, &err);
  bool gone = rc == -ECONNRESET;
  if (gone && find_next(q, &engine)) return ask_at(q, engine.fd);
  if (gone && (q->follow || STR_EQ(c->name, "shutdown"))) return CLIENT_OK; /* the engine's end ends these well */
  if (rc == -EINTR) return CLIENT_NO;
  if (rc) {
    tame_text(err.msg);
    fprintf(stderr, "tend %s: %s\n", c->name, err.msg);
    return rc == -EREMOTEIO ? CLIENT_NO : CLIENT_UNREACHABLE;
  }
  if (q->follow && cJSON_IsNull(value)) return CLIENT_OK; /* all was in the parts */
  if (c->finish) return c->finish(q, value);
  return q->json ? put_json(value) : put_text(c->show, value);
}

static const struct client_command *find_command(const char *name) {
  for (size_t i = 0; i < ARRAY_LEN(commands); i++)
    if (STR_EQ(commands[i].name, name)) return &commands[i];
  return NULL;
}

int client_main(int argc, char **argv) {
  struct asked q = {.command = find_command(argv[0]), .last = -1};
  if (!q.command) {
    fprintf(stderr, "tend: unknown command \"%s\"\n", argv[0]);
    return CLIENT_USAGE;
  }
  int rc = parse(&q, argc, argv);
  return rc ? rc : ask(&q);
}

int client_export_report(const char *file, const char *state_dir, const char *flow) {
  struct asked q = {.command = find_command("report"), .last = -1, .word = file, .state_dir = state_dir, .flow = flow};
  return ask(&q);
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
