#include "core/explain.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/exits.h"
#include "base/str.h"
#include "core/event.h"

struct row {
  const char *name, *doc, *look;
};

static const struct {
  int code;
  const char *doc, *look;
} exits[] = {
#define X(id, code, meaning, look) {code, meaning, look},
#include "base/exits.def"
#undef X
};

static const struct row signals[] = {
#define X(name, does, doc) {"SIG" #name, doc, ""},
#include "base/signals.def"
#undef X
};

static const struct row states[] = {
#define STATE(id, name, doc) {name, doc, ""},
#include "core/machine.def"
};

static const struct row instances[] = {
#define INSTANCE(id, name, doc) {name, doc, ""},
#include "core/machine.def"
};

static const struct row causes[] = {
#define CAUSE(id, name, doc) {name, doc, ""},
#include "core/machine.def"
};

static const struct row ends[] = {
#define END(id, name, doc, look) {name, doc, look},
#include "core/reason.def"
};

static const struct row probes[] = {
#define PROBE(name, doc, look) {name, doc, look},
#include "core/reason.def"
};

static const struct row healths[] = {
#define X(id, name, doc, look) {name, doc, look},
#include "core/check.def"
#undef X
};

static const struct row stages[] = {
#define X(id, name, doc, look) {name, doc, look},
#include "base/stage.def"
#undef X
};

static const struct {
  const char *name, *title;
  const struct row *rows; /* NULL: exits and events */
  size_t n;
} kinds[EXPLAIN_KINDS] = {
    [EXPLAIN_EXIT] = {"exit_code", "exit code", NULL, ARRAY_LEN(exits)},
    [EXPLAIN_SIGNAL] = {"signal", "signal to tend", signals, ARRAY_LEN(signals)},
    [EXPLAIN_EVENT] = {"event", "event of the log", NULL, EVENT_KINDS},
    [EXPLAIN_STATE] = {"state", "state of the container", states, ARRAY_LEN(states)},
    [EXPLAIN_INSTANCE] = {"process_state", "state of a process", instances, ARRAY_LEN(instances)},
    [EXPLAIN_HEALTH] = {"health", "health of a check or the container", healths, ARRAY_LEN(healths)},
    [EXPLAIN_CAUSE] = {"cause", "cause of a change of state", causes, ARRAY_LEN(causes)},
    [EXPLAIN_END] = {"end_reason", "reason of an end", ends, ARRAY_LEN(ends)},
    [EXPLAIN_PROBE] = {"probe_reason", "reason of a dependency or check, code of an error in Lua", probes,
                       ARRAY_LEN(probes)},
    [EXPLAIN_STAGE] = {"start_stage", "stage of a start that failed", stages, ARRAY_LEN(stages)},
    [EXPLAIN_ERRNO] = {"errno", "error of the system", NULL, 0},
};

const char *explain_kind_name(enum explain_kind kind) { return kinds[kind].name; }
const char *explain_kind_title(enum explain_kind kind) { return kinds[kind].title; }

static void fill(enum explain_kind kind, size_t i, struct explain *out) {
  *out = (struct explain){.kind = kind, .look = "", .code = -1};
  if (kind == EXPLAIN_EXIT) {
    out->code = exits[i].code;
    out->doc = exits[i].doc;
    out->look = exits[i].look;
    if (out->code == EXIT_SIGNALED)
      str_copy(out->name, sizeof out->name, "128+N");
    else
      snprintf(out->name, sizeof out->name, "%d", out->code);
  } else if (kind == EXPLAIN_EVENT) {
    enum event_kind event = (enum event_kind)i;
    str_copy(out->name, sizeof out->name, event_name(event));
    out->doc = event_doc(event);
    out->look = event_look(event);
    out->component = event_component(event);
    out->keys = event_keys(event);
  } else {
    const struct row *row = &kinds[kind].rows[i];
    str_copy(out->name, sizeof out->name, row->name);
    out->doc = row->doc;
    out->look = row->look;
    if (kind == EXPLAIN_SIGNAL) out->code = EXIT_SIGNALED + str_signal(row->name);
  }
}

bool explain_at(size_t i, struct explain *out) {
  for (int kind = 0; kind < EXPLAIN_KINDS; i -= kinds[kind++].n) {
    if (i >= kinds[kind].n) continue;
    fill((enum explain_kind)kind, i, out);
    return true;
  }
  return false;
}

/* --- what is computed -------------------------------------------------------------------------------------------- */

/* A code that no table holds. */
static void computed_exit(int code, struct explain *out) {
  char name[16];
  int sig = code - EXIT_SIGNALED;
  str_signal_name(sig, name, sizeof name);
  if (sig > 0 && name[0] >= 'A') {
    for (size_t i = 0; i < ARRAY_LEN(exits); i++)
      if (exits[i].code == EXIT_SIGNALED) fill(EXPLAIN_EXIT, i, out);
    snprintf(out->name, sizeof out->name, "%d = 128+%d, SIG%s", code, sig, name);
  } else {
    *out = (struct explain){.kind = EXPLAIN_EXIT};
    out->doc = "The workload's own; tend gives it as it is.";
    out->look = "the workload's documentation; `exit_source` in `shutdown_completed`; `tend logs`";
    snprintf(out->name, sizeof out->name, "%d", code);
  }
  out->code = code;
}

/* "137", "128+9"; false: no exit code. */
static bool exit_code_of(const char *word, int *out) {
  int64_t n;
  const char *plus = strchr(word, '+');
  if (plus && plus - word == 3 && strncmp(word, "128", 3) == 0) {
    if (str_int(plus + 1, 1, 64, &n) != 0) return false;
    *out = EXIT_SIGNALED + (int)n;
    return true;
  }
  if (str_int(word, 0, 255, &n) != 0) return false;
  *out = (int)n;
  return true;
}

static size_t find_exit(int code, struct explain *out) {
  for (size_t i = 0; i < ARRAY_LEN(exits); i++) {
    if (exits[i].code != code) continue;
    fill(EXPLAIN_EXIT, i, out);
    return 1;
  }
  computed_exit(code, out);
  return 1;
}

static size_t find_signal(const char *word, struct explain *out) {
  int sig = str_signal(word);
  if (!sig) return 0;
  for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
    if (str_signal(signals[i].name) != sig) continue;
    fill(EXPLAIN_SIGNAL, i, out);
    return 1;
  }
  char name[16];
  str_signal_name(sig, name, sizeof name);
  *out = (struct explain){.kind = EXPLAIN_SIGNAL, .look = "", .code = EXIT_SIGNALED + sig};
  out->doc = strncmp(name, "RT", 2) == 0 ? "Goes to the main process as it is."
                                         : "Is not passed on; it tells most when it ended a process of the workload.";
  snprintf(out->name, sizeof out->name, "SIG%s", name);
  return 1;
}

static size_t find_errno(const char *word, struct explain *out) {
  enum { ERRNO_MAX = 133 };
  for (int error = 1; error <= ERRNO_MAX; error++) {
    const char *name = strerrorname_np(error);
    if (!name || strcasecmp(name, word) != 0) continue;
    *out = (struct explain){.kind = EXPLAIN_ERRNO, .doc = strerrordesc_np(error), .look = "", .code = -1};
    snprintf(out->name, sizeof out->name, "%s = %d", name, error);
    return 1;
  }
  return 0;
}

size_t explain_find(const char *word, struct explain *out, size_t max) {
  int code;
  if (!*word || !max) return 0;
  if (exit_code_of(word, &code)) return find_exit(code, out);
  size_t n = 0;
  struct explain e;
  for (size_t i = 0; n < max && explain_at(i, &e); i++)
    if (e.kind != EXPLAIN_SIGNAL && strcasecmp(e.name, word) == 0) out[n++] = e;
  bool digits = *word >= '0' && *word <= '9';
  if (!digits && n < max) n += find_signal(word, out + n);
  if (n < max) n += find_errno(word, out + n);
  return n;
}
