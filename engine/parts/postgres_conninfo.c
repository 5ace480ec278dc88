/* The connection string, taken apart so that libpq never looks up a name itself: it would block in getaddrinfo. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "parts/postgres.h"

enum { OPTIONS_MAX = 64 };

const char *pg_conninfo_get(const struct pg_conninfo *c, const char *key) {
  for (PQconninfoOption *o = c->options; o && o->keyword; o++)
    if (strcmp(o->keyword, key) == 0) return o->val && *o->val ? o->val : NULL;
  return NULL;
}

void pg_conninfo_free(struct pg_conninfo *c) {
  PQconninfoFree(c->options);
  for (size_t i = 0; i < c->n; i++) {
    free(c->targets[i].host);
    free(c->targets[i].addr);
    free(c->targets[i].port);
  }
  *c = (struct pg_conninfo){0};
}

/* libpq quotes pieces of the text in its complaints, the password perhaps. */
static void complain(const char *why, char *msg, size_t size) {
  const char *first = strchr(why, '"'), *last = strrchr(why, '"');
  size_t n = strcspn(why, "\n");
  if (first && (size_t)(first - why) < n) n = (size_t)(first - why);
  const char *rest = first && last > first ? last + 1 : "";
  snprintf(msg, size,
           "the connection string cannot be read (%.*s%s%.*s); expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE, "
           "with special characters of the password as %%XX, or host=HOST dbname=DATABASE user=USER password=PASSWORD",
           (int)n, why, first ? "\"***\"" : "", (int)strcspn(rest, "\n"), rest);
}

static size_t count(const char *list) {
  size_t n = 1;
  for (; *list; list++) n += *list == ',';
  return n;
}

/* The i-th piece of a comma list; the only one serves for all. NULL when it is empty or there is no list. */
static char *piece(const char *list, size_t i) {
  if (!list) return NULL;
  if (count(list) == 1) i = 0;
  while (i--) list = strchr(list, ',') + 1;
  size_t n = strcspn(list, ",");
  return n ? strndup(list, n) : NULL;
}

static const char *given(const struct pg_conninfo *c, const char *key, const char *variable) {
  const char *value = pg_conninfo_get(c, key);
  if (!value) value = getenv(variable);
  return value && *value ? value : NULL;
}

/* Of a list such as "5432,5433"; an empty piece stands for the default. */
static bool ports_good(const char *list) {
  for (const char *p = list; *p;) {
    size_t n = strcspn(p, ","), digits = strspn(p, "0123456789");
    long port = strtol(p, NULL, 10);
    if (n && (digits != n || n > 5 || port < 1 || port > 65535)) return false;
    p += n + (p[n] == ',');
  }
  return true;
}

const char *pg_conninfo_unfit_file(const struct pg_conninfo *c, char *msg, size_t size) {
  static const struct {
    const char *key, *variable;
  } files[] = {{"sslrootcert", "PGSSLROOTCERT"}, {"sslcert", "PGSSLCERT"}, {"sslcrl", "PGSSLCRL"}};
  struct stat st;
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    const char *path = given(c, files[i].key, files[i].variable);
    if (!path || stat(path, &st) || S_ISREG(st.st_mode)) continue;
    snprintf(msg, size, "%s: %.200s is no file", files[i].key, path);
    return msg;
  }
  return NULL;
}

int pg_conninfo_parse(struct pg_conninfo *c, const char *text, char *msg, size_t size) {
  char *why = NULL;
  struct pg_conninfo new = {.options = PQconninfoParse(text, &why)};
  if (!new.options) {
    complain(why ? why : "no memory", msg, size);
    PQfreemem(why);
    return -1;
  }
  PQfreemem(why);
  const char *host = given(&new, "host", "PGHOST"), *addr = given(&new, "hostaddr", "PGHOSTADDR");
  const char *port = given(&new, "port", "PGPORT");
  /* an address from the environment belongs to the host from there */
  if (pg_conninfo_get(&new, "host") && !pg_conninfo_get(&new, "hostaddr")) addr = NULL;
  size_t n = addr ? count(addr) : host ? count(host) : 1;
  if (pg_conninfo_get(&new, "service"))
    snprintf(msg, size, "service= is not supported in a connection string of tend: give host, port and dbname");
  else if (n > PG_TARGETS_MAX)
    snprintf(msg, size, "the connection string names %zu hosts; at most %d are supported", n, PG_TARGETS_MAX);
  else if (port && !ports_good(port))
    snprintf(msg, size, "the connection string's port is none: expected a number from 1 to 65535");
  else if ((addr && host && count(host) != n) || (port && count(port) != 1 && count(port) != n))
    snprintf(msg, size, "the connection string has lists of host, hostaddr and port of different lengths");
  else
    new.n = n;
  if (!new.n) {
    pg_conninfo_free(&new);
    return -1;
  }
  for (size_t i = 0; i < n; i++) new.targets[i] = (struct pg_target){piece(host, i), piece(addr, i), piece(port, i)};
  *c = new;
  return 0;
}

const char *pg_target_name(const struct pg_target *t, char *buf, size_t size) {
  const char *name = t->host ? t->host : t->addr, *port = t->port ? t->port : "5432";
  if (!name)
    snprintf(buf, size, "the local socket, port %s", port);
  else if (*name == '/' || *name == '@')
    snprintf(buf, size, "%s/.s.PGSQL.%s", name, port);
  else
    snprintf(buf, size, strchr(name, ':') ? "[%s]:%s" : "%s:%s", name, port);
  return buf;
}

PGconn *pg_conninfo_connect(const struct pg_conninfo *c, const struct pg_target *t, const char *address) {
  const char *keys[OPTIONS_MAX], *values[OPTIONS_MAX];
  size_t n = 0;
  const struct { const char *key, *value; } ours[] = {{"host", t->host}, {"hostaddr", address}, {"port", t->port}};
  const struct {
    const char *key, *value;
  } defaults[] = {
      {"fallback_application_name", "tend"},
      {"client_encoding", "UTF8"},
      {"gssencmode", "disable"}, /* Kerberos does blocking network I/O of its own */
  };
  for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) {
    if (pg_conninfo_get(c, defaults[i].key)) continue;
    keys[n] = defaults[i].key;
    values[n++] = defaults[i].value;
  }
  for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
    if (!ours[i].value) continue;
    keys[n] = ours[i].key;
    values[n++] = ours[i].value;
  }
  for (PQconninfoOption *o = c->options; o->keyword && n < OPTIONS_MAX - 1; o++) {
    if (!o->val || strcmp(o->keyword, "host") == 0 || strcmp(o->keyword, "hostaddr") == 0 ||
        strcmp(o->keyword, "port") == 0)
      continue;
    keys[n] = o->keyword;
    values[n++] = o->val;
  }
  keys[n] = values[n] = NULL;
  return PQconnectStartParams(keys, values, 0);
}
