#include "core/problem.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/exits.h"

/* Stands where memory was short; never freed. */
static const char lost_check[] = "memory";
static const char lost_name[] = "out of memory";

static char *copy(const char *text, bool *failed) {
  char *p = text ? strdup(text) : NULL;
  if (text && !p) *failed = true;
  return p;
}

static void problem_free(struct problem *p) {
  if (p->check != lost_check) {
    free((char *)p->check);
    free((char *)p->name);
  }
  free((char *)p->value);
  free((char *)p->source);
  free((char *)p->allowed);
  free((char *)p->fix);
}

void problems_add(struct problems *ps, const struct problem *p) {
  if (ps->n == ps->cap) {
    size_t cap = ps->cap ? ps->cap * 2 : 8;
    void *grown = realloc(ps->items, cap * sizeof *ps->items);
    if (!grown) {
      if (!ps->n) return;
      /* no room: the last one becomes this one, without its texts */
      problem_free(&ps->items[ps->n - 1]);
      ps->items[ps->n - 1] = (struct problem){.class = p->class, .check = lost_check, .name = lost_name};
      return;
    }
    ps->items = grown;
    ps->cap = cap;
  }
  bool failed = false;
  struct problem c = {.class = p->class, .warning = p->warning};
  c.check = copy(p->check, &failed);
  c.name = copy(p->name, &failed);
  c.value = copy(p->value, &failed);
  c.source = copy(p->source, &failed);
  c.allowed = copy(p->allowed, &failed);
  c.fix = copy(p->fix, &failed);
  if (failed) {
    problem_free(&c);
    c = (struct problem){.class = p->class, .warning = p->warning, .check = lost_check, .name = lost_name};
  }
  ps->items[ps->n++] = c;
}

size_t problems_errors(const struct problems *ps) {
  size_t n = 0;
  for (size_t i = 0; i < ps->n; i++) n += !ps->items[i].warning;
  return n;
}

/* What can pass by itself is the least grave, what no restart can mend the gravest. */
static const struct {
  int code;
  int gravity;
  bool can_pass;
} classes[] = {
    [PROBLEM_CONFIG] = {EXIT_CONFIG, 6, false},
    [PROBLEM_USER] = {EXIT_NO_PERMISSION, 5, false},
    [PROBLEM_PERMISSION] = {EXIT_CANNOT_CREATE, 4, false},
    [PROBLEM_CREATE] = {EXIT_CANNOT_CREATE, 3, true},
    [PROBLEM_RESOURCES] = {EXIT_RESOURCES, 2, false},
    [PROBLEM_DISK] = {EXIT_RESOURCES, 1, true},
};

int problems_exit_code(const struct problems *ps) {
  int gravest = 0;
  int code = 0;
  for (size_t i = 0; i < ps->n; i++) {
    if (ps->items[i].warning || classes[ps->items[i].class].gravity <= gravest) continue;
    gravest = classes[ps->items[i].class].gravity;
    code = classes[ps->items[i].class].code;
  }
  return code;
}

bool problems_can_pass(const struct problems *ps) {
  for (size_t i = 0; i < ps->n; i++)
    if (!ps->items[i].warning && !classes[ps->items[i].class].can_pass) return false;
  return true;
}

void problems_json(const struct problems *ps, bool warnings, struct json *j, const char *key) {
  json_array(j, key);
  for (size_t i = 0; i < ps->n; i++) {
    const struct problem *p = &ps->items[i];
    if (p->warning != warnings) continue;
    json_object(j, NULL);
    json_str(j, "check", p->check);
    json_str(j, "name", p->name);
    json_str(j, "value", p->value);
    json_str(j, "source", p->source);
    json_str(j, "allowed", p->allowed);
    json_str(j, "fix", p->fix);
    json_object_end(j);
  }
  json_array_end(j);
}

static void one_line(struct buf *b, const char *s) {
  for (; *s; s++) buf_char(b, (unsigned char)*s < 0x20 || *s == 0x7f ? ' ' : *s);
}

/* A value of the flow file is its JSON: a text has its quotes already. */
static void quoted(struct buf *b, const char *value) {
  size_t n = strlen(value);
  bool done = n >= 2 && value[0] == '"' && value[n - 1] == '"';
  if (!done) buf_char(b, '"');
  one_line(b, value);
  if (!done) buf_char(b, '"');
}

void problem_text(const struct problem *p, struct buf *b) {
  one_line(b, p->name ? p->name : p->check ? p->check : "?");
  if (p->value) {
    buf_str(b, ": value ");
    quoted(b, p->value);
    if (p->source) {
      buf_str(b, " from ");
      one_line(b, p->source);
    }
  } else if (p->source && strcmp(p->source, "nowhere") != 0) {
    buf_str(b, ": from ");
    one_line(b, p->source);
  } else if (p->source) {
    buf_str(b, ": not set");
  }
  if (p->allowed) {
    buf_str(b, ": expected ");
    one_line(b, p->allowed);
  }
  if (p->fix) {
    buf_str(b, "; ");
    one_line(b, p->fix);
  }
}

void problems_free(struct problems *ps) {
  for (size_t i = 0; i < ps->n; i++) problem_free(&ps->items[i]);
  free(ps->items);
  *ps = (struct problems){0};
}
