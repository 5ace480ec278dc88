/* The texts of machine.def: names of the enums, and the tables for the docs. */
#include "core/machine.h"

const char *machine_state_name(enum machine_state s) {
  static const char *const names[] = {
#define STATE(id, name, doc) name,
#include "core/machine.def"
  };
  return s < STATES ? names[s] : "?";
}

const char *instance_state_name(enum instance_state s) {
  static const char *const names[] = {
#define INSTANCE(id, name, doc) name,
#include "core/machine.def"
  };
  return s < INSTANCES ? names[s] : "?";
}

const char *machine_cause_name(enum machine_cause c) {
  static const char *const names[] = {
#define CAUSE(id, name, doc) name,
#include "core/machine.def"
  };
  return c < CAUSES ? names[c] : "?";
}

const char *end_reason_name(enum end_reason reason) {
  static const char *const names[] = {
#define END(id, name, doc, look) name,
#include "core/reason.def"
  };
  return reason < END_REASONS ? names[reason] : "?";
}

const char *spawn_stage_name(enum spawn_stage stage) {
  static const char *const names[] = {
#define X(id, name, doc, look) name,
#include "base/stage.def"
#undef X
  };
  return (size_t)stage < sizeof names / sizeof names[0] ? names[stage] : "start";
}

struct text_row {
  const char *name, *doc;
};

static void add_list(struct buf *out, const char *title, const char *head, const struct text_row *rows, size_t n) {
  buf_fmt(out, "## %s\n\n| %s | |\n| --- | --- |\n", title, head);
  for (size_t i = 0; i < n; i++) buf_fmt(out, "| %s | %s |\n", rows[i].name, rows[i].doc);
  buf_str(out, "\n");
}

static void add_row(struct buf *out, const char *input, const char *const cells[STATES]) {
  buf_fmt(out, "| %s |", input);
  for (int i = 0; i < STATES; i++) {
    bool ignored = cells[i][0] == 'i' && cells[i][1] == 'g';
    buf_fmt(out, " %s |", ignored ? "" : cells[i]);
  }
  buf_char(out, '\n');
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

void machine_markdown(struct buf *out) {
  static const struct text_row states[] = {
#define STATE(id, name, doc) {name, doc},
#include "core/machine.def"
  };
  static const struct text_row instances[] = {
#define INSTANCE(id, name, doc) {name, doc},
#include "core/machine.def"
  };
  static const struct text_row causes[] = {
#define CAUSE(id, name, doc) {name, doc},
#include "core/machine.def"
  };
  static const struct text_row inputs[] = {
#define INPUT(id, name, doc) {name, doc},
#include "core/machine.def"
  };
  static const struct text_row actions[] = {
#define ACTION(id, name, doc) {name, doc},
#include "core/machine.def"
  };
  add_list(out, "States of the container", "state", states, COUNT(states));
  add_list(out, "States of an instance of a process", "state", instances, COUNT(instances));
  add_list(out, "Causes", "cause", causes, COUNT(causes));
  add_list(out, "Inputs", "input", inputs, COUNT(inputs));
  add_list(out, "Actions", "action", actions, COUNT(actions));
  buf_str(out, "## States × inputs\n\nEmpty: ignored.\n\n| input |");
  for (int i = 0; i < STATES; i++) buf_fmt(out, " %s |", machine_state_name((enum machine_state)i));
  buf_str(out, "\n| --- |");
  for (int i = 0; i < STATES; i++) buf_str(out, " --- |");
  buf_char(out, '\n');
#define ROW(input, a, b, c, d, e, f, g) add_row(out, #input, (const char *const[STATES]){#a, #b, #c, #d, #e, #f, #g});
#include "core/machine.def"
}
