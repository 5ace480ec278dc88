/* process.spawn: a command that goes on beside the task that started it. spawn(command) → child | nil, err; methods
 * wait, signal, output, running, pid, close. The vm keeps it until its end and ends it with itself; the script's handle
 * names it by number. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "core/machine.h"
#include "lua/effect.h"
#include "lua/process.h"

#define CHILD "tend.child"

struct spawned {
  struct vm *vm;
  struct spawned *next;
  uint64_t serial;
  uint32_t child; /* 0: it has ended */
  pid_t pid;      /* 0: not started yet, or ended */
  int64_t begun_ns, took_ns;
  struct timer *timer; /* its time limit */
  bool timed_out, cut, failed;
  enum spawn_stage stage;
  int error, status;
  struct buf out;      /* so far */
  uint64_t token;      /* of the task that waits for the end; 0: none */
  struct timer *until; /* how long that one waits */
  char command[64];
};

/* What the script holds. */
struct handle {
  uint64_t serial;
};

static void spawned_free(void *arg) {
  struct spawned *p = arg;
  if (!p) return;
  if (p->child) children_forget(p->vm->host.children, p->child);
  timer_free(p->timer);
  timer_free(p->until);
  buf_free(&p->out);
  free(p);
}

static struct spawned *find(const struct vm *vm, uint64_t serial) {
  struct spawned *p = vm->spawned;
  while (p && p->serial != serial) p = p->next;
  return p;
}

static void unlink_from(struct vm *vm, const struct spawned *p) {
  struct spawned **at = &vm->spawned;
  while (*at && *at != p) at = &(*at)->next;
  if (*at) *at = p->next;
}

void spawned_free_all(struct vm *vm) {
  while (vm->spawned) {
    struct spawned *p = vm->spawned;
    vm->spawned = p->next;
    spawned_free(p);
  }
}

/* --- its end ----------------------------------------------------------------------------------------------------- */

static int l_push_end(lua_State *L, const struct spawned *p) {
  if (p->failed)
    return l_fail(L, spawn_stage_name(p->stage), "%s cannot be started (%s): %s", p->command,
                  spawn_stage_name(p->stage), strerror(p->error));
  if (p->timed_out)
    return l_fail(L, "timeout", "%s: no end within %.6g s; killed", p->command, (double)p->took_ns / (double)NS_PER_S);
  l_push_ended(L, &(struct ended){p->status, p->cut, p->took_ns, &p->out});
  return 1;
}

/* A task that waited goes on; what it gets it looks up by the number. */
static int l_push_waited(lua_State *L, void *data) {
  struct spawned *p = find(vm_of(L), *(uint64_t *)data);
  if (!p) return l_fail(L, "closed", "the command was closed while a task waited for it");
  if (!p->child) return l_push_end(L, p);
  return l_fail(L, "running", "%s: still running", p->command);
}

static void wake(struct spawned *p) {
  uint64_t token = p->token;
  if (!token) return;
  p->token = 0;
  timer_stop(p->until);
  uint64_t *serial = malloc(sizeof *serial);
  if (serial) *serial = p->serial;
  task_ready(p->vm->host.sched, token, serial ? l_push_waited : NULL, serial, free);
}

static void end(struct spawned *p) {
  p->child = 0;
  p->pid = 0;
  p->took_ns = clock_mono_ns() - p->begun_ns;
  timer_stop(p->timer);
  wake(p);
}

static void on_started(void *arg, uint32_t child, pid_t pid) {
  (void)child;
  ((struct spawned *)arg)->pid = pid;
}

static void on_failed(void *arg, uint32_t child, enum spawn_stage stage, int error) {
  (void)child;
  struct spawned *p = arg;
  p->failed = true;
  p->stage = stage;
  p->error = error;
  end(p);
}

static void take_output(struct spawned *p, const struct buf *out) {
  if (out && out->len > p->out.len) buf_add(&p->out, out->data + p->out.len, out->len - p->out.len);
}

static void on_said(void *arg, uint32_t child, const struct buf *out) {
  (void)child;
  take_output(arg, out);
}

static void on_exited(void *arg, uint32_t child, const struct child_exit *x) {
  (void)child;
  struct spawned *p = arg;
  p->status = x->status;
  p->cut = x->out_cut;
  take_output(p, x->out);
  end(p);
}

static void on_timeout(void *arg) {
  struct spawned *p = arg;
  p->timed_out = true;
  children_forget(p->vm->host.children, p->child);
  end(p);
}

static void on_until(void *arg) { wake(arg); }

/* --- functions --------------------------------------------------------------------------------------------------- */

static unsigned count(const struct vm *vm) {
  unsigned n = 0;
  for (const struct spawned *p = vm->spawned; p; p = p->next) n++;
  return n;
}

int l_spawn(lua_State *L) {
  static const struct child_ops ops = {
      .started = on_started, .failed = on_failed, .exited = on_exited, .said = on_said};
  struct vm *vm = vm_of(L);
  struct child_spec spec;
  lua_Number timeout = l_command(L, &spec, 0, "process.spawn");
  bool listed = l_effect(L, "process.spawn", "%s", spec.argv[0]);
  if (!listed && !vm->host.children)
    return l_fail(L, "unavailable", "%s: no process can be started here", spec.argv[0]);
  if (vm->loading) return l_raise(L, "process.spawn: not while a file loads; use the hook on_start");
  if (count(vm) >= LIMIT_SPAWNED)
    return l_fail(L, "busy", "%s: %d commands run or were not closed, there can be no more", spec.argv[0],
                  LIMIT_SPAWNED);
  struct handle *h = lua_newuserdatauv(L, sizeof *h, 0);
  *h = (struct handle){0};
  luaL_setmetatable(L, CHILD);
  if (listed) return 1;
  struct spawned *p = calloc(1, sizeof *p);
  if (p) p->timer = timer_new(vm->host.loop, on_timeout, p);
  if (p) p->until = timer_new(vm->host.loop, on_until, p);
  if (!p || !p->timer || !p->until) {
    spawned_free(p);
    return l_raise(L, "process.spawn: no memory");
  }
  p->vm = vm;
  p->begun_ns = clock_mono_ns();
  str_copy(p->command, sizeof p->command, spec.argv[0]);
  struct err err = ERR_INIT;
  p->child = children_spawn(vm->host.children, &spec, &ops, p, &err);
  if (!p->child) {
    spawned_free(p);
    return l_fail(L, "start", "%s", err.msg);
  }
  p->serial = h->serial = ++vm->spawn_serial;
  p->next = vm->spawned;
  vm->spawned = p;
  if (timeout > 0) timer_after(p->timer, (int64_t)(timeout * (lua_Number)NS_PER_S));
  return 1;
}

static struct spawned *l_child(lua_State *L) {
  const struct handle *h = luaL_checkudata(L, 1, CHILD);
  return find(vm_of(L), h->serial);
}

static int l_closed(lua_State *L) { return l_fail(L, "closed", "the command was closed"); }

static void stop_waiting(void *arg) {
  struct spawned *p = arg;
  p->token = 0;
  timer_stop(p->until);
}

static int l_wait(lua_State *L) {
  struct spawned *p = l_child(L);
  bool limited = !lua_isnoneornil(L, 2);
  int64_t limit_ns = limited ? l_check_seconds(L, 2, "child:wait") : 0;
  if (!p) return l_closed(L);
  if (!p->child) return l_push_end(L, p);
  if (p->token) return l_raise(L, "child:wait: another task waits for it already");
  p->token = task_wait(L);
  if (limited) timer_after(p->until, limit_ns);
  return task_suspend(L, stop_waiting, p);
}

static int l_signal(lua_State *L) {
  const struct spawned *p = l_child(L);
  int sig = l_check_signal(L, 2);
  if (!p) return l_closed(L);
  char name[16];
  bool listed = l_effect(L, "child:signal", "%s %s", p->command, str_signal_name(sig, name, sizeof name));
  if (!listed && !p->child) return l_fail(L, "ended", "%s: has ended", p->command);
  if (!listed) children_kill(p->vm->host.children, p->child, sig, KILL_GROUP);
  lua_pushboolean(L, 1);
  return 1;
}

static int l_output(lua_State *L) {
  const struct spawned *p = l_child(L);
  if (!p) return l_closed(L);
  lua_pushlstring(L, buf_cstr(&p->out), p->out.len);
  return 1;
}

static int l_running(lua_State *L) {
  const struct spawned *p = l_child(L);
  lua_pushboolean(L, p && p->child);
  return 1;
}

static int l_pid(lua_State *L) {
  const struct spawned *p = l_child(L);
  if (p && p->pid)
    lua_pushinteger(L, p->pid);
  else
    lua_pushnil(L);
  return 1;
}

static int l_close(lua_State *L) {
  struct spawned *p = l_child(L);
  if (!p) return 0;
  unlink_from(p->vm, p);
  wake(p); /* it finds nothing */
  spawned_free(p);
  return 0;
}

void l_open_spawned(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"wait", l_wait}, {"signal", l_signal}, {"output", l_output}, {"running", l_running},
      {"pid", l_pid},   {"close", l_close},   {NULL, NULL}};
  l_class(L, CHILD, methods, l_close);
}
