/* Which files a generation was made of, and what happens when they change. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clean.h"
#include "base/str.h"
#include "core/sources.h"
#include "supervisor/reload_impl.h"

enum { FOLDERS_MAX = 32 };

static void on_changed(void *arg) { reload_ask(arg, RELOAD_WATCH); }

struct paths {
  const char *list[LIMIT_WATCHED];
  size_t n;
  char folders[FOLDERS_MAX][512]; /* pieces of colon lists */
  size_t n_folders;
};

static void add(struct paths *p, const char *path) {
  if (!path || !*path || p->n == ARRAY_LEN(p->list)) return;
  for (size_t i = 0; i < p->n; i++)
    if (STR_EQ(p->list[i], path)) return;
  p->list[p->n++] = path;
}

/* file: of that name in each of the folders; NULL: the folders alone. */
static void add_folders(struct paths *p, const char *list, const char *file) {
  while (list && *list && p->n_folders < FOLDERS_MAX) {
    size_t n = strcspn(list, ":");
    if (n && n < sizeof p->folders[0]) {
      snprintf(p->folders[p->n_folders], sizeof p->folders[0], file ? "%.*s/%s.lua" : "%.*s", (int)n, list, file);
      add(p, p->folders[p->n_folders++]);
    }
    list += n + (list[n] == ':');
  }
}

static void add_generation(struct paths *p, const struct generation *g) {
  if (!g) return;
  add(p, g->file);
  for (size_t i = 0; g->sources && i < g->sources->n; i++) add(p, g->sources->list[i].path);
  const char *file;
  for (size_t i = 0; (file = settings_file(g->settings, i)); i++) add(p, file);
  add_folders(p, g->flows, NULL);
  add_folders(p, g->flows, g->plan ? g->plan->name : NULL);
  add_folders(p, g->scripts, NULL);
  for (size_t i = 0; g->missing && i < g->missing->n; i++) add(p, g->missing->list[i].path);
}

/* A flow without checks has no rounds: a timer of our own, for as long as we are blind. */
static void poll_alone(struct reload *r) {
  if (!r->s->rounds) timer_after(r->poll, settings_ns(r->now->settings, SET_HEALTH_CHECK_INTERVAL_SECONDS));
}

void reload_poll_alone(void *arg) {
  struct reload *r = arg;
  reload_poll(r);
  poll_alone(r);
}

static void tell_blind(struct reload *r) {
  const char *blind = file_watch_blind(r->watch);
  if (!blind || r->told_blind) return;
  r->told_blind = true;
  sink_say(r->s->o.sink, EVENT_NOTICE, LEVEL_WARNING,
           "%s; changes of flow files and scripts are looked for at each health round instead", blind);
  poll_alone(r);
}

void reload_watch_again(struct reload *r) {
  if (!r->watch) return;
  struct paths *p = calloc(1, sizeof *p);
  if (!p) return;
  add_generation(p, r->now);
  add_generation(p, r->next); /* one that is refused: when its files change it is tried again */
  file_watch_set(r->watch, p->list, p->n);
  free(p);
  tell_blind(r);
}

/* What is there now is what was loaded just before: only the first processes were asked for in between. */
void reload_watch_new(void *arg) {
  struct reload *r = arg;
  if (settings_choice(r->now->settings, SET_RELOAD) != 0) return;
  r->watch = file_watch_new(r->s->o.loop, on_changed, r);
  reload_watch_again(r);
}

void reload_watch_open(struct reload *r) {
  if (!r->watch || r->watching) return;
  r->watching = true;
  file_watch_open(r->watch);
  tell_blind(r);
}

uint64_t reload_look(struct reload *r) {
  if (!r->watch) return 0;
  reload_watch_again(r);
  return file_watch_look(r->watch);
}

/* A wake-up that is there anyway. */
void reload_poll(struct reload *r) {
  if (!r || r->phase != RELOAD_IDLE) return;
  if (r->try_again)
    reload_ask(r, RELOAD_WATCH);
  else if (r->watch && file_watch_blind(r->watch))
    file_watch_poll(r->watch);
}
