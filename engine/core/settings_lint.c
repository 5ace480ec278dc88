/* Settings that are valid one by one and cannot work together. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/settings_store.h"

enum { POD_GRACE_S = 30, DOCKER_GRACE_S = 10, EXPONENT_MAX = 5 };

static void warn(const struct settings *s, struct problems *problems, size_t id, const char *allowed, const char *fix) {
  const struct setting_item *it = &s->items[id];
  const char *origin = it->given[it->layer].origin;
  problems_add(problems, &(struct problem){.class = PROBLEM_CONFIG,
                                           .warning = true,
                                           .check = "configuration",
                                           .name = it->def.name,
                                           .value = setting_shown(it),
                                           .source = origin ? origin : "default",
                                           .allowed = allowed,
                                           .fix = fix});
}

/* It must be "at least" or "less than" another one. */
static void warn_beside(const struct settings *s, struct problems *problems, size_t id, const char *relation,
                        enum setting_id other, const char *fix) {
  char time[32];
  auto_buf struct buf allowed = {0};
  buf_fmt(&allowed, "%s %s (%s)", relation, s->items[other].def.name,
          str_format_duration(settings_ns(s, other), time, sizeof time));
  warn(s, problems, id, buf_cstr(&allowed), fix);
}

/* The time from the first of n restarts to the failure after the last, when each run fails at once. */
static int64_t delays_ns(const struct settings *s, int64_t n) {
  int64_t base = settings_ns(s, SET_RESTART_DELAY_SECONDS);
  int64_t most = settings_ns(s, SET_MAX_RESTART_DELAY_SECONDS);
  int64_t sum = 0;
  for (int64_t i = 1; i < n; i++) { /* the first restart of the window has no delay inside it */
    int64_t delay = base;
    if (settings_bool(s, SET_RESTART_EXPONENTIAL_BACKOFF)) delay = base << (i < EXPONENT_MAX ? i : EXPONENT_MAX);
    sum += delay < most ? delay : most;
  }
  return sum;
}

static void lint_restart(const struct settings *s, struct problems *problems) {
  char a[32];
  char b[32];
  auto_buf struct buf text = {0};
  int64_t base = settings_ns(s, SET_RESTART_DELAY_SECONDS);
  int64_t most = settings_ns(s, SET_MAX_RESTART_DELAY_SECONDS);
  int64_t window = settings_ns(s, SET_RESTART_WINDOW_MINUTES);
  int64_t attempts = settings_int(s, SET_MAX_RESTART_ATTEMPTS);
  if (most < base)
    warn_beside(s, problems, SET_MAX_RESTART_DELAY_SECONDS, "at least", SET_RESTART_DELAY_SECONDS,
                "every delay is this maximum; raise it or lower the other");
  if (attempts > 0 && delays_ns(s, attempts) >= window) {
    buf_fmt(&text,
            "more than %s: the delays of %lld restarts last that long, so a window of %s never holds so many and no "
            "failure is ever final",
            str_format_duration(delays_ns(s, attempts), a, sizeof a), (long long)attempts,
            str_format_duration(window, b, sizeof b));
    warn(s, problems, SET_RESTART_WINDOW_MINUTES, buf_cstr(&text),
         "raise it, or lower CONTAINER_MAX_RESTART_ATTEMPTS or the delays");
  }
  if (attempts == 0 && base == 0) {
    warn(s, problems, SET_RESTART_DELAY_SECONDS,
         "more than 0s where restarts have no limit (CONTAINER_MAX_RESTART_ATTEMPTS=0)",
         "a process that fails at once is restarted without a pause; set a delay");
  }
  if (settings_choice(s, SET_EXECUTION_MODE) == 0 && settings_ns(s, SET_EXECUTION_INTERVAL) == 0)
    warn(s, problems, SET_EXECUTION_INTERVAL, "more than 0s in execution mode daemon",
         "a short command runs again without a pause; set an interval, or mode server for one that never ends");
}

static void lint_times(const struct settings *s, struct problems *problems) {
  if (settings_given(s, SET_HEALTH_CHECK_TIMEOUT_SECONDS) &&
      settings_ns(s, SET_HEALTH_CHECK_TIMEOUT_SECONDS) > settings_ns(s, SET_HEALTH_CHECK_INTERVAL_SECONDS))
    warn_beside(s, problems, SET_HEALTH_CHECK_TIMEOUT_SECONDS, "at most", SET_HEALTH_CHECK_INTERVAL_SECONDS,
                "a check is given up at its interval; lower it or raise the interval");
  if (settings_ns(s, SET_DEPENDENCY_RETRY_SECONDS) >= settings_ns(s, SET_DEPENDENCY_TIMEOUT_SECONDS))
    warn_beside(s, problems, SET_DEPENDENCY_RETRY_SECONDS, "less than", SET_DEPENDENCY_TIMEOUT_SECONDS,
                "there is one attempt and no second; lower it or raise the timeout");
  int64_t shutdown = settings_ns(s, SET_SHUTDOWN_TIMEOUT_SECONDS);
  if (settings_ns(s, SET_SHUTDOWN_DRAIN_SECONDS) >= shutdown)
    warn_beside(s, problems, SET_SHUTDOWN_DRAIN_SECONDS, "less than", SET_SHUTDOWN_TIMEOUT_SECONDS,
                "no time is left to stop in order, processes will be killed; lower it or raise the timeout");
  if (shutdown >= POD_GRACE_S * NS_PER_S)
    warn(s, problems, SET_SHUTDOWN_TIMEOUT_SECONDS, "less than 30s, the grace of a pod that sets none",
         "raise terminationGracePeriodSeconds above it, or the container is killed during its shutdown");
}

static void lint_names(const struct settings *s, struct problems *problems) {
  struct setting_remark remark;
  for (size_t i = 0; settings_remark(s, i, &remark); i++) {
    if (!remark.near) continue;
    problems_add(problems, &(struct problem){.class = PROBLEM_CONFIG,
                                             .warning = true,
                                             .check = "configuration",
                                             .name = remark.name,
                                             .source = "environment",
                                             .allowed = remark.near,
                                             .fix = "correct the name; as it stands it has no effect"});
  }
}

void settings_lint(const struct settings *s, struct problems *problems) {
  lint_restart(s, problems);
  lint_times(s, problems);
  lint_names(s, problems);
  if (settings_int(s, SET_MIN_FREE_DISK_MB) > settings_int(s, SET_LOW_FREE_DISK_MB)) {
    auto_buf struct buf text = {0};
    buf_fmt(&text, "at least CONTAINER_MIN_FREE_DISK_MB (%lld)", (long long)settings_int(s, SET_MIN_FREE_DISK_MB));
    warn(s, problems, SET_LOW_FREE_DISK_MB, buf_cstr(&text), "there is no warning before the failure; raise it");
  }
  if (settings_given(s, SET_DATABASE_SURVEY_HUB_PORT) && !settings_str(s, SET_DATABASE_SURVEY_HUB_HOST))
    warn(s, problems, SET_DATABASE_SURVEY_HUB_PORT, "CONTAINER_DATABASE_SURVEY_HUB_HOST with it",
         "a port alone is checked nowhere; set the host, too");
  for (size_t i = 0; i < s->n; i++) {
    const struct setting_item *it = &s->items[i];
    if (!it->secret || !it->text || strlen(it->text) >= REDACT_MIN) continue;
    warn(s, problems, i, "a secret of at least 6 bytes", "a shorter one cannot be kept out of logs; choose another");
  }
}

bool settings_shutdown_above_docker(const struct settings *s) {
  return settings_ns(s, SET_SHUTDOWN_TIMEOUT_SECONDS) > DOCKER_GRACE_S * NS_PER_S;
}
