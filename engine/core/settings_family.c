/* Names: the family CONTAINER_DATABASE_<NAME>_…, and what an unknown name may have meant. */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "core/settings_store.h"

#define FAMILY SETTING_PREFIX "DATABASE_"
#define MAIN_DATABASE "RPA_DB"

enum { FIELD_CONNECTION, FIELD_POOL_SIZE, FIELD_POOL_MAX_AGE, FIELD_TIMEOUT, FIELD_HEALTH_QUERY, FIELDS };

static const struct setting_def fields[FIELDS] = {
    [FIELD_CONNECTION] = {"_CONNECTION_STRING", SETTING_STRING, .flags = SETTING_SECRET | SETTING_RELOADABLE,
                          .doc = "A further database by name, as a URI or in keyword form."},
    [FIELD_POOL_SIZE] = {"_POOL_SIZE", SETTING_INTEGER, .fallback = "5", .min = 1, .max = 1000,
                         .doc = "Connections to that database at once, at most."},
    [FIELD_POOL_MAX_AGE] = {"_POOL_MAX_AGE", SETTING_DURATION, .unit = "s", .fallback = "1800", .min = NS_PER_S,
                            .max = 24 * 3600 * NS_PER_S, .doc = "So old a connection becomes before it is replaced."},
    [FIELD_TIMEOUT] = {"_TIMEOUT", SETTING_DURATION, .unit = "s", .fallback = "30", .min = 10 * NS_PER_MS,
                       .max = 3600 * NS_PER_S, .doc = "To connect to that database and to query it."},
    [FIELD_HEALTH_QUERY] = {"_HEALTH_QUERY", SETTING_STRING, .fallback = "SELECT 1",
                            .doc = "What the health check of that database runs."},
};

const struct setting_def *settings_family_field(size_t i) { return i < FIELDS ? &fields[i] : NULL; }

/* The length of <NAME> when the whole name is of the family, else 0. */
static size_t family_name(const char *name) {
  if (!str_starts(name, FAMILY)) return 0;
  const char *rest = name + strlen(FAMILY);
  for (size_t i = 0; i < FIELDS; i++) {
    if (!str_ends(rest, fields[i].name)) continue;
    size_t n = strlen(rest) - strlen(fields[i].name);
    if (n == 0 || n >= LIMIT_NAME || strspn(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != strlen(rest)) return 0;
    return n;
  }
  return 0;
}

static void full_name(char *out, size_t size, const char *database, size_t n, size_t field) {
  snprintf(out, size, FAMILY "%.*s%s", (int)n, database, fields[field].name);
}

struct setting_item *settings_family(struct settings *s, const char *name) {
  size_t n = family_name(name);
  if (!n || s->n - SET_COUNT > SETTING_DECLARED_MAX - FIELDS) return NULL;
  const char *database = name + strlen(FAMILY);
  bool is_main = n == strlen(MAIN_DATABASE) && strncmp(database, MAIN_DATABASE, n) == 0;
  for (size_t i = 0; i < FIELDS; i++) {
    char full[SETTING_NAME_MAX];
    full_name(full, sizeof full, database, n, i);
    struct setting_def def = fields[i];
    def.name = full;
    if (is_main && i == FIELD_CONNECTION) def.fallback = "${RPA_DB_CONNECTION_STRING}";
    struct setting_item *it = settings_append(s, &def);
    if (!it) return NULL;
    it->family = true;
  }
  return settings_item(s, name);
}

static const struct setting_item *family_item(const struct settings *s, const char *database, size_t n, size_t field) {
  char full[SETTING_NAME_MAX];
  full_name(full, sizeof full, database, n, field);
  return settings_item(s, full);
}

static void database_view(const struct settings *s, const struct setting_item *first, struct setting_database *out) {
  const char *database = first->def.name + strlen(FAMILY);
  size_t n = family_name(first->def.name);
  const struct setting_item *pool = family_item(s, database, n, FIELD_POOL_SIZE);
  const struct setting_item *age = family_item(s, database, n, FIELD_POOL_MAX_AGE);
  const struct setting_item *timeout = family_item(s, database, n, FIELD_TIMEOUT);
  const struct setting_item *query = family_item(s, database, n, FIELD_HEALTH_QUERY);
  *out = (struct setting_database){.setting = first->def.name,
                                   .connection = first->text,
                                   .pool_size = pool ? pool->number : 5,
                                   .pool_max_age_ns = age ? age->number : 1800 * NS_PER_S,
                                   .timeout_ns = timeout ? timeout->number : 30 * NS_PER_S,
                                   .health_query = query && query->text ? query->text : "SELECT 1"};
  for (size_t i = 0; i < n; i++) out->name[i] = (char)tolower((unsigned char)database[i]);
  out->name[n] = 0;
}

bool settings_database(const struct settings *s, size_t i, struct setting_database *out) {
  const struct setting_item *own = &s->items[SET_RPA_DB_CONNECTION_STRING];
  const struct setting_item *rpa =
      family_item(s, MAIN_DATABASE, strlen(MAIN_DATABASE), FIELD_CONNECTION); /* NULL: no field given */
  if (own->text || rpa) {
    if (i == 0) {
      if (rpa) {
        database_view(s, rpa, out);
      } else {
        *out = (struct setting_database){.name = "rpa_db",
                                         .pool_size = 5,
                                         .pool_max_age_ns = 1800 * NS_PER_S,
                                         .timeout_ns = 30 * NS_PER_S,
                                         .health_query = "SELECT 1",
                                         .connection = own->text};
      }
      if (own->text || !out->connection) {
        out->setting = own->def.name;
        out->connection = own->text;
      }
      return true;
    }
    i--;
  }
  for (size_t k = SET_COUNT; k < s->n; k++) {
    const struct setting_item *it = &s->items[k];
    if (!it->family || it == rpa || !str_ends(it->def.name, fields[FIELD_CONNECTION].name)) continue;
    if (i-- == 0) {
      database_view(s, it, out);
      return true;
    }
  }
  return false;
}

/* RPA2_BATCH_SIZE is no misspelling of RPA1_BATCH_SIZE, but another flow's. */
static bool same_but_digits(const char *a, const char *b) {
  for (; *a && *b; a++, b++)
    if (*a != *b && !(isdigit((unsigned char)*a) && isdigit((unsigned char)*b))) return false;
  return !*a && !*b;
}

/* How far apart, 0 for near enough to be a forgotten unit (RESTART_DELAY for RESTART_DELAY_SECONDS); -1: too far. */
static int apart(const char *given, const char *known) {
  size_t n = strlen(given);
  size_t k = strlen(known);
  if (n >= 5 && k > n && strncmp(given, known, n) == 0 && known[n] == '_') return 0;
  if (k >= 5 && n > k && strncmp(given, known, k) == 0 && given[k] == '_' &&
      (STR_EQ(given + k, "_SECONDS") || STR_EQ(given + k, "_MINUTES") || STR_EQ(given + k, "_MB") ||
       STR_EQ(given + k, "_MS") || STR_EQ(given + k, "_PERCENT")))
    return 0;
  if (same_but_digits(given, known)) return -1;
  int limit = n < 6 ? 1 : n < 14 ? 2 : 3;
  int d = str_distance(given, known, limit);
  return d > limit ? -1 : d;
}

const char *settings_near(const struct settings *s, const char *name) {
  const char *given = str_starts(name, SETTING_PREFIX) ? name + strlen(SETTING_PREFIX) : name;
  const char *best = NULL;
  int least = 0;
  for (size_t i = 0; i < s->n; i++) {
    int d = apart(given, s->items[i].def.name + strlen(SETTING_PREFIX));
    if (d >= 0 && (!best || d < least)) {
      best = s->items[i].def.name;
      least = d;
    }
  }
  return best;
}

/* CONTAINER_DATABASE_X_CONECTION_STRING: a family's field is known, whatever the name before it is. */
static bool near_family(const char *name, char *out, size_t size) {
  if (!str_starts(name, FAMILY)) return false;
  const char *database = name + strlen(FAMILY);
  int least = INT_MAX;
  for (const char *p = strchr(database, '_'); p; p = strchr(p + 1, '_')) {
    for (size_t i = 0; p > database && i < FIELDS; i++) {
      int d = apart(p, fields[i].name);
      if (d < 0 || d >= least) continue;
      least = d;
      full_name(out, size, database, (size_t)(p - database), i);
    }
  }
  return least != INT_MAX;
}

/* CONTAINER_LOG_LEVL_FILE, CONTAINER_LOG_LEVEL_FIL: the path of a file with the value. Only letters count, since
 * OUTPUT_FILE is no OUTPUT_FORMAT_FILE whose unit was forgotten. */
static bool near_file(const struct settings *s, const char *name, char *out, size_t size) {
  char stem[SETTING_NAME_MAX];
  if (!str_copy(stem, sizeof stem, name)) return false;
  char *last = strrchr(stem, '_');
  if (!last || last <= stem + strlen(SETTING_PREFIX) || str_distance(last + 1, "FILE", 1) > 1) return false;
  *last = 0;
  const char *given = stem + strlen(SETTING_PREFIX), *best = NULL;
  size_t n = strlen(given);
  int limit = n < 6 ? 0 : n < 14 ? 1 : 2;
  for (size_t i = 0, least = (size_t)limit + 1; i < s->n; i++) {
    const char *known = s->items[i].def.name + strlen(SETTING_PREFIX);
    size_t d = (size_t)str_distance(given, known, limit);
    if (d >= least || (d && same_but_digits(given, known))) continue;
    least = d;
    best = s->items[i].def.name;
  }
  char family[SETTING_NAME_MAX];
  if (!best && near_family(stem, family, sizeof family)) best = family;
  return best && snprintf(out, size, "%s_FILE", best) < (int)size;
}

bool settings_remark(const struct settings *s, size_t i, struct setting_remark *out) {
  for (size_t k = 0; k < s->unknown_n; k++) {
    const struct setting_unknown *u = &s->unknown[k];
    if (u->layer != LAYER_ENVIRONMENT || !u->name || i-- > 0) continue;
    *out = (struct setting_remark){.name = u->name, .near = settings_near(s, u->name)};
    if (!out->near && near_family(u->name, out->family, sizeof out->family)) out->near = out->family;
    if (!out->near && near_file(s, u->name, out->family, sizeof out->family)) out->near = out->family;
    return true;
  }
  return false;
}
