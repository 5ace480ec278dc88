/* Settings given by the environment, and what is said of one. */
#ifndef TESTS_SETTINGS_SCENE_H
#define TESTS_SETTINGS_SCENE_H

#include "fixture.h"

#include <errno.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "core/settings.h"

#define auto_settings __attribute__((cleanup(clean_settings)))
#define auto_problems __attribute__((cleanup(problems_free)))

static void clean_settings(struct settings **s) { settings_free(*s); }

static void env(struct settings *s, const char *name, const char *value) {
  settings_give(s, LAYER_ENVIRONMENT, name, value, "environment");
}

/* The one problem about that name, or NULL. */
static UNUSED const struct problem *about(const struct problems *ps, const char *name) {
  for (size_t i = 0; i < ps->n; i++)
    if (STR_EQ(ps->items[i].name, name)) return &ps->items[i];
  return NULL;
}

#endif
