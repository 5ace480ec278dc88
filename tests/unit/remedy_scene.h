/* Two rules for two checks, and what they do, input by input, as one line of text: begin[0] hold[0] step[0.0]. */
#ifndef TESTS_REMEDY_SCENE_H
#define TESTS_REMEDY_SCENE_H

#include "fixture.h"

#include "base/buf.h"
#include "base/clock.h"
#include "core/remedy.h"
#include "core/restart.h"

#define S(n) ((int64_t)(n)*NS_PER_S)

/* Two checks. Rule 0: check 0 after 3 failures, steps a b, escalation restart, fail; rule 1: both checks. */
static const uint16_t checks_0[] = {0}, checks_1[] = {0, 1};
static struct remedy_step steps_0[] = {
    {S(10), 0, 0, false}, {S(10), S(2), 0, false}, {S(30), 0, 0, false}, {S(5), 0, 0, true}};
static struct remedy_step steps_1[] = {{S(10), 0, 0, false}};
static struct remedy_rule rules[2];
static struct remedy_config config;

struct trace {
  struct remedy *r;
  int64_t now;
  struct buf text;
};

static UNUSED void begin(struct trace *t) {
  rules[0] = (struct remedy_rule){.check = checks_0,
                                  .checks = 1,
                                  .failures = 3,
                                  .step = steps_0,
                                  .steps = 2,
                                  .escalations = 2,
                                  .cooldown_ns = S(60),
                                  .max = 2,
                                  .window_ns = S(3600)};
  rules[1] = (struct remedy_rule){.check = checks_1,
                                  .checks = 2,
                                  .failures = 4,
                                  .step = steps_1,
                                  .steps = 1,
                                  .cooldown_ns = S(5),
                                  .max = 1,
                                  .window_ns = S(100)};
  config = (struct remedy_config){.rule = rules, .rules = 2, .checks = 2, .answer_ns = S(30), .watch_ns = S(50)};
  *t = (struct trace){0};
}

static UNUSED void end(struct trace *t) {
  remedy_free(t->r);
  buf_free(&t->text);
}

static void print(struct buf *b, const struct remedy_action *a) {
  if (b->len) buf_char(b, ' ');
  switch (a->kind) {
    case REMEDY_ACT_BEGIN:
      buf_fmt(b, "begin[%u%s%s%s]", a->rule, a->over_budget ? " over" : "", a->by_operator ? " operator" : "",
              a->dry ? " dry" : "");
      break;
    case REMEDY_ACT_STEP:
      buf_fmt(b, "step[%u.%u]", a->rule, a->step);
      break;
    case REMEDY_ACT_CANCEL:
      buf_fmt(b, "cancel[%u.%u]", a->rule, a->step);
      break;
    case REMEDY_ACT_ASK:
      buf_fmt(b, "ask[%u]", a->check);
      break;
    case REMEDY_ACT_HOLD:
      buf_fmt(b, "%s[%u]", a->on ? "hold" : "release", a->check);
      break;
    case REMEDY_ACT_END:
      buf_fmt(b, "end[%u %s %u %llds]", a->rule, remedy_result_name(a->result), a->steps,
              (long long)(a->duration_ns / NS_PER_S));
      break;
    case REMEDY_ACT_RECOVERED:
      buf_fmt(b, "recovered[%u by %u.%u %u %llds]", a->check, a->rule, a->step, a->steps,
              (long long)(a->duration_ns / NS_PER_S));
      break;
    case REMEDY_ACT_GAVE_UP:
      buf_fmt(b, "gave_up[%u %u]", a->rule, a->check);
      break;
    case REMEDY_ACT_MAINTENANCE:
      buf_fmt(b, "maintenance[%s]", a->on ? "on" : "off");
      break;
  }
}

static const char *feed(struct trace *t, const struct remedy_input *in) {
  if (!t->r) {
    t->r = remedy_new(&config);
    assert_non_null(t->r);
    struct remedy_out none;
    remedy_feed(t->r, &(struct remedy_input){.kind = REMEDY_IN_ACTIVE, .on = true}, t->now, &none);
  }
  struct remedy_out out;
  remedy_feed(t->r, in, t->now, &out);
  buf_clear(&t->text);
  for (unsigned i = 0; i < out.n; i++) print(&t->text, &out.action[i]);
  assert_true(remedy_due_ns(t->r) > t->now); /* no deadline is left behind */
  return buf_cstr(&t->text);
}

#define WANT(t, text, ...) assert_string_equal(feed(t, &(struct remedy_input){__VA_ARGS__}), text)
#define FAILING(c, n) .kind = REMEDY_IN_FAILING, .check = (c), .failures = (n)
#define GOOD(c) .kind = REMEDY_IN_GOOD, .check = (c)
#define DONE(n, what) .kind = REMEDY_IN_DONE, .run = (n), .outcome = (what)
#define ANSWER(n, what) .kind = REMEDY_IN_ANSWER, .run = (n), .answer = (what)
#define TICK .kind = REMEDY_IN_TICK
#define ASK(n, k) .kind = REMEDY_IN_ASK, .rule = (n), .step = (k)

/* Lets the time of the next deadline come. */
static UNUSED const char *tick(struct trace *t) {
  t->now = remedy_due_ns(t->r);
  return feed(t, &(struct remedy_input){TICK});
}

#endif
