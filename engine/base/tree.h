/* Walking a folder's tree without being led out of it: by descriptors only, no symbolic link followed, no mount
 * crossed, whatever happens to the tree meanwhile. openat2 where the kernel has it, else step by step.
 *
 * A folder deeper than LIMIT_TREE_DEPTH is told as a problem and left alone. */
#ifndef TEND_BASE_TREE_H
#define TEND_BASE_TREE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/err.h"

struct tree_entry {
  int dir;          /* descriptor of the folder that holds it */
  const char *name; /* its name there */
  const char *path; /* from the root of the walk, for people; no way to open it */
  struct stat st;   /* of the thing itself, also where it is a link */
};

struct tree_ops {
  /* Everything but folders. Other than 0: the walk ends and returns that. */
  int (*file)(void *arg, const struct tree_entry *e);
  /* A folder, after what is in it; may remove it by unlinkat(e->dir, e->name, AT_REMOVEDIR). May be NULL. */
  int (*leave)(void *arg, const struct tree_entry *e);
  /* What could not be read or entered; the walk goes on. error: positive errno. */
  void (*problem)(void *arg, const char *path, int error);
};

/* Opens the root of a walk: an absolute path whose last part is a folder itself, no link to one. Returns the
 * descriptor (the caller closes it) or a negative errno. */
int tree_open(const char *path, struct err *err);

/* The same for a walk that removes. -EPERM for what no clean-up can be meant for: /, a home, the system's own folders,
 * what lies at the top; judged by where the folder really is. */
int tree_open_ours(const char *path, struct err *err);

/* Opens a folder right below dir by the same rules as the walk: a descriptor or a negative errno (-ELOOP for a link,
 * -EXDEV for another mount). */
int tree_enter(int dir, const char *name);

/* Walks everything below the root; the root itself is not told. `deep` false: only what is right in it. */
int tree_walk(int root, bool deep, const struct tree_ops *ops, void *arg);

/* For tests: go step by step, as on a kernel without openat2. */
extern bool tree_without_openat2;

#endif
