/* The inside of struct settings, for settings*.c alone. */
#ifndef TEND_CORE_SETTINGS_STORE_H
#define TEND_CORE_SETTINGS_STORE_H

#include "core/redact.h"
#include "core/settings.h"

enum {
  SETTING_LAYERS = LAYER_COMMAND_LINE + 1,
  SETTING_DECLARED_MAX = 512, /* of flows and families together */
  SETTING_VARIABLES = 8,
};

#define SETTING_PREFIX "CONTAINER_"

struct setting_given {
  char *value; /* NULL: nothing given */
  char *origin;
};

struct setting_item {
  struct setting_def def;
  bool own_def; /* the strings of def are ours to free */
  bool family;  /* made by CONTAINER_DATABASE_<NAME>_… */
  char *required_by;
  struct setting_given given[SETTING_LAYERS];
  /* after resolve */
  enum { ITEM_FRESH, ITEM_BUSY, ITEM_DONE } state;
  char *text;  /* what readers get */
  char *shown; /* what people see, where that is not text; NULL: text itself */
  enum setting_layer layer;
  int64_t number;
  bool secret; /* by declaration, or because a secret went into it */
  bool waits;  /* for the next start: a reload has another value and may not change this one */
};

struct setting_unknown { /* given, but nobody has declared it so far */
  char *name, *value, *origin;
  enum setting_layer layer;
};

struct settings {
  struct setting_item *items; /* SET_COUNT of tend's own, then the declared ones */
  size_t n, cap;
  struct setting_unknown *unknown;
  size_t unknown_n, unknown_cap;
  struct {
    char *name, *value;
  } variables[SETTING_VARIABLES];
  size_t variables_n;
  struct redact redact;
  const struct settings *in_force; /* of a reload: what it may not change stays as it is there */
  char **files;                    /* that values were read from */
  size_t files_n;
  bool failed; /* memory was short */
};

/* What people see of an item; NULL: it has no value. */
static inline const char *setting_shown(const struct setting_item *it) { return it->shown ? it->shown : it->text; }

struct setting_item *settings_item(const struct settings *s, const char *name);
/* Appends an item with copies of the strings of *def. NULL: no memory. */
struct setting_item *settings_append(struct settings *s, const struct setting_def *def);
/* The known name that is near, or NULL. */
const char *settings_near(const struct settings *s, const char *name);
/* Makes the four settings of a database when the name is of that family; the item of `name`, or NULL. */
struct setting_item *settings_family(struct settings *s, const char *name);

/* After an item was resolved for a reload. */
void settings_keep_item(struct settings *s, struct setting_item *it);

/* Parses text as def wants it. 0, -EINVAL (not of that type), -ERANGE (out of bounds). */
int setting_parse(const struct setting_def *def, const char *text, int64_t *number);

#endif
