/* Watches files and folders for changes, whatever way they are made: written in place, replaced by a rename, taken
 * away, or behind a symbolic link that is changed (as Kubernetes does with `..data` of a ConfigMap volume). Tells once
 * when nothing more happens for a moment, and only where what is there differs.
 *
 * No wake-up while nothing changes. Where inotify is missing or exhausted it is blind: file_watch_poll then looks.
 */
#ifndef TEND_LOOP_FILE_WATCH_H
#define TEND_LOOP_FILE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "loop/loop.h"

struct file_watch;

struct file_watch *file_watch_new(struct loop *loop, loop_fn *changed, void *arg); /* NULL: no memory */
void file_watch_free(struct file_watch *w);                                        /* NULL is allowed */

/* These from now on (copied): files, also such as are not there yet, and folders, of whose content the Lua files count.
 * What is there now is what they are compared with. -ENOMEM; else 0, blind or not. */
int file_watch_set(struct file_watch *w, const char *const *paths, size_t n);
/* Begins to see; until then nothing is told. What has changed since file_watch_set is told soon. */
void file_watch_open(struct file_watch *w);
/* Why it is blind; NULL: it sees, or is not open yet. */
const char *file_watch_blind(const struct file_watch *w);
/* Looks now, and tells as above. */
void file_watch_poll(struct file_watch *w);
/* What is there, as a number: another one when something has changed. */
uint64_t file_watch_look(const struct file_watch *w);

#endif
