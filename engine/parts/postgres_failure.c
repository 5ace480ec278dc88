/* What went wrong, as one stable word, the server's code and one line for people. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "parts/postgres.h"

const char *pg_reason_of_state(const char *s) {
  static const struct {
    const char *prefix, *reason;
  } known[] = {
      {"28", "authentication"}, /* wrong password, no such role, no pg_hba entry */
      {"3D000", "no_database"}, {"53300", "too_many_clients"},
      {"57P03", "starting_up"},                       /* shutting down, too */
      {"25006", "read_only"},   {"57014", "timeout"}, /* the server's statement_timeout */
      {"57P", "closed"},        {"08", "closed"},
      {"42501", "permission"},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strncmp(s, known[i].prefix, strlen(known[i].prefix)) == 0) return known[i].reason;
  return "query";
}

/* What libpq says itself has no code; its texts are English, for tend never sets a locale. */
static const char *reason_of_text(const char *text) {
  static const struct {
    const char *piece, *reason;
  } known[] = {
      {"certificate file", "tls"}, /* also one that is not there */
      {"private key", "tls"},
      {"Connection refused", "refused"},
      {"No such file or directory", "refused"}, /* a Unix socket that is not there */
      {"Connection reset", "closed"},
      {"server closed the connection", "closed"},
      {"Permission denied", "permission"},
      {"no password supplied", "authentication"},
      {"password authentication", "authentication"},
      {"authentication method", "authentication"},
      {"SCRAM", "authentication"},
      {"SSL", "tls"},
      {"certificate", "tls"},
      {"session is read-only", "read_only"},
      {"server is in hot standby", "read_only"},
      {"timed out", "timeout"},
      {"timeout expired", "timeout"},
      {"unreachable", "unreachable"},
      {"No route to host", "unreachable"},
      {"Cannot assign requested address", "unreachable"},
      {"out of memory", "memory"},
      {"could not translate host name", "dns"},
      {"invalid integer value", "config"},
      {"invalid port number", "config"},
      {"invalid sslmode value", "config"},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strstr(text, known[i].piece)) return known[i].reason;
  return "closed";
}

/* With verbosity VERBOSE the server's line is `FATAL:  28P01: message`, whatever language the words are in. */
static const char *find_state(const char *text, char state[6]) {
  for (const char *p = text; (p = strstr(p, ":  ")); p++) {
    size_t i = 0;
    while (i < 5 && (isdigit((unsigned char)p[3 + i]) || isupper((unsigned char)p[3 + i]))) i++;
    if (i < 5 || strncmp(p + 8, ": ", 2) != 0) continue;
    memcpy(state, p + 3, 5);
    state[5] = 0;
    return p + 10;
  }
  return NULL;
}

void pg_failure_of_connection(struct pg_failure *f, const char *text, const char *peer) {
  char state[6] = "";
  const char *line = find_state(text, state);
  f->reason = line ? pg_reason_of_state(state) : reason_of_text(text);
  memcpy(f->sqlstate, state, sizeof state);
  if (!line) {
    const char *failed = strstr(text, " failed: ");
    line = strncmp(text, "connection to server", 20) == 0 && failed ? failed + 9 : text;
  }
  int n = (int)strcspn(line, "\n");
  if (!n)
    snprintf(f->message, sizeof f->message, "%s: the connection failed", peer);
  else if (*state)
    snprintf(f->message, sizeof f->message, "%s: %.*s (SQLSTATE %s)", peer, n, line, state);
  else
    snprintf(f->message, sizeof f->message, "%s: %.*s", peer, n, line);
}

void pg_failure_of_result(struct pg_failure *f, const PGresult *r) {
  const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
  const char *message = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
  const char *detail = PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL);
  if (!state || !message) { /* libpq's own: the connection is lost */
    const char *text = PQresultErrorMessage(r);
    f->reason = reason_of_text(text);
    f->sqlstate[0] = 0;
    snprintf(f->message, sizeof f->message, "%.*s", (int)strcspn(text, "\n"), text);
    return;
  }
  f->reason = pg_reason_of_state(state);
  snprintf(f->sqlstate, sizeof f->sqlstate, "%s", state);
  snprintf(f->message, sizeof f->message, "%s%s%s", message, detail ? ": " : "", detail ? detail : "");
}
