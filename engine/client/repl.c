#include "client/repl.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/exits.h"
#include "base/limits.h"
#include "base/str.h"
#include "client/client.h"
#include "client/repl_inner.h"

#define PATIENCE_NS (10 * NS_PER_S)

static const cJSON *get(const cJSON *o, const char *key) { return cJSON_GetObjectItemCaseSensitive(o, key); }

static const char *str(const cJSON *o, const char *key) { return cJSON_GetStringValue(get(o, key)); }

/* --- what is shown ----------------------------------------------------------------------------------------------- */

/* What chunks print may come from anywhere: on a terminal none of it steers it. */
static void put_tamed(FILE *f, const char *text, bool tame) {
  if (!tame) {
    fputs(text, f);
    return;
  }
  for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
    bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0;
    if (c1) p++;
    fputc(c1 || (*p < 0x20 && *p != '\n' && *p != '\t') || *p == 0x7f ? '?' : *p, f);
  }
}

static void put_error(const struct repl_prompt *p, const char *text) {
  bool colour = isatty(STDERR_FILENO);
  fflush(stdout);
  if (p->o->json) {
    auto_buf struct buf line = {0};
    struct json j = JSON_INIT(&line);
    json_object(&j, NULL);
    json_str(&j, "error", text);
    json_object_end(&j);
    printf("%s\n", buf_cstr(&line));
    fflush(stdout);
    return;
  }
  if (colour) fputs("\033[31m", stderr);
  put_tamed(stderr, text, colour);
  if (colour) fputs("\033[0m", stderr);
  fputc('\n', stderr);
}

static unsigned width(void) {
  struct winsize w;
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 40 ? w.ws_col : 100;
}

/* One value as itself, none as nothing, several as a list. */
static void put_values(const cJSON *values) {
  auto_buf struct buf line = {0};
  struct json j = JSON_INIT(&line);
  int n = cJSON_GetArraySize(values);
  if (!n) return;
  json_value(&j, NULL, n == 1 ? cJSON_GetArrayItem(values, 0) : values);
  printf("%s\n", buf_cstr(&line));
}

static void put_effects(const struct repl_prompt *p, const cJSON *effects) {
  const char *list = str(effects, "list");
  const cJSON *left_out = get(effects, "left_out");
  FILE *f = p->o->json ? stderr : stdout;
  for (const char *line = list ? list : ""; *line; line += strcspn(line, "\n"), line += *line == '\n') {
    auto_buf struct buf text = {0};
    buf_add(&text, line, strcspn(line, "\n"));
    for (char *c = text.data; c && *c; c++)
      if (*c == '\t') *c = ' ';
    fputs("would do: ", f);
    put_tamed(f, buf_cstr(&text), isatty(fileno(f)));
    fputc('\n', f);
  }
  if (cJSON_IsNumber(left_out) && left_out->valuedouble > 0) fprintf(f, "and %.0f more\n", left_out->valuedouble);
}

static enum eval_end put_answer(const struct repl_prompt *p, const cJSON *frame, bool may_go_on) {
  const cJSON *value = get(frame, "value");
  if (!cJSON_IsTrue(get(frame, "ok"))) {
    const char *code = str(frame, "code");
    bool cancelled = code && STR_EQ(code, "cancelled");
    put_error(p, str(frame, "error") ? str(frame, "error") : "the engine's answer is not understood");
    return cancelled ? EVAL_CANCELLED : EVAL_FAILED;
  }
  if (may_go_on && cJSON_IsTrue(get(value, "incomplete"))) return EVAL_INCOMPLETE;
  if (str(value, "syntax")) {
    put_error(p, str(value, "syntax"));
    return EVAL_FAILED;
  }
  if (get(value, "effects")) put_effects(p, get(value, "effects"));
  const char *text = str(value, "text");
  if (p->o->json) {
    put_values(get(value, "values"));
  } else if (text && *text) {
    put_tamed(stdout, text, isatty(STDOUT_FILENO));
    fputc('\n', stdout);
  }
  fflush(stdout);
  return cJSON_IsTrue(get(value, "failed")) ? EVAL_FAILED : EVAL_DONE;
}

/* What it prints goes to standard output; with --json, where that has the values, to the other one. */
static void put_part(const struct repl_prompt *p, const cJSON *part) {
  const char *out = str(part, "out"), *note = str(part, "note");
  FILE *f = p->o->json ? stderr : stdout;
  if (note) fprintf(stderr, "%s\n", note);
  if (!out) return;
  put_tamed(f, out, isatty(fileno(f)));
  fflush(f);
}

/* --- the session ------------------------------------------------------------------------------------------------- */

int repl_session_open(struct repl_prompt *p, int64_t patience_ns, struct err *err) {
  auto_buf struct buf args = {0};
  struct json j = JSON_INIT(&args);
  json_object(&j, NULL);
  json_object(&j, "options");
  json_bool(&j, "read_only", p->o->read_only);
  json_bool(&j, "dry", p->o->dry);
  json_object_end(&j);
  json_object_end(&j);
  int64_t id = repl_wire_send(&p->wire, "repl", buf_cstr(&args), err);
  if (id < 0) return (int)id;
  auto_json cJSON *frame = NULL;
  int rc;
  while ((rc = repl_wire_next(&p->wire, p->sig_fd, clock_mono_ns() + patience_ns, &frame, err)) == -EINTR)
    ;
  if (rc) return rc;
  const cJSON *part = get(frame, "part"), *session = get(part, "session");
  if (!cJSON_IsNumber(session))
    return err_set(err, -EREMOTEIO, "%s", str(frame, "error") ? str(frame, "error") : "the engine offers no prompt");
  p->session = (int64_t)session->valuedouble;
  p->read_only = cJSON_IsTrue(get(part, "read_only"));
  const char *flow = str(part, "flow");
  str_copy(p->flow, sizeof p->flow, flow && *flow ? flow : "tend");
  return 0;
}

static void add_arguments(const struct repl_prompt *p, const struct repl_chunk *c, struct buf *out) {
  struct json j = JSON_INIT(out);
  json_object(&j, NULL);
  json_strn(&j, "code", c->text, c->n);
  json_object(&j, "options");
  json_int(&j, "session", p->session);
  if (c->name) json_str(&j, "name", c->name);
  json_int(&j, "width", width());
  if (p->o->json) json_bool(&j, "json", true);
  if (c->statement) json_bool(&j, "statement", true);
  json_object_end(&j);
  json_object_end(&j);
}

static void cancel(struct repl_prompt *p, int64_t id) {
  char args[64];
  struct err ignored = ERR_INIT;
  snprintf(args, sizeof args, "{\"id\": %lld}", (long long)id);
  repl_wire_send(&p->wire, "cancel", args, &ignored);
}

enum eval_end repl_eval(struct repl_prompt *p, const struct repl_chunk *c) {
  auto_buf struct buf args = {0};
  struct err err = ERR_INIT;
  add_arguments(p, c, &args);
  struct signalfd_siginfo before;
  while (read(p->sig_fd, &before, sizeof before) > 0)
    ; /* Ctrl-C at the prompt is none of this chunk */
  int64_t id =
      args.failed ? err_set(&err, -ENOMEM, "out of memory") : repl_wire_send(&p->wire, "eval", buf_cstr(&args), &err);
  bool cancelled = false;
  while (id > 0) {
    auto_json cJSON *frame = NULL;
    int rc = repl_wire_next(&p->wire, p->sig_fd, TIME_NEVER, &frame, &err);
    if (rc == -EINTR) {
      if (cancelled && !p->terminal) return EVAL_CANCELLED; /* asked twice */
      if (p->terminal) tcflush(STDIN_FILENO, TCIFLUSH);     /* what was typed ahead was meant for after it */
      cancel(p, id);
      cancelled = true;
      continue;
    }
    if (rc) break;
    if (repl_wire_id(frame) != id) continue;
    const cJSON *part = get(frame, "part");
    if (!part) return put_answer(p, frame, c->may_go_on);
    if (!cancelled) put_part(p, part);
  }
  put_error(p, err.msg);
  return err.code == -EMSGSIZE || err.code == -ENOMEM ? EVAL_FAILED : EVAL_GONE;
}

/* --- chunks that are given --------------------------------------------------------------------------------------- */

static int code_of(enum eval_end end) {
  switch (end) {
    case EVAL_DONE:
      return CLIENT_OK;
    case EVAL_GONE:
      return CLIENT_UNREACHABLE;
    case EVAL_CANCELLED:
      return EXIT_SIGNALED + SIGINT;
    default:
      return CLIENT_NO;
  }
}

static int run_file(struct repl_prompt *p, const char *path) {
  bool standard = STR_EQ(path, "-");
  auto_file FILE *f = standard ? fdopen(dup(STDIN_FILENO), "r") : fopen(path, "re");
  auto_buf struct buf text = {.max = LIMIT_CONTROL_FRAME};
  size_t n = 0;
  char *to = NULL;
  if (f)
    while ((to = buf_room(&text, 32 * 1024)) && (n = fread(to, 1, 32 * 1024, f)) > 0) text.len += n;
  if (!f || ferror(f)) {
    fprintf(stderr, "tend repl: %s: %s\n", path, strerror(errno));
    return CLIENT_USAGE;
  }
  if (!to) {
    fprintf(stderr, "tend repl: %s: more than %d bytes\n", path, LIMIT_CONTROL_FRAME);
    return CLIENT_USAGE;
  }
  if (text.len && memchr(text.data, 0, text.len)) {
    fprintf(stderr, "tend repl: %s: is no text: it has a NUL byte\n", path);
    return CLIENT_USAGE;
  }
  auto_buf struct buf name = {0};
  buf_fmt(&name, standard ? "=stdin" : "@%s", path);
  const struct repl_chunk c = {.text = buf_cstr(&text), .n = text.len, .name = buf_cstr(&name), .statement = true};
  return code_of(repl_eval(p, &c));
}

static int run_given(struct repl_prompt *p) {
  int code = CLIENT_OK;
  for (int i = 0; i < p->o->n_chunks && code == CLIENT_OK; i++) {
    const struct repl_chunk c = {.text = p->o->chunks[i], .n = strlen(p->o->chunks[i]), .name = "=-e"};
    code = code_of(repl_eval(p, &c));
  }
  return code == CLIENT_OK && p->o->file ? run_file(p, p->o->file) : code;
}

int repl_client_run(const struct repl_client_options *o, int fd) {
  struct repl_prompt p = {.o = o, .wire = {.fd = fd}, .sig_fd = -1};
  struct err err = ERR_INIT;
  sigset_t set, before;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, &before);
  p.sig_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  bool given = o->n_chunks || o->file;
  p.terminal = !given && isatty(STDIN_FILENO);
  int code = repl_session_open(&p, PATIENCE_NS, &err);
  if (code) {
    fprintf(stderr, "tend repl: %s\n", err.msg);
    code = code == -EREMOTEIO ? CLIENT_NO : CLIENT_UNREACHABLE;
  } else {
    code = given ? run_given(&p) : repl_lines(&p);
  }
  repl_wire_close(&p.wire);
  buf_free(&p.history);
  buf_free(&p.sofar);
  if (p.sig_fd >= 0) close(p.sig_fd);
  sigprocmask(SIG_SETMASK, &before, NULL);
  if (fflush(stdout) && code == CLIENT_OK) code = CLIENT_NO;
  return code;
}
