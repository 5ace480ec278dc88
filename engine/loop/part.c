#include "loop/part.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/place.h"
#include "base/str.h"

/* What the parts of our own need; Debian's names. */
static const struct {
  const char *name, *package;
} needs[] = {{"postgres", "libpq5"}, {"http", "libcurl4"}, {"server", "libmicrohttpd12"}, {"prompt", "libedit2"}};

struct loaded {
  char name[LIMIT_NAME];
  const struct tend_part *part;
  struct loaded *next;
};

/* As dlopen itself: once for the whole program. */
static struct loaded *all;
static char chosen_dir[PATH_MAX];
static char scripts[4 * PATH_MAX];

void part_set_dir(const char *dir) { str_copy(chosen_dir, sizeof chosen_dir, dir ? dir : ""); }

void part_set_scripts(const char *dirs) { str_copy(scripts, sizeof scripts, dirs ? dirs : ""); }

const char *part_dir(void) {
  static char dir[PATH_MAX];
  if (chosen_dir[0]) return chosen_dir;
  for (unsigned i = 0; place_companion(i, "parts", dir); i++)
    if (access(dir, X_OK) == 0) break;
  return dir;
}

static const char *advice(const char *name) {
  static char text[96];
  for (size_t i = 0; i < ARRAY_LEN(needs); i++)
    if (STR_EQ(needs[i].name, name)) {
      snprintf(text, sizeof text, "install the library that it needs (Debian: %s) and tend whole", needs[i].package);
      return text;
    }
  return "put the part there, or use another kind";
}

static bool is_own(const char *name) {
  for (size_t i = 0; i < ARRAY_LEN(needs); i++)
    if (STR_EQ(needs[i].name, name)) return true;
  return false;
}

const struct tend_part *part_find(const char *name) {
  for (const struct loaded *l = all; l; l = l->next)
    if (STR_EQ(l->name, name)) return l->part;
  return NULL;
}

/* Where the file of a part is: beside the program, else with the scripts (*foreign). False: nowhere; path is then where
 * it would be beside the program. */
static bool find_file(const char *name, char *path, size_t size, bool *foreign) {
  *foreign = true;
  for (const char *dirs = scripts; *dirs;) {
    size_t len = strcspn(dirs, ":");
    snprintf(path, size, "%.*s/probes/%s.so", (int)len, dirs, name);
    if (len && access(path, F_OK) == 0 && !is_own(name)) return true;
    dirs += len + (dirs[len] == ':');
  }
  *foreign = false;
  snprintf(path, size, "%s/%s.so", part_dir(), name);
  return access(path, R_OK) == 0;
}

static bool is_name(const char *name) {
  return *name && strlen(name) < LIMIT_NAME && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

bool part_there(const char *name) {
  char path[PATH_MAX + 128];
  bool foreign;
  return is_name(name) && (part_find(name) || find_file(name, path, sizeof path, &foreign));
}

static int check_owner(const char *path, const char *what, struct err *err) {
  struct stat st;
  if (stat(path, &st)) return err_errno(err, -errno, "the part %s", path);
  if (st.st_uid != 0 && st.st_uid != geteuid())
    return err_set(err, -EPERM,
                   "%s %s belongs to uid %u, expected root or our own uid %u: it would become a piece of tend", what,
                   path, (unsigned)st.st_uid, (unsigned)geteuid());
  if (st.st_mode & (S_IWGRP | S_IWOTH))
    return err_set(err, -EPERM,
                   "%s %s can be written by others than its owner (mode %04o); take that away with chmod go-w", what,
                   path, (unsigned)(st.st_mode & 07777));
  return 0;
}

/* The real one behind symbolic links, and who may change it. */
static int check_foreign(char *path, size_t size, struct err *err) {
  char real[PATH_MAX];
  if (!realpath(path, real)) return err_errno(err, -errno, "the part %s", path);
  str_copy(path, size, real);
  int rc = check_owner(real, "the part", err);
  char *slash = strrchr(real, '/');
  if (rc || !slash) return rc;
  slash[slash == real] = 0;
  return check_owner(real, "the folder of a part,", err);
}

/* What is wrong with the part that a file gave; NULL: nothing. */
static const char *fault_of(const struct tend_part *part, const char *name, char *text, size_t size) {
  if (!part)
    snprintf(text, size, "is no part of tend: it has no tend_part()");
  else if (part->abi != TEND_ABI)
    snprintf(text, size,
             "was made for another tend: its ABI is %d, this one has %d; build it with the headers of this one",
             part->abi, TEND_ABI);
  else if (!part->name || !STR_EQ(part->name, name))
    snprintf(text, size, "calls itself \"%s\"", part->name ? part->name : "");
  else
    return NULL;
  return text;
}

const struct tend_part *part_load(const char *name, struct err *err) {
  const struct tend_part *there = part_find(name);
  if (there) return there;
  char path[PATH_MAX + 128];
  bool foreign;
  if (!is_name(name)) {
    err_set(err, -EINVAL, "\"%s\" is no name of a part (small letters, digits and _)", name);
    return NULL;
  }
  if (!find_file(name, path, sizeof path, &foreign)) {
    int e = errno;
    err_set(err, -e, "the part %s cannot be read: %s; %s", path, strerror(e), advice(name));
    return NULL;
  }
  if (foreign && check_foreign(path, sizeof path, err)) return NULL;
  void *handle = dlopen(path, (foreign ? RTLD_NOW : RTLD_LAZY) | RTLD_LOCAL);
  if (!handle) {
    err_set(err, -ELIBACC, "the part cannot be loaded: %s; %s", dlerror(),
            foreign ? "build it for this system" : advice(name));
    return NULL;
  }
  tend_part_fn *entry = (tend_part_fn *)dlsym(handle, "tend_part");
  const struct tend_part *part = entry ? entry() : NULL;
  char text[160];
  const char *fault = fault_of(part, name, text, sizeof text);
  struct loaded *l = fault ? NULL : calloc(1, sizeof *l);
  if (fault) {
    err_set(err, -ELIBBAD, "%s %s", path, fault);
    dlclose(handle);
    return NULL;
  }
  if (!l) {
    err_set(err, -ENOMEM, "no memory for the part %s", name);
    return NULL; /* stays open: a later call finds it so */
  }
  str_copy(l->name, sizeof l->name, name);
  l->part = part;
  l->next = all;
  all = l;
  return part;
}
