/* One evaluation, or one completion: a task, its output, its answer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "lua/conv.h"
#include "lua/repl_inner.h"
#include "lua/task_inner.h"

static void on_done(void *arg, enum task_end end, lua_State *co, int nresults, const struct err *err);

struct repl_chunk *l_chunk(lua_State *L) {
  const struct task *t = lua_owner(L)->sched->current;
  if (t && t->done == on_done) return t->arg;
  luaL_error(L, "this works in a chunk of tend repl only");
  return NULL;
}

/* --- output ------------------------------------------------------------------------------------------------------ */

static int push_part(struct repl_chunk *c) {
  if (!c->reply) return -EPIPE;
  int rc = control_part(c->reply, buf_cstr(&c->wait), c->wait.len);
  if (rc != -EAGAIN) buf_clear(&c->wait);
  return rc;
}

int repl_chunk_print(struct repl_chunk *c, const char *text, size_t n) {
  if (c->cancelled || !c->reply) return -EPIPE;
  if (c->sent + n > LIMIT_REPL_OUTPUT) return -E2BIG;
  c->sent += n;
  buf_clear(&c->wait);
  struct json j = JSON_INIT(&c->wait);
  json_object(&j, NULL);
  json_strn(&j, "out", text, n);
  json_object_end(&j);
  settings_redact(c->session->repl->o.host.settings, &c->wait);
  return c->wait.failed ? -ENOMEM : push_part(c);
}

static void on_room(void *arg) {
  struct repl_chunk *c = arg;
  if (!c->token || push_part(c) == -EAGAIN) return;
  uint64_t token = c->token;
  c->token = 0;
  task_ready(c->session->repl->o.host.sched, token, NULL, NULL, NULL);
}

/* --- the end ----------------------------------------------------------------------------------------------------- */

static void chunk_free(struct repl_chunk *c) {
  struct repl_session *s = c->session;
  struct repl_chunk **p = &s->chunks;
  while (*p && *p != c) p = &(*p)->next;
  if (*p) *p = c->next;
  buf_free(&c->effects.list);
  buf_free(&c->wait);
  free(c);
  repl_session_check(s);
}

static int l_traceback(lua_State *L) {
  luaL_traceback(L, lua_touserdata(L, 1), NULL, 0);
  return 1;
}

/* The frames of the chunk and of the policies that it called, without ours. */
static void add_traceback(lua_State *co, struct buf *out) {
  lua_State *L = lua_owner(co)->vm->L;
  if (!lua_checkstack(L, 4)) return;
  int top = lua_gettop(L);
  lua_pushcfunction(L, l_traceback);
  lua_pushlightuserdata(L, co);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
    unsigned frames = 0;
    auto_buf struct buf lines = {0};
    for (const char *p = lua_tostring(L, -1); p && *p; p += strcspn(p, "\n"), p += *p == '\n') {
      size_t n = strcspn(p, "\n");
      auto_buf struct buf line = {0};
      buf_add(&line, p, n);
      const char *text = buf_cstr(&line);
      if (*text != '\t' || strstr(text, "scripts/tend/") || strstr(text, "[C]")) continue;
      frames++;
      buf_fmt(&lines, "\n  %s", text + 1);
    }
    if (frames > 1) buf_add(out, lines.data, lines.len);
  }
  lua_settop(L, top);
}

static const char *code_of(enum task_end end, const struct err *err) {
  if (end == TASK_TIMEOUT) return "timeout";
  if (end == TASK_CANCELLED) return "cancelled";
  return err->code == -ENOMEM ? "memory" : err->code == -ETIME ? "cpu" : "script";
}

static void answer_failure(struct repl_chunk *c, enum task_end end, lua_State *co, const struct err *err) {
  auto_buf struct buf text = {0};
  if (end == TASK_TIMEOUT)
    buf_str(&text, "ended: its time limit is over");
  else if (end == TASK_CANCELLED)
    buf_str(&text, c->session->gone || c->cancelled ? "cancelled" : "the policies were loaded anew");
  else
    buf_str(&text, err->msg);
  if (end == TASK_ERROR && err->code == -EINVAL && co) add_traceback(co, &text);
  settings_redact(c->session->repl->o.host.settings, &text);
  control_fail(c->reply, code_of(end, err), "%s", buf_cstr(&text));
}

static void answer_result(struct repl_chunk *c, lua_State *co, int nresults) {
  auto_json cJSON *results = NULL;
  struct err err = ERR_INIT;
  if (conv_results(co, nresults, &results, &err)) {
    control_fail(c->reply, "script", "%s", err.msg);
    return;
  }
  auto_buf struct buf value = {0};
  struct json j = JSON_INIT(&value);
  json_value(&j, NULL, cJSON_GetArrayItem(results, 0));
  settings_redact(c->session->repl->o.host.settings, &value);
  control_answer_buf(c->reply, &value);
}

static void on_done(void *arg, enum task_end end, lua_State *co, int nresults, const struct err *err) {
  struct repl_chunk *c = arg;
  c->task = 0;
  c->token = 0;
  if (end == TASK_DONE)
    answer_result(c, co, nresults);
  else
    answer_failure(c, end, co, err);
  c->reply = NULL;
  chunk_free(c);
}

static void on_dropped(void *arg) {
  struct repl_chunk *c = arg;
  c->task = 0;
  if (!c->session) return;
  control_fail(c->reply, "cancelled", "the policies were loaded anew");
  c->reply = NULL;
  chunk_free(c);
}

void repl_chunk_cancel(struct repl_chunk *c) {
  task_cancel(c->session->repl->o.host.sched, c->task, TASK_CANCELLED, false);
}

static void on_end(void *arg) {
  struct repl_chunk *c = arg;
  c->cancelled = true;
  repl_chunk_cancel(c);
}

/* --- the start --------------------------------------------------------------------------------------------------- */

struct start {
  struct repl_session *session;
  const struct repl_ask *ask;
};

static void set_flag(lua_State *L, const char *name, bool on) {
  if (!on) return;
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, name);
}

static int l_push_arguments(lua_State *L, void *arg) {
  const struct start *start = arg;
  struct repl_session *s = start->session;
  const struct repl_ask *ask = start->ask;
  if (s->env == LUA_NOREF) s->env = l_repl_env(L, s);
  s->chunks->env = s->env;
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->env);
  lua_pushstring(L, ask->text);
  if (ask->completes) return 2;
  lua_pushstring(L, ask->name);
  lua_createtable(L, 0, 5);
  lua_pushinteger(L, ask->width);
  lua_setfield(L, -2, "width");
  set_flag(L, "json", ask->json);
  set_flag(L, "statement", ask->statement);
  set_flag(L, "dry", s->dry);
  return 4;
}

/* Half of it is the policies'; where they hold more there is still room to look at what they do. */
static size_t memory_max(const struct vm *vm) {
  const size_t room = (size_t)LIMIT_REPL_ROOM_MB << 20;
  size_t most = vm->used < vm->max ? vm->used + room : vm->max + room;
  return most > vm->max / 2 ? most : vm->max / 2;
}

void repl_chunk_start(struct repl_session *s, const struct repl_ask *ask, struct control_reply *reply) {
  struct repl *r = s->repl;
  struct err err = ERR_INIT;
  struct repl_side *side = repl_side_of(r, s, &err);
  if (!side) {
    control_fail(reply, "unavailable", "%s", err.msg);
    repl_session_check(s);
    return;
  }
  if (s->side != side) {
    s->env = LUA_NOREF;
    s->side = side;
  }
  struct repl_chunk *c = calloc(1, sizeof *c);
  if (!c) {
    control_fail(reply, "busy", "no memory for a chunk");
    repl_session_check(s);
    return;
  }
  *c = (struct repl_chunk){.next = s->chunks,
                           .session = s,
                           .reply = reply,
                           .completes = ask->completes,
                           .width = ask->width,
                           .effects = {.mode = s->read_only ? EFFECTS_REFUSE
                                               : s->dry     ? EFFECTS_LIST
                                                            : EFFECTS_ACT}};
  s->chunks = c;
  control_wait(reply, on_end, on_room, c);
  if (s->lost && !ask->completes) {
    static const char note[] =
        "{\"note\": \"the policies were loaded anew; what of this session is no plain, small data is gone\"}";
    control_part(reply, note, sizeof note - 1);
    s->lost = false;
  }
  const struct task_spec spec = {.name = ask->completes ? "completion" : "repl",
                                 .deadline_ns = clock_mono_ns() + ask->limit_ns,
                                 .budget_ns = ask->completes ? NS_PER_S / 2 : LIMIT_REPL_CPU_S * NS_PER_S,
                                 .done = on_done,
                                 .dropped = on_dropped,
                                 .arg = c,
                                 .effects = &c->effects,
                                 .once = true,
                                 .memory_max = memory_max(side->vm)};
  struct start start = {s, ask};
  vm_limit(side->vm, spec.memory_max);
  c->task =
      vm_start_ref(side->vm, ask->completes ? side->complete : side->evaluate, l_push_arguments, &start, &spec, &err);
  vm_limit(side->vm, 0);
  if (c->task) return;
  control_fail(reply, "busy", "%s", err.msg);
  c->reply = NULL;
  chunk_free(c);
}
