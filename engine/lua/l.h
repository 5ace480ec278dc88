/* What the files of lua/ share: the vm from inside, errors, arguments, modules. Functions named l_ may raise Lua
 * errors and are called by Lua or in a protected call; all others must not.
 */
#ifndef TEND_LUA_L_H
#define TEND_LUA_L_H

#include <lauxlib.h>
#include <lua.h>

#include "core/sources.h"
#include "lua/vm.h"

#define LOAD_LIMIT_NS (500 * INT64_C(1000000))

struct lua_timer;
struct signal_handler;
struct cron_jobs;
struct vm_events;
struct vm_state;
struct script_kind;
struct spawned;

/* What a function of the flow is, in whatever generation; see identity.c. */
struct identity {
  int ref;
  uint64_t is;
};

struct vm {
  struct lua_owner owner;
  struct vm_host host;
  lua_State *L;
  size_t used, max;                      /* bytes */
  size_t own_max;                        /* the running task's own limit, 0: max */
  bool loading;                          /* the flow file runs: registrations are possible */
  cJSON *dependencies, *cleanup, *hooks; /* added by lifecycle calls */
  struct lua_timer *timers;
  unsigned n_timers;
  uint64_t timer_serial;
  struct signal_handler *signals;
  struct script_command *commands[LIMIT_COMMANDS];
  size_t n_commands;
  struct cron_jobs *cron;   /* NULL: none was ever made */
  struct vm_events *events; /* NULL: none was ever asked for */
  struct vm_state *state;   /* NULL: never named */
  struct spawned *spawned;  /* commands that go on */
  uint64_t spawn_serial;
  struct script_kind *kinds; /* of probes */
  bool stopping;
  struct sources sources; /* of what was loaded */
  struct sources missing; /* paths without text: what would have been loaded if it were there */
  struct identity *identities;
  size_t n_identities;
  bool paused;                  /* no generation in force: nothing of it runs by itself */
  char prefix[LIMIT_NAME + 16]; /* CONTAINER_<FLOW>_ */
};

/* From here on no more than that; 0: as much as there may be. vm may be NULL. */
static inline void vm_limit(struct vm *vm, size_t own_max) {
  if (vm) vm->own_max = own_max;
}

static inline struct vm *vm_of(lua_State *L) { return lua_owner(L)->vm; }

/* --- errors --- */

/* Pushes an error value: a table with code, message and where, which prints as "where: message". */
void l_push_error(lua_State *L, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A failure of the world: nil, err. Returns 2. */
int l_fail(lua_State *L, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same for a positive errno: code is its name in lower case ("enoent"). */
int l_fail_code(lua_State *L, int error, const char *message);
/* Gives the C half on top a function fail(code, message) → nil, err, for its Lua half. */
void l_set_fail(lua_State *L);

/* Raises a mistake of the caller, with the line of the script in front: luaL_error would name our own Lua half. */
int l_raise(lua_State *L, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- option tables: the caller's mistakes raise and name function and key --- */

/* t is the index of the table; who is "process.run". */
lua_Number l_opt_seconds(lua_State *L, int t, const char *key, lua_Number fallback, const char *who);
const char *l_opt_string(lua_State *L, int t, const char *key, const char *fallback, const char *who);
/* Raises when the table has a key that is not in the list (ends with NULL); names the nearest. */
void l_check_keys(lua_State *L, int t, const char *const *known, const char *who);
/* Seconds as a number at index i, not negative, finite; in ns. */
int64_t l_check_seconds(lua_State *L, int i, const char *who);

/* Makes the metatable of a kind of handles, with its methods; close (may be NULL) ends one, also at the end of its
 * scope and when nobody has it any more. */
void l_class(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction close);

/* --- functions kept and started --- */

/* Starts the function at registry reference ref as a task, with the arguments that push puts on the stack (may be
 * NULL). Not from inside Lua. Returns the task's id, 0 with err. */
uint64_t vm_start_ref(struct vm *vm, int ref, int (*l_push)(lua_State *L, void *arg), void *push_arg,
                      const struct task_spec *spec, struct err *err);
/* What a task that was started for struct policy came to. */
void vm_tell_policy(policy_done_fn *done, void *arg, enum task_end end, lua_State *co, int nresults,
                    const struct err *err);
/* Tells of a task that failed and has nobody else to tell it. traceback may be NULL. */
void vm_script_error(struct vm *vm, const char *what, const struct err *err, const char *traceback);

/* --- files of scripts --- */

/* UTF-8 text of a regular file of at most LIMIT_FLOW_FILE bytes. */
int script_read(const char *path, struct buf *out, struct err *err);
/* The same for a generation: from what it was given, else from the disk; kept among its sources. */
int script_source(struct vm *vm, const char *path, struct buf *out, struct err *err);
bool script_exists(struct vm *vm, const char *path);
/* Compiles text as "@name" on L: 0 with the function on top, else a negative errno with file and line in err. */
int script_compile(lua_State *L, const char *text, size_t n, const char *name, struct err *err);

/* One of our own Lua halves that is part of the program; NULL: none of that name. */
const char *embedded_script(const char *name, size_t *n);

/* Puts an empty table in front of the one on top, through which it cannot be changed; name is for messages. */
void l_read_only(lua_State *L, const char *name);
void l_open_read_only(lua_State *L); /* next and the raw functions, which know of these */
/* The environment of scripts: in front of the globals. Gives it to the function on top, whose first upvalue is _ENV. */
void l_give_environment(lua_State *L);

/* --- modules: each pushes its C table. vm.c has the list --- */

/* The table in the registry of what is loaded, by name. */
#define LOADED_SCRIPTS "tend.loaded"
/* Opens a module as a global and pushes it; false (nothing pushed) when there is none of that name. Raises. */
bool l_open_module(lua_State *L, const char *name);
const char *module_name(size_t i); /* of the libraries, too; NULL at the end */
/* Runs our own script tend.NAME with what is on top; its result takes that place. Nothing when there is none. */
void l_lua_half(lua_State *L, const char *name);

/* The globals, opened first; closed against new names last. */
int l_open_base(lua_State *L);
/* What is on top has been loaded by that name; is a global of that name, also where the globals are closed. */
void l_note_loaded(lua_State *L, const char *name);
void l_set_global(lua_State *L, const char *name);
/* What of Lua's own is opened when a script first names it, as a module is. */
bool l_open_late(lua_State *L, const char *name);
const char *library_name(size_t i);
int l_close_globals(lua_State *L);
int l_open_coroutine(lua_State *L);
/* In place of the library's functions of these names, which are the first upvalue: see yielding.c. */
int l_sort(lua_State *L);
int l_gsub(lua_State *L);
int l_load(lua_State *L);
int l_print_task(lua_State *L);
int l_open_control(lua_State *L);
int l_open_clock(lua_State *L);
int l_open_cron(lua_State *L);
int l_open_dns(lua_State *L);
int l_open_event(lua_State *L);
int l_open_fs(lua_State *L);
int l_open_hooks(lua_State *L);
int l_open_http(lua_State *L);
int l_open_json(lua_State *L);
int l_open_lifecycle(lua_State *L);
int l_open_log(lua_State *L);
int l_open_metrics(lua_State *L);
int l_open_net(lua_State *L);
int l_open_postgres(lua_State *L);
int l_open_probe(lua_State *L);
int l_open_process(lua_State *L);
int l_open_retry(lua_State *L);
int l_open_settings(lua_State *L);
int l_open_signal(lua_State *L);
int l_open_state(lua_State *L);
int l_open_timer(lua_State *L);

/* Notes what each function in the flow's table is, by what it is now; and tells it. */
void identity_note(struct vm *vm, const cJSON *flow);
uint64_t identity_find(const struct vm *vm, int ref);

/* The signal at index i, a name or a number; raises. */
int l_check_signal(lua_State *L, int i);

/* What modules hold outside of Lua, ended with the vm. */
void timers_free(struct vm *vm);
void signals_free(struct vm *vm);
void cron_free(struct vm *vm);
void events_free(struct vm *vm);
void spawned_free_all(struct vm *vm);
void commands_free(struct vm *vm);
void state_free(struct vm *vm); /* keeps it first */
/* A task of the vm has run; vm->state is there. */
void vm_state_touched(struct vm *vm);
/* For struct policy: the commands of scripts; self is the vm. */
const struct operation *vm_command(void *self, size_t i);
uint64_t vm_run_command(void *self, const struct policy_command *c, struct err *err);
/* After vm->paused has changed: what came meanwhile is passed over. */
void timers_pause(struct vm *vm);
void cron_pause(struct vm *vm);
void events_pause(struct vm *vm);

#endif
