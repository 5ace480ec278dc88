/* Memory that outlives an engine: mapped by init before it forks the first one, shared by all of them. An engine puts
 * into it what the next one must know if it dies; after a crash the next one reads it, and goes on.
 *
 * Records have names and two copies of their data each, with a counter and a checksum, so that whoever is killed in the
 * middle of a put leaves the copy before. What is put often has a handle, and may have plain memory beside its copies.
 * There are two areas: an engine reads what the one before has left while it
 * fills the other, which counts from keep_commit on; one that dies before that has changed nothing.
 * All engines of an init are the same image, so structs go as they are, pointers to literals included. Pages that are
 * never touched cost nothing. Only one engine at a time; init reads and writes the fields of struct keep_words only.
 */
#ifndef TEND_BASE_KEEP_H
#define TEND_BASE_KEEP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"

struct keep;
struct keep_record;

/* Who was running when the watchdog ended the engine. */
struct keep_culprit {
  char task[2 * LIMIT_NAME]; /* "check disk"; "" : nobody */
  char where[192];           /* file:line, "" where it is not known */
  bool loading;              /* the file was being loaded */
  bool once;                 /* it will not come again: a chunk at a prompt */
  int64_t ran_ns;
};

/* Written by both sides, each word whole. */
struct keep_words {
  _Atomic uint32_t heard;  /* messages about children that are part of what was put: init need not tell them again */
  _Atomic uint64_t events; /* the last event's number */
  struct keep_culprit culprit;
};

struct keep *keep_map(void); /* NULL: no memory */
struct keep_words *keep_words(struct keep *k);

/* An engine begins: what it puts goes to an empty area. That of the first engine counts at once. */
void keep_begin(struct keep *k);
/* What was put since keep_begin is what counts now. */
void keep_commit(struct keep *k);
/* What is put next finds its memory there, n bytes of it. */
void keep_ready(struct keep *k, size_t n);

/* -ENOMEM when there is no room; what was there stays. No bytes: nothing is under that name. */
int keep_put(struct keep *k, const char *name, const void *data, size_t n);
/* The same of what may come to so many bytes: a record that is too small is left for another one, and lost. */
int keep_put_room(struct keep *k, const char *name, const void *data, size_t n, size_t room);
/* With one copy, for what may be missing: who is killed in the middle of a put leaves nothing under that name. */
int keep_put_once(struct keep *k, const char *name, const void *data, size_t n);
/* What the engine before has put under that name, *n bytes, aligned to 8 bytes; NULL: nothing (whole). Valid until
 * keep_commit. */
const void *keep_get(const struct keep *k, const char *name, size_t *n);
/* The same, where it has that very size. */
const void *keep_get_sized(const struct keep *k, const char *name, size_t n);

/* A record to put into again and again, without a look at its name: what there is of that name, or a new one. Its data
 * have at most n bytes. Beside them are `plain` bytes, zeroed at first, that have no copy and no checksum: for what is
 * whole with each word that is written. NULL: no room. Valid as long as the engine lives. */
struct keep_record *keep_open(struct keep *k, const char *name, size_t n, size_t plain);
void keep_fill(struct keep_record *r, const void *data, size_t n);
void *keep_plain(struct keep_record *r);
/* Those bytes, as the engine before left them: n of them; NULL: nothing. Valid until keep_commit. */
const void *keep_get_plain(const struct keep *k, const char *name, size_t n);

#endif
