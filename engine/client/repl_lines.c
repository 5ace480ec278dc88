/* Lines that are typed: with the line editor on a terminal, else as they come. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/str.h"
#include "client/client.h"
#include "client/repl_inner.h"
#include "tend/version.h"

/* --- completion -------------------------------------------------------------------------------------------------- */

#define COMPLETION_NS (2 * NS_PER_S)
#define BACK_NS (30 * NS_PER_S) /* an engine that crashes again and again is made anew with back-off */

static const char *str(const cJSON *o, const char *key) {
  return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
}

/* What the engine says follows the text; NULL: nothing. */
static cJSON *ask(struct repl_prompt *p, const struct buf *text) {
  auto_buf struct buf args = {0};
  struct json j = JSON_INIT(&args);
  json_object(&j, NULL);
  json_strn(&j, "text", buf_cstr(text), text->len);
  json_object(&j, "options");
  json_int(&j, "session", p->session);
  json_object_end(&j);
  json_object_end(&j);
  struct err err = ERR_INIT;
  int64_t id = args.failed ? -ENOMEM : repl_wire_send(&p->wire, "complete", buf_cstr(&args), &err);
  int64_t due = clock_mono_ns() + COMPLETION_NS;
  while (id > 0) {
    auto_json cJSON *frame = NULL;
    if (repl_wire_next(&p->wire, -1, due, &frame, &err)) return NULL;
    if (repl_wire_id(frame) == id && !cJSON_GetObjectItemCaseSensitive(frame, "part"))
      return cJSON_DetachItemFromObjectCaseSensitive(frame, "value");
  }
  return NULL;
}

static void describe(const cJSON *item, struct buf *out) {
  const char *signature = str(item, "signature"), *doc = str(item, "doc");
  buf_str(out, signature ? signature : str(item, "text"));
  if (doc && *doc) buf_fmt(out, "  %s", doc);
  for (char *c = out->data; c && *c; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = ' ';
}

void repl_complete(void *prompt, const char *line, size_t cursor, struct repl_choices *out) {
  struct repl_prompt *p = prompt;
  *out = (struct repl_choices){0};
  auto_buf struct buf text = {0};
  if (p->sofar.len) buf_fmt(&text, "%s\n", buf_cstr(&p->sofar));
  buf_add(&text, line, cursor);
  cJSON_Delete(p->completed);
  p->completed = ask(p, &text);
  const cJSON *from = cJSON_GetObjectItemCaseSensitive(p->completed, "from");
  const cJSON *items = cJSON_GetObjectItemCaseSensitive(p->completed, "items"), *item;
  const cJSON *hint = cJSON_GetObjectItemCaseSensitive(p->completed, "hint");
  if (!cJSON_IsNumber(from) || from->valuedouble < 1 || from->valuedouble > (double)text.len + 1) return;
  out->replaced = text.len - ((size_t)from->valuedouble - 1);
  bool docs = cJSON_GetArraySize(items) <= 20; /* with signature and a line of help, where that stays readable */
  cJSON_ArrayForEach(item, items) {
    if (out->n == ARRAY_LEN(p->choices) || !str(item, "text")) continue;
    struct buf *shown = &p->shown[out->n];
    buf_clear(shown);
    if (docs && (str(item, "signature") || str(item, "doc"))) describe(item, shown);
    p->choices[out->n++] =
        (struct repl_choice){.text = str(item, "text"), .shown = shown->len ? buf_cstr(shown) : NULL};
  }
  out->items = p->choices;
  buf_clear(&p->hint);
  if (cJSON_IsObject(hint)) describe(hint, &p->hint);
  if (p->hint.len) out->hint = buf_cstr(&p->hint);
}

static void free_completion(struct repl_prompt *p) {
  cJSON_Delete(p->completed);
  for (size_t i = 0; i < ARRAY_LEN(p->shown); i++) buf_free(&p->shown[i]);
  buf_free(&p->hint);
}

/* --- lines ------------------------------------------------------------------------------------------------------- */

static bool is_end(const char *line) {
  return STR_EQ(line, "exit") || STR_EQ(line, "quit") || STR_EQ(line, "exit()") || STR_EQ(line, "quit()");
}

/* The engine went, perhaps for a moment. */
static bool come_back(struct repl_prompt *p) {
  if (p->o->offline) return false;
  int64_t until = clock_mono_ns() + BACK_NS;
  repl_wire_close(&p->wire);
  fputs("waiting for it to come back; Ctrl-C gives up\n", stderr);
  struct signalfd_siginfo info;
  while (clock_mono_ns() < until && read(p->sig_fd, &info, sizeof info) <= 0) {
    struct engine_place place;
    struct err err = ERR_INIT;
    if (find_engine(p->o->state_dir, p->flow, false, &place) == CLIENT_OK) {
      p->wire = (struct repl_wire){.fd = place.fd};
      /* the socket may still be that of the engine that went: nobody will answer there */
      if (repl_session_open(p, NS_PER_S, &err) == 0) {
        fputs("connected again; the variables of this session are gone\n", stderr);
        return true;
      }
      repl_wire_close(&p->wire);
    }
    usleep(100 * 1000);
  }
  return false;
}

/* One more line. false: it is over, *code says how. */
static bool take(struct repl_prompt *p, const char *line, int *code) {
  if (!p->sofar.len && is_end(line)) return false;
  if (p->sofar.len) buf_char(&p->sofar, '\n');
  buf_str(&p->sofar, line);
  if (p->sofar.failed) return false;
  if (strspn(buf_cstr(&p->sofar), " \t\n") == p->sofar.len) {
    buf_clear(&p->sofar);
    return true;
  }
  const struct repl_chunk c = {.text = buf_cstr(&p->sofar), .n = p->sofar.len, .may_go_on = true};
  enum eval_end end = repl_eval(p, &c);
  if (end == EVAL_INCOMPLETE) return true;
  buf_clear(&p->sofar);
  *code = end == EVAL_DONE || p->terminal ? CLIENT_OK : CLIENT_NO;
  if (end == EVAL_GONE && !(p->terminal && come_back(p))) {
    *code = CLIENT_UNREACHABLE;
    return false;
  }
  return p->terminal || end == EVAL_DONE; /* a script stops at what fails */
}

static int from_editor(struct repl_prompt *p) {
  const struct repl_editor *e = p->o->editor;
  auto_buf struct buf text = {0};
  const char *line = NULL;
  int code = CLIENT_OK;
  bool more = true;
  while (more) {
    buf_clear(&text);
    buf_fmt(&text, "%s%s%s ", p->flow,
            p->read_only ? " (read-only)"
            : p->o->dry  ? " (dry)"
                         : "",
            p->sofar.len ? ">>" : ">");
    switch (e->read(e->self, buf_cstr(&text), &line)) {
      case REPL_LINE:
        if (repl_history_add(buf_cstr(&p->history), line)) e->remember(e->self, line);
        more = take(p, line, &code);
        break;
      case REPL_INTERRUPTED:
        buf_clear(&p->sofar);
        break;
      case REPL_END:
        fputc('\n', stdout);
        more = false;
    }
  }
  return code;
}

static int from_input(struct repl_prompt *p) {
  auto_free char *line = NULL;
  size_t cap = 0;
  ssize_t n;
  int code = CLIENT_OK;
  while (true) {
    if (p->terminal) fprintf(stdout, "%s%s ", p->flow, p->sofar.len ? ">>" : ">");
    fflush(stdout);
    if ((n = getline(&line, &cap, stdin)) < 0) break;
    if (line[n - 1] == '\n') line[n - 1] = 0;
    if (!take(p, line, &code)) return code;
  }
  if (!p->sofar.len || p->terminal) return code;
  const struct repl_chunk c = {.text = buf_cstr(&p->sofar),
                               .n = p->sofar.len}; /* its end is missing: the error says so */
  return repl_eval(p, &c) == EVAL_DONE ? CLIENT_OK : CLIENT_NO;
}

static void remember(void *arg, const char *line) {
  const struct repl_editor *e = arg;
  e->remember(e->self, line);
}

int repl_lines(struct repl_prompt *p) {
  if (!p->terminal) return from_input(p);
  printf("tend " TEND_VERSION ", flow %s%s%s: help() tells what there is, Tab completes, Ctrl-D ends\n", p->flow,
         p->o->offline ? ", offline" : "",
         p->read_only ? ", read-only"
         : p->o->dry  ? ", dry: effects are only listed"
                      : "");
  fflush(stdout);
  const struct repl_editor *e = p->o->editor;
  if (!e || e->open(e->self, repl_complete, p, REPL_HISTORY)) return from_input(p);
  repl_history_path(&p->history);
  repl_history_load(buf_cstr(&p->history), remember, (void *)e);
  int code = from_editor(p);
  e->close(e->self);
  free_completion(p);
  return code;
}
