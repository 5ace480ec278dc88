/* New connection strings are tried before anything depends on them: a password that was rotated wrongly is found while
 * the old one still works. */
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "supervisor/pools.h"
#include "supervisor/reload_impl.h"

#define TRY_NS (10 * NS_PER_S)

static bool find(const struct settings *s, const char *name, struct setting_database *out) {
  for (size_t i = 0; settings_database(s, i, out); i++)
    if (STR_EQ(out->name, name)) return true;
  return false;
}

static bool is_new(const struct reload *r, const struct setting_database *db) {
  struct setting_database was;
  return db->connection && find(r->now->settings, db->name, &was) && was.connection &&
         !STR_EQ(was.connection, db->connection);
}

static void refuse(struct reload *r, const struct probe_result *result) {
  auto_buf struct buf fix = {0};
  buf_fmt(&fix,
          "the new value was tried and does not work (%s%s%s); the old one stays in use, the new one is tried again",
          result->reason, *result->detail ? ": " : "", result->detail);
  struct setting_view v = {0};
  settings_view(r->next->settings, r->trying.setting, &v);
  struct problems problems = {0};
  problems_add(&problems, &(struct problem){.check = "configuration",
                                            .name = r->trying.setting,
                                            .value = "***",
                                            .source = v.origin,
                                            .allowed = "a connection string that works",
                                            .fix = buf_cstr(&fix)});
  reload_refuse(r, &problems);
  problems_free(&problems);
  reload_stop_trying(r);
  r->try_again = true;
}

static void next(struct reload *r);

static void on_tried(void *arg, const struct probe_result *result) {
  struct reload *r = arg;
  r->probe = NULL;
  if (result->status == PROBE_OK || result->status == PROBE_WARN)
    next(r);
  else
    refuse(r, result);
}

static void next(struct reload *r) {
  struct setting_database *db = &r->trying;
  while (settings_database(r->next->settings, r->tried, db)) {
    r->tried++;
    if (!is_new(r, db)) continue;
    auto_json cJSON *params = cJSON_CreateObject();
    struct probe_result failed = {.status = PROBE_UNKNOWN, .reason = "exec"};
    struct err err = ERR_INIT;
    cJSON_AddStringToObject(params, "setting", db->setting);
    int64_t timeout = db->timeout_ns < TRY_NS ? db->timeout_ns : TRY_NS;
    r->probe = probe_start(&r->try_env, "postgres", params, clock_mono_ns() + timeout, on_tried, r, &err);
    if (r->probe) return;
    str_copy(failed.detail, sizeof failed.detail, err.msg);
    refuse(r, &failed);
    return;
  }
  reload_stop_trying(r);
  reload_take(r);
}

void reload_try(struct reload *r) {
  r->tried = 0;
  r->try_env = *r->s->o.probes;
  r->try_env.settings = r->next->settings;
  r->try_env.looker = NULL;
  probe_env_init(&r->try_env);
  next(r);
}

void reload_stop_trying(struct reload *r) {
  if (r->probe) probe_cancel(r->probe);
  r->probe = NULL;
  r->try_env.settings = r->s->o.settings; /* a pool may ask later */
}

void reload_reset_pools(const struct settings *old, const struct settings *now) {
  struct setting_database was, is;
  for (size_t i = 0; settings_database(old, i, &was); i++)
    if (was.connection && find(now, was.name, &is) && is.connection && !STR_EQ(is.connection, was.connection))
      pools_reset(old, was.name);
}
