/* The commands that talk to a running engine: `tend status`, `tend restart main` and so on, by the table of operations
 * (core/operation); one request over the control socket, text for people or JSON for programs.
 *
 * Exit: 0 done (health: healthy or degraded), 1 the engine answered no, 64 wrong use or several engines, 69 none is
 * reachable.
 */
#ifndef TEND_CLIENT_CLIENT_H
#define TEND_CLIENT_CLIENT_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/exits.h"
#include "base/json.h"
#include "base/limits.h"
#include "core/operation.h"

enum { CLIENT_OK = EXIT_OK, CLIENT_NO = EXIT_FAILED, CLIENT_USAGE = EXIT_USAGE, CLIENT_UNREACHABLE = EXIT_DEPENDENCY };

/* argv[0] is the command's name. Returns the exit code. */
int client_main(int argc, char **argv);
/* `tend run --export-report FILE` and its kin: the report of the running engine into a file; NULLs: none given. */
int client_export_report(const char *file, const char *state_dir, const char *flow);

/* Commands that scripts of the running engine have added: fn is called for each, where one engine is reachable (by
 * --state-dir and --flow-name among argv); how many. op is valid during the call. */
typedef void client_script_fn(void *arg, const struct operation *op);
int client_scripts(client_script_fn *fn, void *arg, int argc, char **argv);
/* Runs the one that is named argv[0]; its exit code, -1 where there is none. */
int client_script_main(int argc, char **argv);

/* What the engine that is meant has of a kind: "process", "check" (dependencies too), "remedy". fn for each name. */
typedef void client_name_fn(void *arg, const char *name);
void client_names(const char *kind, client_name_fn *fn, void *arg, int argc, char **argv);

/* A setting as the engine that runs here uses it: {"flow", "value", "origin"}; NULL where none runs, or it does not
 * know the setting. The caller's to cJSON_Delete. */
cJSON *client_setting(const char *state_dir, const char *flow, const char *name);

/* --- finding the engine ------------------------------------------------------------------------------------------ */

struct engine_place {
  char flow[LIMIT_NAME];
  char path[PATH_MAX]; /* its folder */
  char pid[16];        /* tend's, as its lock file tells it; "?" */
  int fd;              /* connected */
};

/* Connects to the one engine that is meant. state_dir, flow: as given, NULL: not. CLIENT_OK; else the exit code, after
 * the reason was told on standard error, where `tell` says so. */
int find_engine(const char *state_dir, const char *flow, bool tell, struct engine_place *out);

/* --- asking ------------------------------------------------------------------------------------------------------ */

/* A part of a stream; false: enough. */
typedef bool call_part_fn(void *arg, const cJSON *part);

struct call {
  const char *op;
  const char *args;      /* JSON object, NULL: none */
  int64_t patience_ns;   /* for each frame; TIME_NEVER: without end */
  call_part_fn *on_part; /* NULL: none are expected */
  void *arg;
  char *code; /* of a refusal: "denied"; 32 bytes; may be NULL */
};

/* 0: *value is the answer (cJSON_Delete it). -EREMOTEIO: the engine said no, err says what. -ECONNRESET: the connection
 * ended before the answer. -ETIMEDOUT, -EPROTO, -EINTR (on_part had enough). */
int call_engine(int fd, const struct call *call, cJSON **value, struct err *err);

/* --- showing ----------------------------------------------------------------------------------------------------- */

/* Text for people, appended. now_real_ns: for "2 m ago". */
void show_status(const cJSON *v, int64_t now_real_ns, struct buf *out);
void show_why(const cJSON *v, int64_t now_real_ns, struct buf *out);
void show_check(const cJSON *v, int64_t now_real_ns, struct buf *out);
void show_health(const cJSON *v, int64_t now_real_ns, struct buf *out);
void show_metrics(const cJSON *v, int64_t now_real_ns, struct buf *out);
void show_level(const cJSON *v, int64_t now_real_ns, struct buf *out);
void show_text(const cJSON *v, int64_t now_real_ns, struct buf *out);    /* a text as it is */
void show_message(const cJSON *v, int64_t now_real_ns, struct buf *out); /* of a command that changes something */
/* One event as the log's readable format shows it, and a newline. */
void show_event(const cJSON *event, bool colour, struct buf *out);
/* "12 s", "3 m 20 s", "2 h 5 m", "3 d 4 h". */
void show_duration(int64_t ns, struct buf *out);

#endif
