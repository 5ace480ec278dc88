/* Who else is below us: descendants that are no live child of the table, nor below one. Direct children cannot be
 * recycled, since only we reap; deeper ones are held by a pidfd while their parent is looked at again.
 * As PID 1 all other processes of the namespace count too. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init/state.h"

struct entry {
  pid_t pid, parent;
  char state;
};

static struct entry table[LIMIT_SWEEP];

static ssize_t read_all(int fd, char *text, size_t size) {
  size_t n = 0;
  for (ssize_t r = 1; r > 0 && n < size - 1;) {
    r = pread(fd, text + n, size - 1 - n, (off_t)n);
    if (r < 0) return -errno;
    n += (size_t)r;
  }
  text[n] = 0;
  return (ssize_t)n;
}

static ssize_t read_file(const char *path, char *text, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  ssize_t n = read_all(fd, text, size);
  close(fd);
  return n;
}

static pid_t number(const char **p) {
  while (**p == ' ') (*p)++;
  pid_t v = 0;
  while (**p >= '0' && **p <= '9') v = v * 10 + (*(*p)++ - '0');
  return v;
}

static bool look_at(pid_t pid, struct entry *e) {
  char path[48];
  char text[512];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  if (read_file(path, text, sizeof text) <= 0) return false;
  const char *p = strrchr(text, ')'); /* the name before it may hold anything */
  if (!p || p[1] != ' ') return false;
  e->pid = pid;
  e->state = p[2];
  p += 3;
  e->parent = number(&p);
  return true;
}

/* All processes of /proc, in ascending order of pid. */
static unsigned scan(void) {
  static char names[16384] __attribute__((aligned(8)));
  int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return 0;
  unsigned n = 0;
  for (long got; (got = syscall(SYS_getdents64, fd, names, sizeof names)) > 0;) {
    for (long at = 0; at < got && n < LIMIT_SWEEP;) {
      struct dirent64 *d = (struct dirent64 *)(void *)(names + at);
      at += d->d_reclen;
      const char *p = d->d_name;
      pid_t pid = number(&p);
      if (pid > 0 && *p == 0 && look_at(pid, &table[n])) n++;
    }
  }
  close(fd);
  return n;
}

static const struct entry *find(unsigned n, pid_t pid) {
  unsigned low = 0;
  while (low < n) {
    unsigned mid = low + (n - low) / 2;
    if (table[mid].pid == pid) return &table[mid];
    if (table[mid].pid < pid)
      low = mid + 1;
    else
      n = mid;
  }
  return NULL;
}

static bool proc_is_ours(const struct init *in) {
  char text[16];
  ssize_t n = readlink("/proc/self", text, sizeof text - 1);
  if (n <= 0) return false;
  text[n] = 0;
  const char *p = text;
  return number(&p) == in->pid;
}

static bool is_known(struct init *in, pid_t pid) {
  if (pid == in->engine) return true;
  const struct child *c = child_of_pid(in, pid);
  return c && child_live(c);
}

/* False when every direct child is known, so that there is nothing to look for. */
static bool has_strangers(struct init *in) {
  static char text[32768];
  ssize_t n = read_all(in->children_fd, text, sizeof text);
  if (n < 0 || n == sizeof text - 1) return true;
  for (const char *p = text; *p;) {
    pid_t pid = number(&p);
    if (pid > 0 && !is_known(in, pid)) return true;
    if (pid == 0) break;
  }
  return false;
}

/* While nobody waits for what it tells; the first answer touches memory. */
void sweep_prepare(struct init *in) {
  char path[64];
  if (in->pid1 || in->children_fd || !proc_is_ours(in)) return;
  snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)in->pid);
  in->children_fd = open(path, O_RDONLY | O_CLOEXEC);
  has_strangers(in);
}

/* Whether e is to be ended; *direct: it is our own child. */
static bool is_stray(struct init *in, unsigned n, const struct entry *e, bool *direct) {
  if (e->pid == in->pid || e->state == 'Z' || e->state == 'X') return false;
  *direct = e->parent == in->pid;
  const struct entry *top = e;
  for (unsigned steps = 0; top && top->parent != in->pid && steps < n; steps++) {
    if (top->parent == 0) return in->pid1;
    top = find(n, top->parent);
  }
  return top && top->parent == in->pid && !is_known(in, top->pid);
}

static void signal_one(const struct entry *e, bool direct, int sig) {
  if (direct) {
    kill(e->pid, sig);
    if (sig != SIGKILL) kill(e->pid, SIGCONT);
    return;
  }
  int fd = (int)syscall(SYS_pidfd_open, e->pid, 0);
  struct entry now;
  if (fd >= 0 && look_at(e->pid, &now) && now.parent == e->parent) {
    syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0);
    if (sig != SIGKILL) syscall(SYS_pidfd_send_signal, fd, SIGCONT, NULL, 0);
  }
  if (fd >= 0) close(fd);
}

static unsigned groups_only(struct init *in, int sig) {
  static bool said;
  if (!said) {
    output_notice(in, "WARNING", "no /proc of its own: at the end only the processes' own groups are signalled", "{}");
    said = true;
  }
  unsigned left = 0;
  for (unsigned i = 0; i < in->top; i++) {
    struct child *c = &in->children[i];
    if (!c->number || c->pid || !child_group_left(c)) continue;
    if (sig) child_kill(in, c, sig, true);
    left++;
  }
  return left;
}

unsigned sweep_signal(struct init *in, int sig) {
  sweep_prepare(in);
  if (in->children_fd > 0 && !has_strangers(in)) return 0;
  if (!proc_is_ours(in)) return groups_only(in, sig);
  unsigned n = scan();
  unsigned left = 0;
  for (unsigned i = 0; i < n; i++) {
    bool direct;
    if (!is_stray(in, n, &table[i], &direct)) continue;
    left++;
    if (sig) signal_one(&table[i], direct, sig);
  }
  return left;
}
