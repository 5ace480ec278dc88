/* Probes and the part postgres without an engine around them, for tests:
 *   probe KIND PARAMS TIMEOUT_MS          one attempt
 *   probe sql CONNINFO TIMEOUT_MS SQL...  queries on one session, one after the other; $1 is "it's", $2 is null
 * Prints one JSON object a line. A 10 ms timer ticks in the same loop; `asleep_ms` is the longest that the loop slept
 * where it should not, between two ticks: what is left of the time when the CPU's, and that of waiting for a CPU, is
 * taken away.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "helper/helper.h"
#include "init/init.h"
#include "loop/part.h"
#include "probes/probe.h"
#include "tend/postgres.h"

static struct probe_env env;
static struct timer *ticker;
static int code, schedstat_fd = -1;
static int64_t started_ns, last_tick_ns, awake_ns, began_waiting_ns, worst_sleep_ns;

/* The time on a CPU and waiting for one, so far. */
static int64_t awake(int64_t *waited_ns) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  char text[128];
  ssize_t n = schedstat_fd >= 0 ? pread(schedstat_fd, text, sizeof text - 1, 0) : 0;
  text[n > 0 ? n : 0] = 0;
  const char *second = strchr(text, ' ');
  *waited_ns = second ? strtoll(second, NULL, 10) : 0;
  return t.tv_sec * NS_PER_S + t.tv_nsec + *waited_ns;
}

static void look(int64_t now) {
  int64_t waited, a = awake(&waited), asleep = now - last_tick_ns - (a - awake_ns) - 10 * NS_PER_MS;
  awake_ns = a;
  if (asleep > worst_sleep_ns) worst_sleep_ns = asleep;
}

static void on_tick(void *arg) {
  (void)arg;
  int64_t now = clock_mono_ns();
  look(now);
  last_tick_ns = now;
  timer_after(ticker, 10 * NS_PER_MS);
}

static void print_line(struct json *j) {
  int64_t now = clock_mono_ns(), waited;
  look(now);
  awake(&waited);
  json_int(j, "ms", (now - started_ns) / NS_PER_MS);
  json_int(j, "waited_ms", (waited - began_waiting_ns) / NS_PER_MS);
  json_int(j, "asleep_ms", worst_sleep_ns / NS_PER_MS);
  json_object_end(j);
  puts(buf_cstr(j->out));
  fflush(stdout);
}

static void on_probe(void *arg, const struct probe_result *r) {
  (void)arg;
  auto_buf struct buf b = {0};
  struct json j = JSON_INIT(&b);
  json_object(&j, NULL);
  json_str(&j, "status", probe_status_name(r->status));
  json_str(&j, "reason", r->reason);
  json_str(&j, "detail", r->detail);
  if (r->data) json_value(&j, "data", r->data);
  print_line(&j);
  loop_stop(env.loop);
}

struct script {
  const struct tend_postgres *pg;
  struct tend_pg_session *session;
  char **sql;
  int64_t timeout_ns;
};

static void next_query(struct script *s);

static void print_error(struct json *j, const struct tend_pg_error *e) {
  json_str(j, "reason", e->reason);
  json_str(j, "sqlstate", e->sqlstate);
  json_str(j, "message", e->message);
  json_bool(j, "closed", e->closed);
}

static void on_query(void *arg, const struct tend_pg_result *r, const struct tend_pg_error *e) {
  struct script *s = arg;
  auto_buf struct buf b = {0};
  struct json j = JSON_INIT(&b);
  json_object(&j, NULL);
  if (e) {
    print_error(&j, e);
  } else {
    json_str(&j, "tag", r->tag);
    json_int(&j, "affected", r->affected);
    json_array(&j, "rows");
    for (int i = 0; i < r->rows; i++) {
      json_object(&j, NULL);
      for (int k = 0; k < r->columns; k++) {
        size_t len;
        const char *v = r->value(r, i, k, &len);
        if (v)
          json_strn(&j, r->name(r, k), v, len);
        else
          json_null(&j, r->name(r, k));
      }
      json_object_end(&j);
    }
    json_array_end(&j);
  }
  print_line(&j);
  next_query(s);
}

static void next_query(struct script *s) {
  static const char *const texts[] = {"it's", NULL};
  if (!*s->sql) {
    s->pg->session_close(s->session); /* allowed inside a callback */
    loop_stop(env.loop);
    return;
  }
  const char *sql = *s->sql++;
  struct tend_pg_params params = {.n = strstr(sql, "$2") ? 2 : strstr(sql, "$1") ? 1 : 0, .texts = texts};
  int rc = s->pg->session_query(s->session, sql, &params, clock_mono_ns() + s->timeout_ns, on_query, s);
  if (rc == 0) return;
  printf("{\"refused\": %d}\n", rc);
  s->pg->session_close(s->session);
  loop_stop(env.loop);
}

static void on_open(void *arg, struct tend_pg_session *session, const struct tend_pg_error *e) {
  struct script *s = arg;
  auto_buf struct buf b = {0};
  struct json j = JSON_INIT(&b);
  json_object(&j, NULL);
  json_bool(&j, "open", session != NULL);
  if (e) print_error(&j, e);
  print_line(&j);
  if (session)
    next_query(s);
  else
    loop_stop(env.loop);
}

static void fail(const char *why) {
  fprintf(stderr, "probe: %s\n", why);
  code = 1;
}

struct words {
  int argc;
  char **argv;
};

/* Runs what was asked for; with a channel to init where the kind needs children. */
static int run(int channel_fd, int log_fd, void *arg) {
  (void)log_fd;
  char **argv = ((struct words *)arg)->argv;
  struct err err = ERR_INIT;
  int64_t ms;
  if (((struct words *)arg)->argc < 4 || str_int(argv[3], 0, 1000000, &ms)) {
    fprintf(stderr, "usage: probe KIND PARAMS TIMEOUT_MS | probe sql CONNINFO TIMEOUT_MS SQL...\n");
    return 64;
  }
  const char *parts = getenv("TEND_TEST_PARTS");
  part_set_dir(parts ? parts : "build/parts");
  env.loop = loop_new();
  if (channel_fd >= 0) env.children = children_new(env.loop, channel_fd);
  probe_env_init(&env);
  ticker = timer_new(env.loop, on_tick, NULL);
  schedstat_fd = open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);
  awake_ns = awake(&began_waiting_ns);
  last_tick_ns = started_ns = clock_mono_ns();
  timer_after(ticker, 10 * NS_PER_MS);
  struct script s = {.sql = argv + 4, .timeout_ns = ms * NS_PER_MS};
  auto_json cJSON *params = NULL;
  if (STR_EQ(argv[1], "sql")) {
    const struct tend_part *part = part_load("postgres", &err);
    char msg[512];
    if (!part) {
      fail(err.msg);
    } else {
      s.pg = part->ops;
      s.session = s.pg->session_open(&env.host, argv[2], started_ns + ms * NS_PER_MS, on_open, &s, msg, sizeof msg);
      if (!s.session) fail(msg);
    }
  } else if (json_parse(argv[2], strlen(argv[2]), "PARAMS", &params, &err) ||
             !probe_start(&env, argv[1], params, started_ns + ms * NS_PER_MS, on_probe, NULL, &err)) {
    fail(err.msg);
  }
  if (!code) loop_run(env.loop);
  timer_free(ticker);
  probe_env_close(&env);
  children_free(env.children);
  loop_free(env.loop);
  return code;
}

int main(int argc, char **argv) {
  static const char *const with_children[] = {"command", "file", "directory", "unix", "process", "resource", "usage"};
  struct words words = {argc, argv};
  if (argc > 1 && STR_EQ(argv[1], "helper")) return helper_main(argc - 1, argv + 1); /* as "tend" runs itself */
  for (size_t i = 0; argc > 1 && i < ARRAY_LEN(with_children); i++)
    if (STR_EQ(argv[1], with_children[i])) return init_run(&(struct init_options){.engine_is_main = true}, run, &words);
  return run(-1, -1, &words);
}
