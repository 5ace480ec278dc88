/* What differs between two plans, for a reload: only that is touched. Pure.
 *
 * Things are the same thing when they have the same name (main is main whatever its name); of the same thing keys are
 * compared one by one. Functions are compared by an identity that who has the scripts gives: of what they do, not of
 * where they stand.
 */
#ifndef TEND_CORE_PLAN_DIFF_H
#define TEND_CORE_PLAN_DIFF_H

#include "core/plan.h"

/* D(id, name in JSON, word in text) */
#define DIFF_SECTIONS_LIST(D) \
  D(PROCESS, "processes", "process") \
  D(DEPENDENCY, "dependencies", "dependency") \
  D(CHECK, "checks", "check") \
  D(REMEDY, "remedies", "remedy") \
  D(CLEANUP, "cleanup", "cleanup") \
  D(HOOK, "hooks", "hook") \
  D(DIRECTORY, "directories", "directory") \
  D(SETTING, "settings", "setting")

enum diff_section {
#define D(id, name, word) DIFF_##id,
  DIFF_SECTIONS_LIST(D)
#undef D
      DIFF_SECTIONS
};

enum diff_how { DIFF_ADDED, DIFF_REMOVED, DIFF_CHANGED };
/* When a change counts. */
enum diff_effect {
  DIFF_AT_ONCE,
  DIFF_RESTART,    /* the process is restarted for it */
  DIFF_NEXT_START, /* of the process; of a setting: of tend */
};

struct diff_item {
  enum diff_section section;
  enum diff_how how;
  enum diff_effect effect;
  char name[2 * LIMIT_NAME];
  char keys[200]; /* what of it has changed: "command, env"; a setting: "30 → 60"; else "" */
};

/* NULL for a function: none. */
typedef uint64_t plan_identity_fn(void *arg, int fn);
struct diff_side {
  const struct plan *plan;
  plan_identity_fn *identity; /* NULL: functions are never the same */
  void *arg;
};

struct plan_diff {
  struct diff_item *items;
  size_t n, cap;
  bool no_memory;
  /* of each thing of the new plan: the number of the old one; -1: there is none. Of a check, dependency and remedy:
   * none that is unchanged. */
  int *process, *check, *dependency, *remedy;
  bool *restart; /* of each process: what runs is not what it says now, and it wants to be restarted */
  bool *startup; /* of each process: its start-up check is as before */
  bool *scale;   /* of each process: the rule of its number is as before */
  bool directories;
};

/* NULL: no memory. */
struct plan_diff *plan_diff_new(const struct diff_side *from, const struct diff_side *to);
void plan_diff_free(struct plan_diff *d); /* NULL is allowed */
/* One more difference, of what no plan knows. keys may be NULL. */
void plan_diff_add(struct plan_diff *d, enum diff_section section, enum diff_how how, const char *name,
                   const char *keys, enum diff_effect effect);

/* {"processes": {"added": [name], "removed": [name], "changed": [{"name", "keys", "effect"}]}}: what has something. */
void plan_diff_json(const struct plan_diff *d, struct json *j, const char *key);
/* One line for each: "  ~ process web: command (restarted)". */
void plan_diff_text(const struct plan_diff *d, struct buf *out);
/* In one line: "2 checks added, process web changed"; "nothing". */
void plan_diff_summary(const struct plan_diff *d, struct buf *out);

#endif
