/* Settings: one typed value each, from (lowest first) built-in default, flow file, configuration file,
 * environment, command line. One table (settings.def) declares tend's own; a flow declares more. Pure: files
 * and the environment are read by who calls (loop/settings_source.h).
 *
 * The way: settings_new, variables, give all that was given, resolve (problems NULL: only to find the flow), load the
 * flow (it gives and declares), resolve again and tell the problems.
 *
 * struct settings owns copies of all texts. Not thread-safe; changed only before the engine runs. Memory that runs out
 * is told as a problem by the next resolve.
 */
#ifndef TEND_CORE_SETTINGS_H
#define TEND_CORE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/limits.h"
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

/* Gives a raw value in a layer, under the full name. origin: what to call the source ("environment", "--log-level",
 * "tend.json:3"). Names that nobody has declared by the time of resolve: in LAYER_ENVIRONMENT remarks
 * (settings_remark); elsewhere an error where a known name is near, else a warning (a file may serve several flows).
 * An empty value counts as not given. NAME_FILE is given like any other; who may read files then calls
 * settings_take_file (loop/settings_source.h does). */
void settings_give(struct settings *s, enum setting_layer layer, const char *name, const char *value,
                   const char *origin);

/* The origin of what a layer gives to a name, known or not; NULL: nothing given. */
const char *settings_given_origin(const struct settings *s, enum setting_layer layer, const char *name);
/* The value itself, as it was given; NULL: nothing given. */
const char *settings_given_value(const struct settings *s, enum setting_layer layer, enum setting_id id);

/* Takes out one NAME_FILE that was given and whose NAME is declared by now; the caller reads the file and gives NAME.
 * The three texts are the caller's to free. false: there is none (left). */
struct setting_file {
  enum setting_layer layer;
  char *name, *path, *origin; /* NAME, what NAME_FILE says, and where that stands */
};
bool settings_take_file(struct settings *s, struct setting_file *out);

/* What ${NAME} in a default may also stand for, besides settings: HOSTNAME. */
void settings_variable(struct settings *s, const char *name, const char *value);

/* Adds a flow's own setting; the strings of *def are copied. -EEXIST, -EINVAL, -E2BIG with err. Values already given
 * under that name are used. A name that looks like a secret's makes it one (redact_secret_name). */
int settings_declare(struct settings *s, const struct setting_def *def, struct err *err);

/* From now on resolve misses that setting when it has no value. who: "flow rpa1". -ENOENT: there is none of that name.
 */
int settings_require(struct settings *s, const char *name, const char *who);

/* Parses, expands ${…} (in the layers default and flow only: what a user gives is taken as it is), checks bounds; every
 * error is added to problems (may be NULL), with never a secret value. A value that is wrong counts as not given for
 * those who read it. May be called again after more was given. Returns the number of errors.
 * FLOW_NAME and ENVIRONMENT are not missed here: that is the start-up validation's. */
size_t settings_resolve(struct settings *s, struct problems *problems);

/* Values after resolve. Texts belong to s. A setting without a value: NULL, 0, false. */
const char *settings_str(const struct settings *s, enum setting_id id);
int64_t settings_int(const struct settings *s, enum setting_id id);
bool settings_bool(const struct settings *s, enum setting_id id);
int64_t settings_ns(const struct settings *s, enum setting_id id);
int settings_choice(const struct settings *s, enum setting_id id); /* index into choices */
bool settings_given(const struct settings *s, enum setting_id id); /* by anything above the default */

/* One setting by its full name, tend's own or a flow's; for Lua and `tend config`. */
struct setting_view {
  const struct setting_def *def;
  const char *text;   /* the value as text, expanded; NULL: none. Secret ones too: mind where it goes */
  const char *shown;  /* the same, "***" for a secret */
  const char *origin; /* "default", "environment", … */
  enum setting_layer layer;
  int64_t number; /* integer, bool, ns, index of the choice */
  bool waits;     /* settings_keep_to: there is another value, which comes with the next start of tend */
};
bool settings_view(const struct settings *s, const char *name, struct setting_view *out);
/* All of them in order, tend's own first: i from 0; false at the end. */
bool settings_at(const struct settings *s, size_t i, struct setting_view *out);

/* --- a reload ---------------------------------------------------------------------------------------------------- */

/* From the next resolve on a setting that a reload may not change has its value of `in_force`, which must live until
 * the last resolve. A flow's own setting stays where files, environment or command line gave it; else its flow decides.
 */
void settings_keep_to(struct settings *s, const struct settings *in_force);
/* The two change places, texts included; each knows the secrets of both from now on. Nobody may hold texts of either.
 */
void settings_exchange(struct settings *a, struct settings *b);
/* Files that values were read from, or should have been: i from 0, NULL at the end. */
void settings_note_file(struct settings *s, const char *path);
const char *settings_file(const struct settings *s, size_t i);

/* Values that are valid each, but cannot do what they say together (a window that can never hold the attempts, a
 * timeout above its interval …), and variables whose name is near a known one: warnings. After resolve. */
void settings_lint(const struct settings *s, struct problems *problems);
/* The shutdown may last longer than Docker waits unless told otherwise (10 s): to be told once at start. */
bool settings_shutdown_above_docker(const struct settings *s);

enum { SETTING_NAME_MAX = 128 };

/* Variables of the environment that begin with CONTAINER_ and that nobody declared: i from 0, false at the end. */
struct setting_remark {
  const char *name;
  const char *near;              /* the known name that was probably meant: a warning; NULL: nothing alike, for DEBUG */
  char family[SETTING_NAME_MAX]; /* holds near where it is one of CONTAINER_DATABASE_<NAME>_…, or NAME_FILE */
};
bool settings_remark(const struct settings *s, size_t i, struct setting_remark *out);

/* The databases by name: rpa_db where it has a connection string, then CONTAINER_DATABASE_<NAME>_…; i from 0. */
struct setting_database {
  char name[LIMIT_NAME];  /* lower case: "rpa_db" */
  const char *setting;    /* the setting that holds the connection string, for messages */
  const char *connection; /* a secret; NULL: other fields of that name are given, but this one is not */
  int64_t pool_size, pool_max_age_ns, timeout_ns;
  const char *health_query;
};
bool settings_database(const struct settings *s, size_t i, struct setting_database *out);

/* What a setting takes, in words: "a whole number from 1 to 10"; for errors and docs. */
void setting_allowed(const struct setting_def *def, struct buf *out);
/* Its default for people: "***" for a secret's that is more than ${NAME}; NULL: none. */
const char *setting_default(const struct setting_def *def);
/* tend's own declarations, and the fields of CONTAINER_DATABASE_<NAME> (names from the '_' on; NULL at the end); for
 * docs and completion. */
const struct setting_def *setting_table(enum setting_id id);
const struct setting_def *settings_family_field(size_t i);
/* ADDR:PORT, [ADDR]:PORT or :PORT into its parts (an empty host stands for all addresses); -EINVAL. "off" is -ENOENT.
 */
int setting_address(const char *text, char *host, size_t size, int *port);

/* Replaces every known secret (as given, URL-encoded, base64, JSON-escaped; from 6 bytes on) and every
 * password inside a URI or a keyword connection string by ***, in place. */
void settings_redact(const struct settings *s, struct buf *text);

#endif
