/* tasks N SWITCHES: N tasks that sleep at once in a scheduler of the program's own; then some that do nothing but let
 * others run. Prints "BYTES NANOSECONDS": the memory of one that sleeps, its coroutine, timer and all, and one switch.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "lua/l.h"

enum { SWITCHERS = 100 };

static struct loop *loop;
static struct sched *sched;
static unsigned left;

static void on_done(void *arg, enum task_end end, lua_State *co, int nresults, const struct err *err) {
  (void)arg;
  (void)co;
  (void)nresults;
  if (end == TASK_ERROR) fprintf(stderr, "tasks: %s\n", err->msg);
  if (--left == 0) loop_stop(loop);
}

static void nothing(void *arg) { (void)arg; }

/* Its operation is over as soon as it waits for it: whoever is ready comes next. */
static int l_switch(lua_State *L) {
  uint64_t token = task_wait(L);
  task_ready(sched, token, NULL, NULL, NULL);
  return task_suspend(L, nothing, NULL);
}

static void start(struct vm *vm, const char *text, lua_Integer n) {
  struct err err = ERR_INIT;
  lua_State *L = vm->L;
  if (script_compile(L, text, strlen(text), "tasks.lua", &err)) exit(70);
  lua_pushcfunction(L, l_switch);
  lua_pushinteger(L, n);
  const struct task_spec spec = {.name = "task", .deadline_ns = TIME_NEVER, .done = on_done};
  if (!task_start(sched, vm, L, 2, &spec, &err)) {
    fprintf(stderr, "tasks: %s\n", err.msg);
    exit(70);
  }
  left++;
}

static size_t used(void) {
  struct mallinfo2 m = mallinfo2();
  return m.uordblks + m.hblkhd;
}

static size_t sleeping;

static void on_asleep(void *arg) {
  (void)arg;
  sleeping = used();
}

int main(int argc, char **argv) {
  unsigned n = argc > 2 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
  lua_Integer switches = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
  struct err err = ERR_INIT;
  struct settings *settings = settings_new();
  loop = loop_new();
  sched = sched_new(loop, &err);
  struct vm *vm = vm_new(&(struct vm_host){.sched = sched, .loop = loop, .settings = settings, .flow = "bench"}, &err);
  if (!n || !switches || !vm) return 64;
  start(vm, "timer.sleep(0.001)", 0); /* what the first one needs alone */
  loop_run(loop);
  size_t before = used();
  for (unsigned i = 0; i < n; i++) start(vm, "timer.sleep(2)", 0);
  struct timer *t = timer_new(loop, on_asleep, NULL);
  timer_after(t, NS_PER_S);
  loop_run(loop);
  if (!sleeping) return 70; /* they took too long to fall asleep */
  const char *text = "local switch, n = ... for _ = 1, n do switch() end";
  for (unsigned i = 0; i < SWITCHERS; i++) start(vm, text, switches / SWITCHERS);
  int64_t begun = clock_mono_ns();
  loop_run(loop);
  printf("%zu %.1f\n", (sleeping - before) / n,
         (double)(clock_mono_ns() - begun) / (double)(switches / SWITCHERS * SWITCHERS));
  return 0;
}
