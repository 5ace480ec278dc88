/* http: C half. request({url =, method =, headers = {lines}, body =, max =, redirects =, ca_file =, cert_file =,
 * key_file =, proxy =, insecure =}, seconds) → status, header lines, body | nil, err. The part with libcurl is loaded
 * at the first call. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "loop/part.h"
#include "lua/conv.h"
#include "lua/effect.h"
#include "lua/l.h"
#include "tend/http.h"

enum { HEADERS_MAX = 64 };

/* One waiting call: it owns what it copies out of the callback. */
struct request {
  struct sched *sched;
  const struct tend_http *http;
  struct tend_http_call *call; /* NULL once it has ended */
  uint64_t token;
  int status; /* 0: failed */
  bool cut;
  struct buf headers, body;
  char reason[32], message[ERR_MSG_MAX];
};

static void request_free(void *arg) {
  struct request *r = arg;
  if (r->call) r->http->cancel(r->call);
  buf_free(&r->headers);
  buf_free(&r->body);
  free(r);
}

static int l_push_response(lua_State *L, void *data) {
  const struct request *r = data;
  if (!r->status) return l_fail(L, r->reason, "%s", r->message);
  lua_pushinteger(L, r->status);
  lua_pushlstring(L, buf_cstr(&r->headers), r->headers.len);
  lua_pushlstring(L, buf_cstr(&r->body), r->body.len);
  lua_pushboolean(L, r->cut);
  return 4;
}

static void on_done(void *arg, const struct tend_http_response *response, const struct tend_http_error *error) {
  struct request *r = arg;
  r->call = NULL;
  if (response) {
    r->status = response->status;
    r->cut = response->cut;
    buf_str(&r->headers, response->headers);
    buf_add(&r->body, response->body, response->body_len);
  }
  if (error || r->headers.failed || r->body.failed) {
    r->status = 0;
    str_copy(r->reason, sizeof r->reason, error ? error->reason : "memory");
    str_copy(r->message, sizeof r->message, error ? error->message : "http: no memory for the answer");
  }
  task_ready(r->sched, r->token, l_push_response, r, request_free);
}

static const struct tend_http *load(struct err *err) {
  const struct tend_part *part = part_load("http", err);
  return part ? part->ops : NULL;
}

/* Of the value at the top, which goes to where texts end at a zero. */
static const char *l_whole_text(lua_State *L, const char *key) {
  size_t n;
  const char *text = luaL_checklstring(L, -1, &n);
  if (strlen(text) != n) l_raise(L, "http: %s: the text has a NUL byte", key);
  return text;
}

static const char *l_text(lua_State *L, const char *key) {
  lua_getfield(L, 1, key); /* stays on the stack, for the text's sake */
  return lua_isnil(L, -1) ? NULL : l_whole_text(L, key);
}

static int l_request(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  int64_t limit_ns = l_check_seconds(L, 2, "http: timeout");
  lua_settop(L, 2);
  luaL_checkstack(L, HEADERS_MAX + 32, "headers");
  const char *headers[HEADERS_MAX];
  struct tend_http_request q = {.url = l_text(L, "url"),
                                .method = l_text(L, "method"),
                                .ca_file = l_text(L, "ca_file"),
                                .cert_file = l_text(L, "cert_file"),
                                .key_file = l_text(L, "key_file"),
                                .proxy = l_text(L, "proxy")};
  lua_getfield(L, 1, "body");
  if (!lua_isnil(L, -1)) q.body = luaL_checklstring(L, -1, &q.body_len);
  lua_getfield(L, 1, "headers");
  for (; lua_rawgeti(L, -1 - (int)q.nheaders, (lua_Integer)q.nheaders + 1) != LUA_TNIL; q.nheaders++) {
    if (q.nheaders == HEADERS_MAX) return l_raise(L, "http: headers: at most %d", HEADERS_MAX);
    headers[q.nheaders] = l_whole_text(L, "headers");
  }
  q.headers = headers;
  lua_getfield(L, 1, "max");
  q.max_body = (size_t)luaL_checkinteger(L, -1);
  lua_getfield(L, 1, "redirects");
  q.redirects = (int)luaL_optinteger(L, -1, 0);
  lua_getfield(L, 1, "insecure");
  q.insecure = lua_toboolean(L, -1);
  lua_getfield(L, 1, "cut");
  q.cut = lua_toboolean(L, -1);

  struct vm *vm = vm_of(L);
  struct err err = ERR_INIT;
  if (!vm->host.probes) return l_fail(L, "unavailable", "http: there is no network here");
  const struct tend_http *http = load(&err);
  if (!http) return l_fail(L, "part", "%s", err.msg);
  if (http->check(&q, err.msg, sizeof err.msg)) return l_raise(L, "http: %s", err.msg);
  const char *method = q.method ? q.method : q.body ? "POST" : "GET";
  if (!STR_EQ(method, "GET") && !STR_EQ(method, "HEAD") && l_effect(L, "http.request", "%s %s", method, q.url)) {
    lua_pushinteger(L, 200);
    lua_pushliteral(L, "");
    lua_pushliteral(L, "");
    return 3;
  }
  uint64_t token = task_wait(L);
  struct request *r = calloc(1, sizeof *r);
  if (!r) return l_raise(L, "http: no memory");
  r->sched = vm->host.sched;
  r->http = http;
  r->token = token;
  r->body.max = q.max_body + 1;
  r->call =
      http->start(&vm->host.probes->host, &q, clock_mono_ns() + limit_ns, NULL, on_done, r, err.msg, sizeof err.msg);
  if (!r->call) {
    request_free(r);
    return l_raise(L, "http: %s", err.msg);
  }
  return task_suspend(L, request_free, r);
}

int l_open_http(lua_State *L) {
  static const luaL_Reg functions[] = {{"request", l_request}, {NULL, NULL}};
  luaL_newlib(L, functions);
  l_set_fail(L);
  return 1;
}
