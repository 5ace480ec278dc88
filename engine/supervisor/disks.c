#include "supervisor/disks.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"

#define LOOK_TIMEOUT_NS (10 * NS_PER_S)

struct disks {
  struct loop *loop;
  struct children *children;
  struct timer *deadline;
  struct disk *list; /* n of them */
  size_t n;
  uint32_t child; /* of the look that is under way; 0: none */
  int64_t looked_ns;
};

static void unknown(struct disks *d) {
  for (size_t i = 0; i < d->n; i++) d->list[i].used = d->list[i].inodes = NAN;
}

static void on_deadline(void *arg) {
  struct disks *d = arg;
  children_kill(d->children, d->child, SIGKILL, KILL_GROUP);
  unknown(d); /* its exit is waited for: one that the kernel does not let go is enough */
}

struct disks *disks_new(struct loop *loop, struct children *children) {
  struct disks *d = calloc(1, sizeof *d);
  if (!d) return NULL;
  *d = (struct disks){.loop = loop, .children = children, .deadline = timer_new(loop, on_deadline, d)};
  if (!d->deadline) {
    free(d);
    return NULL;
  }
  return d;
}

void disks_free(struct disks *d) {
  if (!d) return;
  if (d->child) children_forget(d->children, d->child);
  timer_free(d->deadline);
  free(d->list);
  free(d);
}

int disks_add(struct disks *d, const char *name, const char *path) {
  for (size_t i = 0; i < d->n; i++) {
    if (STR_EQ(d->list[i].path, path)) return 0;
    if (STR_EQ(d->list[i].name, name)) name = path;
  }
  if (d->n == DISKS_MAX) return -ENOSPC;
  struct disk *list = realloc(d->list, (d->n + 1) * sizeof *list);
  if (!list) return -ENOMEM;
  d->list = list;
  struct disk *new = &list[d->n];
  *new = (struct disk){0};
  if (!str_copy(new->name, sizeof new->name, name) || !str_copy(new->path, sizeof new->path, path))
    return -ENAMETOOLONG;
  new->used = new->inodes = NAN;
  d->n++;
  return 0;
}

static double number(const cJSON *object, const char *key) {
  const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, key);
  return cJSON_IsNumber(v) ? v->valuedouble : NAN;
}

static void on_exited(void *arg, uint32_t child, const struct child_exit *e) {
  (void)child;
  struct disks *d = arg;
  auto_json cJSON *found = NULL;
  d->child = 0;
  timer_stop(d->deadline);
  unknown(d);
  if (!WIFEXITED(e->status) || WEXITSTATUS(e->status) || !e->out ||
      json_parse(e->out->data, e->out->len, "tend helper usage", &found, NULL))
    return;
  const cJSON *list = cJSON_GetObjectItemCaseSensitive(found, "disks");
  for (size_t i = 0; i < d->n; i++) {
    const cJSON *one = cJSON_GetArrayItem(list, (int)i);
    double error = number(one, "errno");
    d->list[i].used = number(one, "used");
    d->list[i].inodes = number(one, "inodes");
    d->list[i].error = isnan(error) ? 0 : (int)error;
  }
}

static void on_failed(void *arg, uint32_t child, enum spawn_stage stage, int error) {
  (void)child;
  (void)stage;
  (void)error;
  struct disks *d = arg;
  d->child = 0;
  timer_stop(d->deadline);
  unknown(d);
}

void disks_look(struct disks *d, int64_t max_age_ns) {
  static const struct child_ops ops = {.failed = on_failed, .exited = on_exited};
  int64_t now = clock_mono_ns();
  if (!d->n || d->child || (d->looked_ns && now - d->looked_ns < max_age_ns)) return;
  char tend[] = "tend", helper[] = "helper", usage[] = "usage", also[] = "--also";
  char *argv[3 + 2 * DISKS_MAX + 1];
  size_t n = 0;
  argv[n++] = tend;
  argv[n++] = helper;
  argv[n++] = usage;
  for (size_t i = 0; i < d->n; i++) {
    if (i) argv[n++] = also;
    argv[n++] = d->list[i].path;
  }
  argv[n] = NULL;
  d->looked_ns = now;
  const struct child_spec spec = {.kind = CHILD_HELPER, .name = "usage", .argv = argv};
  d->child = children_spawn(d->children, &spec, &ops, d, NULL);
  if (d->child) timer_at(d->deadline, now + LOOK_TIMEOUT_NS);
}

size_t disks_list(const struct disks *d, const struct disk **out) {
  *out = d->list;
  return d->n;
}
