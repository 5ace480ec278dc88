/* The client's side of `tend repl`: chunks from the command line, a file, standard input or a terminal go to the
 * engine, what they print and give comes back. The line editor is given by whoever has loaded it.
 *
 * Exit: 0; 1 a chunk failed; 64 wrong use; 69 no engine, or it went; 130 Ctrl-C in what is no terminal session.
 */
#ifndef TEND_CLIENT_REPL_H
#define TEND_CLIENT_REPL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

struct repl_editor;

enum { REPL_CHUNKS = 32, REPL_HISTORY = 1000 };

struct repl_client_options {
  const char *chunks[REPL_CHUNKS]; /* -e, in order */
  int n_chunks;
  const char *file; /* NULL: none; "-": standard input as one chunk */
  bool read_only, dry, json, offline;
  const char *state_dir, *flow;
  const struct repl_editor *editor; /* NULL: plain lines */
};

/* Speaks to the engine at fd, which is taken. */
int repl_client_run(const struct repl_client_options *o, int fd);

/* --- the line editor --------------------------------------------------------------------------------------------- */

enum repl_line { REPL_LINE, REPL_INTERRUPTED, REPL_END };

struct repl_choice {
  const char *text, *shown;
};

struct repl_choices {
  size_t replaced, n;
  const struct repl_choice *items;
  const char *hint;
};

/* As include/tend/prompt.h, in the client's words. */
struct repl_editor {
  void *self;
  int (*open)(void *self, void (*complete)(void *arg, const char *line, size_t cursor, struct repl_choices *out),
              void *arg, int history);
  enum repl_line (*read)(void *self, const char *text, const char **line);
  void (*remember)(void *self, const char *line);
  void (*close)(void *self);
};

/* --- history ----------------------------------------------------------------------------------------------------- */

/* $TEND_HISTORY, else $XDG_STATE_HOME/tend/repl_history, else $HOME/.local/state/tend/repl_history; empty: none. */
void repl_history_path(struct buf *out);
/* Calls fn for each line of the file, oldest first; a file that has grown to twice the bound is cut. */
void repl_history_load(const char *path, void (*fn)(void *arg, const char *line), void *arg);
/* Appends a line; the file has mode 0600. Lines that begin with a blank, and those with what looks like a secret, are
 * not kept: false. */
bool repl_history_add(const char *path, const char *line);

/* --- the wire ---------------------------------------------------------------------------------------------------- */

/* Frames both ways on one connection, several requests at once. */
struct repl_wire {
  int fd;
  struct buf in;
  cJSON *held; /* a frame that came with Ctrl-C */
  int64_t id;  /* the last one given */
};

/* The id of the request, or a negative errno. */
int64_t repl_wire_send(struct repl_wire *w, const char *op, const char *args, struct err *err);
/* The next frame (cJSON_Delete it). 0; -EINTR: Ctrl-C came (sig_fd, a signalfd; -1: none); -ETIMEDOUT, -ECONNRESET,
 * -EPROTO with err. */
int repl_wire_next(struct repl_wire *w, int sig_fd, int64_t due_ns, cJSON **frame, struct err *err);
int64_t repl_wire_id(const cJSON *frame); /* -1: none */
void repl_wire_close(struct repl_wire *w);

#endif
