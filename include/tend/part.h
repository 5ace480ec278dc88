/* The public interface of parts: shared objects that tend loads when a plan needs them (parts/NAME.so). A part
 * sees include/tend/ only; all it may do to the engine goes through struct tend_host.
 *
 * One thread, one event loop. Nothing in a part may block, and every callback must return soon. Times are
 * nanoseconds on CLOCK_MONOTONIC. Callbacks never come from inside the call that asked for them. A handle is
 * valid until it is freed or cancelled, or, for what completes, until its callback has been called.
 */
#ifndef TEND_PART_H
#define TEND_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "tend/probe.h"

#define TEND_ABI 1

enum { TEND_READ = 1, TEND_WRITE = 2 };
enum tend_level { TEND_DEBUG, TEND_INFO, TEND_WARNING, TEND_ERROR };

struct tend_watch;
struct tend_timer;
struct tend_resolve;

struct tend_address {
  struct sockaddr_storage addr;
  socklen_t len;
};

/* What a name resolved to. n == 0: it did not, and reason ("dns" or "timeout") and detail say why. Valid during
 * the callback. */
struct tend_addresses {
  size_t n;
  const struct tend_address *list; /* in the order in which to try them */
  const char *reason;
  const char *detail;
};

typedef void tend_fn(void *arg);
typedef void tend_watch_fn(void *arg, int fd, int events);
typedef void tend_resolve_fn(void *arg, const struct tend_addresses *found);

struct tend_host {
  int abi;
  void *self; /* first argument of the functions that make something */

  int64_t (*now_ns)(void *self);
  int (*defer)(void *self, tend_fn *fn, void *arg); /* once, before the loop sleeps again; -ENOMEM */
  void (*log)(void *self, enum tend_level level, const char *text);
  /* The text of a setting by its name, with or without CONTAINER_; NULL when there is none. May be secret. */
  const char *(*setting)(void *self, const char *name);

  /* Descriptors stay the part's; free the watch before closing one. events may be 0. NULL: no memory. */
  struct tend_watch *(*watch_new)(void *self, int fd, int events, tend_watch_fn *fn, void *arg);
  void (*watch_set)(struct tend_watch *w, int fd, int events);
  void (*watch_free)(struct tend_watch *w);

  /* One-shot, made stopped. */
  struct tend_timer *(*timer_new)(void *self, tend_fn *fn, void *arg);
  void (*timer_at)(struct tend_timer *t, int64_t due_ns); /* INT64_MAX stops it */
  void (*timer_free)(struct tend_timer *t);

  /* Addresses of a host name or literal; done is called at the deadline at the latest. NULL: no memory. */
  struct tend_resolve *(*resolve)(void *self, const char *host, uint16_t port, int64_t deadline_ns,
                                  tend_resolve_fn *done, void *arg);
  void (*resolve_cancel)(struct tend_resolve *r);

  /* Parameters of a probe, checked against the kind's table before. NULL or the fallback where not given. */
  const char *(*param_text)(const struct tend_params *params, const char *name);
  double (*param_number)(const struct tend_params *params, const char *name, double fallback);
  bool (*param_bool)(const struct tend_params *params, const char *name, bool fallback);
  int64_t (*param_ns)(const struct tend_params *params, const char *name, int64_t fallback);
  /* The i-th value of a list or a table as text, or a single value itself as the 0th; *key is its key in a table, else
   * NULL. NULL at the end. What is no text, number or boolean: "" in a list, NULL with its
   * key in a table. Numbers are written to buf. */
  const char *(*param_item)(const struct tend_params *params, const char *name, size_t i, const char **key, char *buf,
                            size_t size);

  /* The value at a dotted path ("a.b.0") of a JSON document as text, cut to size: 1, 0 when it has none (a table or a
   * list is none), -1 when the text is no JSON. */
  int (*json_find)(const char *text, size_t n, const char *path, char *out, size_t size);

  /* What the attempt is at, for the message when its deadline comes: "connecting to db:5432". */
  void (*probe_progress)(struct tend_probe *p, const char *doing);
  /* The attempt ended; its `run` is the part's to free. Once, and not after cancel. */
  void (*probe_done)(struct tend_probe *p, const struct tend_result *result);
};

struct tend_part {
  int abi; /* TEND_ABI */
  const char *name;
  const struct tend_probe_kind *kinds; /* ends with {0}; NULL: none */
  const void *ops; /* what scripts can call; its type belongs to the part's name (tend/postgres.h) */
};

/* Every part exports this one function. */
__attribute__((visibility("default"))) const struct tend_part *tend_part(void);
typedef const struct tend_part *tend_part_fn(void);

#endif
