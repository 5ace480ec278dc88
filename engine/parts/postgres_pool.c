/* Pools of connections, one for each connection string, made when first asked. They live as long as the part. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts/postgres.h"

#define NS_PER_S INT64_C(1000000000)
#define RESTED_NS NS_PER_S /* idle for longer: asked before it is lent */
#define CHECK_TIMEOUT_NS (2 * NS_PER_S)
#define CLEAN_TIMEOUT_NS (5 * NS_PER_S)

enum member_state { MEMBER_OPENING, MEMBER_IDLE, MEMBER_CHECKING, MEMBER_LENT, MEMBER_CLEANING };

struct member {
  struct member *next;
  struct pg_pool *pool;
  struct tend_pg_session *session;
  enum member_state state;
  int64_t opened_ns, idle_ns;
  bool doomed; /* the pool was reset while it was lent */
};

struct pg_pool {
  struct pg_pool *next;
  const struct tend_host *host;
  char *conninfo;
  struct tend_pg_pool_options options;
  struct member *members;
  int n;
  struct tend_pg_checkout *first; /* those that wait for a member, in their order */
  uint64_t opened, dropped;
  bool pumping;
};

struct tend_pg_checkout {
  struct tend_pg_checkout *next;
  struct pg_pool *pool;
  struct member *member; /* NULL: waits for one */
  struct tend_timer *timer;
  int64_t deadline_ns;
  pg_progress_fn *progress;
  tend_pg_open_fn *done;
  void *arg;
};

static struct pg_pool *pools;

static void pump(struct pg_pool *pool);

static int64_t now_ns(const struct pg_pool *pool) { return pool->host->now_ns(pool->host->self); }

/* --- members ----------------------------------------------------------------------------------------------------- */

static struct member *member_of(const struct pg_pool *pool, const struct tend_pg_session *s) {
  for (struct member *m = pool->members; m; m = m->next)
    if (m->session == s) return m;
  return NULL;
}

static void member_remove(struct member *m) {
  struct pg_pool *pool = m->pool;
  for (struct member **at = &pool->members; *at; at = &(*at)->next) {
    if (*at != m) continue;
    *at = m->next;
    pool->n--;
    break;
  }
  free(m);
}

/* Of old age, or because the pool was reset: not counted as dropped. */
static void member_retire(struct member *m) {
  struct tend_pg_session *s = m->session;
  pg_session_set_pool(s, NULL);
  member_remove(m);
  pg_session_close(s);
}

static bool member_old(const struct member *m) {
  return m->doomed || now_ns(m->pool) - m->opened_ns > m->pool->options.max_age_ns;
}

void pg_pool_lost(struct pg_pool *pool, struct tend_pg_session *s) {
  struct member *m = member_of(pool, s);
  if (!m) return;
  pool->dropped++;
  member_remove(m);
  pump(pool);
}

static void on_cleaned(void *arg, const struct tend_pg_result *result, const struct tend_pg_error *error) {
  (void)result;
  struct member *m = arg;
  struct pg_pool *pool = m->pool;
  if (error) {
    pg_session_close(m->session); /* tells pg_pool_lost */
    return;
  }
  m->state = MEMBER_IDLE;
  m->idle_ns = now_ns(pool);
  if (member_old(m)) member_retire(m);
  pump(pool);
}

void pg_session_release(struct tend_pg_session *s) {
  struct pg_pool *pool = s ? pg_session_pool(s) : NULL;
  struct member *m = pool ? member_of(pool, s) : NULL;
  if (!m || !pg_session_usable(s) || pg_session_in_transaction(s)) {
    pg_session_close(s);
    return;
  }
  if (member_old(m)) {
    member_retire(m);
    pump(pool);
    return;
  }
  m->state = MEMBER_CLEANING;
  if (pg_session_query(s, "DISCARD ALL", NULL, now_ns(pool) + CLEAN_TIMEOUT_NS, on_cleaned, m)) pg_session_close(s);
}

/* --- checkouts --------------------------------------------------------------------------------------------------- */

static void checkout_unlink(struct tend_pg_checkout *c) {
  for (struct tend_pg_checkout **at = &c->pool->first; *at; at = &(*at)->next) {
    if (*at != c) continue;
    *at = c->next;
    return;
  }
}

static void checkout_end(struct tend_pg_checkout *c, struct tend_pg_session *session,
                         const struct tend_pg_error *error) {
  tend_pg_open_fn *done = c->done;
  void *arg = c->arg;
  c->pool->host->timer_free(c->timer);
  free(c);
  done(arg, session, error);
}

static void wait_again(struct tend_pg_checkout *c) {
  c->member = NULL;
  c->next = c->pool->first;
  c->pool->first = c;
}

/* It has a connection that is good; who asked hears of it in the next turn. */
static void hand_out(struct tend_pg_checkout *c) {
  c->member->state = MEMBER_LENT;
  c->pool->host->timer_at(c->timer, 0);
}

static void on_timer(void *arg) {
  struct tend_pg_checkout *c = arg;
  struct pg_pool *pool = c->pool;
  char text[160];
  if (c->member) {
    checkout_end(c, c->member->session, NULL);
    return;
  }
  checkout_unlink(c);
  snprintf(text, sizeof text, "no connection of the pool (%d at most) came free in time", pool->options.size);
  checkout_end(c, NULL, &(struct tend_pg_error){.reason = "pool", .message = text, .closed = true});
}

/* One that is no good goes, and the checkout takes the next. */
static void on_checked(void *arg, const struct tend_pg_result *result, const struct tend_pg_error *error) {
  (void)result;
  struct tend_pg_checkout *c = arg;
  struct tend_pg_session *s = c->member->session;
  if (!error) {
    hand_out(c);
    return;
  }
  wait_again(c);
  pg_session_close(s); /* tells pg_pool_lost, which goes on */
}

static void on_progress(void *arg, const char *doing) {
  struct tend_pg_checkout *c = arg;
  if (c->progress) c->progress(c->arg, doing);
}

static void on_open(void *arg, struct tend_pg_session *session, const struct tend_pg_error *error) {
  struct tend_pg_checkout *c = arg;
  struct pg_pool *pool = c->pool;
  struct member *m = c->member;
  if (error) {
    pool->dropped++;
    member_remove(m);
    pump(pool); /* first: who hears of it may make another pool, and this one may go with that */
    checkout_end(c, NULL, error);
    return;
  }
  pool->opened++;
  m->state = MEMBER_LENT;
  m->opened_ns = now_ns(pool);
  pg_session_set_pool(session, pool);
  checkout_end(c, session, NULL);
}

/* False: there is no memory for it; the checkout waits on, for it must not hear of it from inside its own call. */
static bool open_member(struct pg_pool *pool, struct tend_pg_checkout *c) {
  char msg[PG_MESSAGE_MAX];
  struct member *m = calloc(1, sizeof *m);
  if (m) {
    *m = (struct member){.next = pool->members, .pool = pool, .state = MEMBER_OPENING};
    pool->members = m;
    pool->n++;
    c->member = m;
    m->session = pg_session_open(pool->host, pool->conninfo, c->deadline_ns, on_progress, on_open, c, msg, sizeof msg);
    if (m->session) {
      pool->host->timer_at(c->timer, INT64_MAX); /* the session keeps the deadline */
      return true;
    }
    member_remove(m);
  }
  wait_again(c);
  return false;
}

static struct member *idle_member(struct pg_pool *pool) {
  for (struct member *m = pool->members, *next; m; m = next) {
    next = m->next;
    if (m->state != MEMBER_IDLE) continue;
    if (member_old(m)) {
      member_retire(m);
    } else if (!pg_session_usable(m->session)) {
      struct tend_pg_session *s = m->session;
      pool->dropped++;
      pg_session_set_pool(s, NULL);
      member_remove(m);
      pg_session_close(s);
    } else {
      return m;
    }
  }
  return NULL;
}

static void lend(struct pg_pool *pool, struct tend_pg_checkout *c, struct member *m) {
  int64_t now = now_ns(pool), until = now + CHECK_TIMEOUT_NS;
  c->member = m;
  if (now - m->idle_ns < RESTED_NS) {
    hand_out(c);
    return;
  }
  m->state = MEMBER_CHECKING;
  pool->host->timer_at(c->timer, INT64_MAX);
  if (!pg_session_query(m->session, "SELECT 1", NULL, until < c->deadline_ns ? until : c->deadline_ns, on_checked, c))
    return;
  wait_again(c);
  pg_session_close(m->session);
}

/* One that is being cleaned is free sooner than a new one is made. */
static bool soon_free(const struct pg_pool *pool) {
  int cleaned = 0, waiting = 0;
  for (const struct member *m = pool->members; m; m = m->next) cleaned += m->state == MEMBER_CLEANING && !m->doomed;
  for (const struct tend_pg_checkout *c = pool->first; c; c = c->next) waiting++;
  return cleaned >= waiting;
}

/* Gives members to those that wait. */
static void pump(struct pg_pool *pool) {
  if (pool->pumping) return;
  pool->pumping = true;
  while (pool->first) {
    struct member *m = idle_member(pool);
    if (!m && (pool->n >= pool->options.size || soon_free(pool))) break;
    struct tend_pg_checkout *c = pool->first;
    pool->first = c->next;
    c->next = NULL;
    if (m)
      lend(pool, c, m);
    else if (!open_member(pool, c))
      break;
  }
  /* those that wait keep their own deadline, also after a connection that was no good */
  for (struct tend_pg_checkout *c = pool->first; c; c = c->next) pool->host->timer_at(c->timer, c->deadline_ns);
  pool->pumping = false;
}

/* --- the interface ----------------------------------------------------------------------------------------------- */

static struct pg_pool *pool_find(const char *conninfo) {
  struct pg_pool *pool = pools;
  while (pool && strcmp(pool->conninfo, conninfo) != 0) pool = pool->next;
  return pool;
}

/* A pool that nobody uses any more (its password was changed) goes when another is made. */
static void drop_unused(void) {
  for (struct pg_pool **at = &pools, *pool; (pool = *at);) {
    if (pool->first || idle_member(pool) || pool->n) { /* idle_member closes the old ones */
      at = &pool->next;
      continue;
    }
    *at = pool->next;
    free(pool->conninfo);
    free(pool);
  }
}

static struct pg_pool *pool_get(const struct tend_host *host, const char *conninfo) {
  struct pg_pool *pool = pool_find(conninfo);
  if (pool) return pool;
  drop_unused();
  pool = calloc(1, sizeof *pool);
  if (!pool) return NULL;
  *pool = (struct pg_pool){.next = pools, .host = host, .conninfo = strdup(conninfo)};
  if (!pool->conninfo) {
    free(pool);
    return NULL;
  }
  return pools = pool;
}

struct tend_pg_checkout *pg_pool_checkout(const struct tend_host *host, const char *conninfo,
                                          const struct tend_pg_pool_options *options, int64_t deadline_ns,
                                          pg_progress_fn *progress, tend_pg_open_fn *done, void *arg, char *msg,
                                          size_t size) {
  struct pg_conninfo info = {0};
  if (pg_conninfo_parse(&info, conninfo, msg, size)) return NULL;
  pg_conninfo_free(&info);
  struct pg_pool *pool = pool_get(host, conninfo);
  struct tend_pg_checkout *c = pool ? calloc(1, sizeof *c) : NULL;
  if (c) {
    *c = (struct tend_pg_checkout){
        .pool = pool, .deadline_ns = deadline_ns, .progress = progress, .done = done, .arg = arg};
    c->timer = host->timer_new(host->self, on_timer, c);
  }
  if (!c || !c->timer) {
    free(c);
    snprintf(msg, size, "no memory for a connection");
    return NULL;
  }
  pool->options = *options;
  struct tend_pg_checkout **last = &pool->first;
  while (*last) last = &(*last)->next;
  *last = c;
  pump(pool);
  return c;
}

void pg_pool_checkout_cancel(struct tend_pg_checkout *c) {
  if (!c) return;
  struct pg_pool *pool = c->pool;
  struct member *m = c->member;
  if (!m) {
    checkout_unlink(c);
  } else if (m->state == MEMBER_LENT) {
    m->state = MEMBER_IDLE;
    m->idle_ns = now_ns(pool);
    if (member_old(m)) member_retire(m);
  } else if (m->state == MEMBER_OPENING) {
    struct tend_pg_session *s = m->session;
    member_remove(m);
    pg_session_close(s);
  } else {
    pg_session_close(m->session);
  }
  pool->host->timer_free(c->timer);
  free(c);
  pump(pool);
}

int pg_pool_reset(const char *conninfo) {
  struct pg_pool *pool = pool_find(conninfo);
  int n = 0;
  for (struct member *m = pool ? pool->members : NULL, *next; m; m = next) {
    next = m->next;
    n++;
    if (m->state == MEMBER_IDLE)
      member_retire(m);
    else
      m->doomed = true;
  }
  if (pool) pump(pool);
  return n;
}

bool pg_pool_stats(const char *conninfo, struct tend_pg_pool_stats *out) {
  const struct pg_pool *pool = pool_find(conninfo);
  if (!pool) return false;
  *out = (struct tend_pg_pool_stats){.size = pool->options.size, .opened = pool->opened, .dropped = pool->dropped};
  for (const struct member *m = pool->members; m; m = m->next) {
    int64_t age = m->opened_ns ? now_ns(pool) - m->opened_ns : 0;
    if (m->state == MEMBER_IDLE)
      out->idle++;
    else
      out->used++;
    if (age > out->oldest_ns) out->oldest_ns = age;
  }
  for (const struct tend_pg_checkout *c = pool->first; c; c = c->next) out->waiting++;
  return true;
}
