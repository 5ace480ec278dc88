/* Reading a plan's JSON: where we are, and typed values with a problem for each that is wrong. Private to the
 * plan_*.c files and scenario.c.
 *
 * A getter leaves *out alone when the key is missing or wrong, so defaults are set before. Every problem names the
 * key path, the line, the value, what is allowed and what to do; reading goes on after it.
 */
#ifndef TEND_CORE_PLAN_READ_H
#define TEND_CORE_PLAN_READ_H

#include "core/plan.h"

struct plan_reader {
  const struct plan_options *options;
  struct problems *problems;
  struct plan *plan;
  size_t told; /* problems so far */
  bool no_memory;
  struct plan_shared *shared; /* what the plan has by now, to be found again; plan_reader_end frees it */
  size_t shared_n, shared_room;
};

/* A place in the tree: a chain on the stack. key NULL: the element `index` (0-based) of a list. */
struct at {
  const struct at *up;
  const char *key;
  size_t index;
};

#define AT_KEY(place, name) (&(const struct at){.up = (place), .key = (name)})
#define AT_INDEX(place, i) (&(const struct at){.up = (place), .index = (i)})

void at_path(const struct at *at, struct buf *out); /* dependencies[2].timeout */

/* --- plan_memory.c: what lives as long as the plan. Nothing of a plan points into what it was read from. ------------
 */
/* Zeroed. NULL (and no_memory) on failure. */
void *plan_alloc(struct plan_reader *r, size_t n, size_t size);
void plan_blocks_free(struct plan_block *first);
/* A copy, which others have as well and nobody changes; "" (and no_memory) on failure. */
const char *plan_text(struct plan_reader *r, const char *text);
const char *plan_text_fmt(struct plan_reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same of other things, whose gaps must be zero; NULL (and no_memory) on failure. */
const void *plan_share(struct plan_reader *r, const void *data, size_t n);
/* A list of words, of which each is a text of the plan: they are added to `words`, then made a list that ends with
 * NULL. NULL (and no_memory) on failure. */
void plan_words_add(struct buf *words, const char *word);
char **plan_words(struct plan_reader *r, struct buf *words);
char **plan_copy_words(struct plan_reader *r, char *const *from); /* of another plan; NULL: none */
/* A copy of an object; an empty one of anything else. To be read only: there is no `prev` in it. */
const cJSON *plan_params(struct plan_reader *r, const cJSON *params);
void plan_reader_end(struct plan_reader *r);

/* value: what is there, told unless NULL. allowed, fix: sentences without a full stop. */
void plan_problem(struct plan_reader *r, const struct at *at, const cJSON *value, const char *allowed,
                  const char *fix_fmt, ...) __attribute__((format(printf, 5, 6)));
/* "flows/rpa1.lua:14", or the file alone where the line is unknown. */
const char *plan_origin(struct plan_reader *r, const struct at *at);

/* Unknown keys, with the nearest known one. */
void read_keys(struct plan_reader *r, const struct at *at, const cJSON *object, const char *const *keys, size_t n);

/* The value under key; NULL when it is missing. */
const cJSON *read_get(const cJSON *object, const char *key);
/* A list or an empty table, of at most max elements; NULL when missing or wrong. */
const cJSON *read_list(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key, size_t max);
/* A table with string keys, or an empty one. */
const cJSON *read_object(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key);

/* A list of texts as argv; numbers are written as Lua would. NULL after a problem. */
char **plan_read_argv(struct plan_reader *r, const struct at *at, const cJSON *v); /* plan_process.c */

bool read_text(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key, const char **out);
bool read_path(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key, const char **out);
bool read_bool(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key, bool *out);
bool read_int(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key, int min, int max,
              int *out);
bool read_number(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key, double min,
                 double max, double *out);
/* Seconds as a number, or text with a suffix. */
bool read_duration(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key, int64_t min_ns,
                   int64_t max_ns, int64_t *out_ns);
bool read_choice(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key,
                 const char *const *choices, size_t n, int *out);
bool read_signal(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key, int *out);
bool read_fn(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key, int *out);
/* Exit codes: a number, "64-78", or a list of them; bits are added to set. */
bool read_codes(struct plan_reader *r, const struct at *at, const cJSON *object, const char *key, uint64_t set[4]);

/* The function number of {"$fn": N}, PLAN_NO_FN when v is none. */
int json_fn(const cJSON *v);
/* [A-Za-z0-9_][A-Za-z0-9_.-]{0,62} */
bool plan_name_valid(const char *name);
/* Checks a name that the flow gave; a problem when it is not valid. */
bool plan_check_name(struct plan_reader *r, const struct at *at, const char *name);

/* Names in the order of enum execution_mode, restart_policy, rule_action. */
enum {
  PLAN_MODES_N = MODE_SERVER + 1,
  PLAN_POLICIES_N = RESTART_UNLESS_STOPPED + 1,
  PLAN_ACTIONS_N = RULE_RESTART_ALL + 1
};
extern const char *const plan_modes[PLAN_MODES_N], *const plan_policies[PLAN_POLICIES_N],
                                                       *const plan_actions[PLAN_ACTIONS_N];

/* The parts, each in its file. */
void plan_read_processes(struct plan_reader *r, const struct at *at, const cJSON *flow); /* plan_process.c */
/* plan_restart.c; process NULL: what counts where a flow says nothing. NULL (and no_memory) on failure. */
const struct plan_restart *plan_read_restart(struct plan_reader *r, const struct at *at, const cJSON *process);
const struct plan_stop *plan_read_stop(struct plan_reader *r, const struct at *at, const cJSON *process);
void plan_order(struct plan_reader *r, const struct at *at);                                /* plan_order.c */
void plan_read_dependencies(struct plan_reader *r, const struct at *at, const cJSON *flow); /* plan_check.c */
/* One check; the entry v is a table or a function. */
bool plan_read_check(struct plan_reader *r, const struct at *at, const cJSON *v, bool dependency,
                     struct plan_check *out);
void plan_read_cleanup(struct plan_reader *r, const struct at *at, const cJSON *flow); /* plan_cleanup.c */
bool plan_is_cleanup_kind(const char *kind);
/* kind and params of a handler whose kind is one of them. */
void plan_read_cleanup_kind(struct plan_reader *r, const struct at *at, const cJSON *v, struct plan_cleanup *out);
void plan_read_remedies(struct plan_reader *r, const struct at *at,
                        const cJSON *flow); /* plan_remedy.c; after checks */
void plan_read_scale(struct plan_reader *r, const struct at *at, const cJSON *process, struct plan_process *out);
void plan_read_hooks(struct plan_reader *r, const struct at *at, const cJSON *flow); /* plan_hooks.c */
void plan_print_remedies(const struct plan *plan, struct buf *out);                  /* plan_print_remedy.c */
void plan_remedies_json(const struct plan *plan, struct json *j);
void plan_read_directories(struct plan_reader *r, const struct at *at, const cJSON *flow); /* plan_settings.c */
void plan_read_settings(struct plan_reader *r, const struct at *at, const cJSON *flow);
void plan_add_need(struct plan_reader *r, const struct at *at, const cJSON *owner); /* `requires` of owner */

#endif
