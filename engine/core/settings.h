/* Settings: one typed value each, from (lowest first) built-in default, flow file, configuration file,
 * environment, command line. One table (settings.def) declares tend's own; a flow declares more. Pure: files
 * and the environment are read by who calls.
 *
 * struct settings owns copies of all texts. Not thread-safe; changed only before the engine runs.
 */
#ifndef TEND_CORE_SETTINGS_H
#define TEND_CORE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "core/problem.h"

enum setting_type {
  SETTING_STRING,
  SETTING_PATH,
  SETTING_PATHS, /* colon list */
  SETTING_INTEGER,
  SETTING_BOOL,
  SETTING_DURATION, /* ns; a bare number counts in the setting's unit */
  SETTING_CHOICE,
  SETTING_URL,
  SETTING_ADDRESS, /* ADDR:PORT, or off */
};

enum setting_layer { LAYER_DEFAULT, LAYER_FLOW, LAYER_FILE, LAYER_ENVIRONMENT, LAYER_COMMAND_LINE };

enum { SETTING_SECRET = 1, SETTING_RELOADABLE = 2, SETTING_REQUIRED = 4 };

struct setting_def {
  const char *name; /* with CONTAINER_ */
  enum setting_type type;
  const char *unit;     /* of a bare number: "s", "m", "MB", "%" …; NULL: none */
  const char *fallback; /* default as text, may hold ${OTHER} (without CONTAINER_); NULL: none */
  int64_t min, max;     /* integers; durations in ns */
  const char *choices;  /* "a b c" for SETTING_CHOICE */
  unsigned flags;
  const char *doc; /* one line */
};

/* SET_FLOW_NAME …: generated from settings.def; index of tend's own settings. */
enum setting_id {
#define S(id, ...) SET_##id,
#include "core/settings.def"
#undef S
  SET_COUNT
};

struct settings;

struct settings *settings_new(void); /* NULL: no memory */
void settings_free(struct settings *s);

/* Gives a raw value in a layer. origin: what to call the source ("environment", "--log-level", "tend.json:3").
 * Unknown names in LAYER_FILE and LAYER_COMMAND_LINE are problems; in LAYER_ENVIRONMENT remarks with the nearest
 * name (see settings_remarks). An empty value counts as not given. NAME_FILE: the caller reads the file and gives NAME
 * with the file as origin; both given is a problem that settings_environment tells. */
void settings_give(struct settings *s, enum setting_layer layer, const char *name, const char *value,
                   const char *origin);

/* Adds a flow's own setting; the strings of *def are copied. -EEXIST, -EINVAL with err. Values already given
 * under that name are used. */
int settings_declare(struct settings *s, const struct setting_def *def, struct err *err);

/* Parses, expands ${…}, checks bounds; every error is added to problems (never a secret value). May be called again
 * after more was given. Returns the number of errors. */
size_t settings_resolve(struct settings *s, struct problems *problems);

/* Values after resolve. Texts belong to s. A setting without a value: NULL, 0, false. */
const char *settings_str(const struct settings *s, enum setting_id id);
int64_t settings_int(const struct settings *s, enum setting_id id);
bool settings_bool(const struct settings *s, enum setting_id id);
int64_t settings_ns(const struct settings *s, enum setting_id id);
int settings_choice(const struct settings *s, enum setting_id id); /* index into choices */
enum setting_layer settings_layer(const struct settings *s, enum setting_id id);
bool settings_given(const struct settings *s, enum setting_id id); /* by anything above the default */

/* One setting by its full name, tend's own or a flow's; for Lua and `tend config`. */
struct setting_view {
  const struct setting_def *def;
  const char *text;   /* the value as text, expanded; NULL: none. Secret ones too: mind where it goes */
  const char *shown;  /* the same, "***" for a secret */
  const char *origin; /* "default", "environment", … */
  enum setting_layer layer;
  int64_t number; /* integer, bool, ns, index of the choice */
};
bool settings_view(const struct settings *s, const char *name, struct setting_view *out);
/* All of them in order, tend's own first: i from 0; false at the end. */
bool settings_at(const struct settings *s, size_t i, struct setting_view *out);

/* Replaces every known secret (as given, URL-encoded, base64, JSON-escaped; from 6 bytes on) and every
 * password inside a URI or a keyword connection string by ***, in place. */
void settings_redact(const struct settings *s, struct buf *text);
/* Marks one more value as secret (a password that a script read). */
void settings_add_secret(struct settings *s, const char *value);

#endif
