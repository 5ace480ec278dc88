#include "loop/part.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/str.h"

/* What the parts of our own need; Debian's names. */
static const struct {
  const char *name, *package;
} needs[] = {{"postgres", "libpq5"}, {"http", "libcurl4"}, {"server", "libmicrohttpd12"}};

struct loaded {
  char name[LIMIT_NAME];
  const struct tend_part *part;
  struct loaded *next;
};

/* As dlopen itself: once for the whole program. */
static struct loaded *all;
static char chosen_dir[PATH_MAX];

void part_set_dir(const char *dir) { str_copy(chosen_dir, sizeof chosen_dir, dir ? dir : ""); }

const char *part_dir(void) {
  static const char *const places[] = {"parts", "../lib/tend/parts"};
  if (chosen_dir[0]) return chosen_dir;
  static char dir[PATH_MAX + 32];
  char exe[PATH_MAX];
  ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
  if (n <= 0) return "";
  exe[n] = 0;
  char *slash = strrchr(exe, '/');
  if (!slash) return "";
  *slash = 0;
  for (size_t i = 0; i < ARRAY_LEN(places); i++) {
    snprintf(dir, sizeof dir, "%s/%s", exe, places[i]);
    if (access(dir, X_OK) == 0) break;
  }
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

const struct tend_part *part_find(const char *name) {
  for (const struct loaded *l = all; l; l = l->next)
    if (STR_EQ(l->name, name)) return l->part;
  return NULL;
}

bool part_there(const char *name) {
  char path[PATH_MAX + 128];
  snprintf(path, sizeof path, "%s/%s.so", part_dir(), name);
  return part_find(name) || access(path, R_OK) == 0;
}

const struct tend_part *part_load(const char *name, struct err *err) {
  const struct tend_part *there = part_find(name);
  if (there) return there;
  char path[PATH_MAX + 128];
  if (!*name || strlen(name) >= LIMIT_NAME || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name)) {
    err_set(err, -EINVAL, "\"%s\" is no name of a part (small letters, digits and _)", name);
    return NULL;
  }
  snprintf(path, sizeof path, "%s/%s.so", part_dir(), name);
  if (access(path, R_OK) < 0) {
    int e = errno;
    err_set(err, -e, "the part %s cannot be read: %s; %s", path, strerror(e), advice(name));
    return NULL;
  }
  void *handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
  if (!handle) {
    err_set(err, -ELIBACC, "the part cannot be loaded: %s; %s", dlerror(), advice(name));
    return NULL;
  }
  tend_part_fn *entry = (tend_part_fn *)dlsym(handle, "tend_part");
  const struct tend_part *part = entry ? entry() : NULL;
  struct loaded *l = part ? calloc(1, sizeof *l) : NULL;
  if (!part || part->abi != TEND_ABI || !STR_EQ(part->name, name)) {
    if (!part)
      err_set(err, -ELIBBAD, "%s is no part of tend: it has no tend_part()", path);
    else if (part->abi != TEND_ABI)
      err_set(err, -ELIBBAD, "%s was made for another tend: its ABI is %d, this one has %d", path, part->abi, TEND_ABI);
    else
      err_set(err, -ELIBBAD, "%s calls itself \"%s\"", path, part->name);
    free(l);
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
