/* tend helper journal DIR [--max-bytes N] [--keep N]
 *
 * Appends the lines of its standard input to DIR/events.jsonl until the end of the input. A file that would grow beyond
 * N bytes (10 MB) becomes events.jsonl.1, that one events.jsonl.2 and so on; N (5) old ones are kept. Only whole lines
 * are written: what a full disk has cut is taken back. Lost lines are counted, and told at the end; the first of a row
 * is told at once by a line "!" with the reason, and that lines are written again, for five seconds now, by a "!"
 * alone.
 *
 * A line "=NAME TEXT" is none of them: the file NAME beside events.jsonl is replaced by TEXT and its newline, as `tend
 * helper write` does it; the answer is a line "+", or "-" and why not.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clean.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/str.h"
#include "helper/helper.h"

#define JOURNAL_NAME "events.jsonl"

#define CALM_NS (5 * NS_PER_S)

enum { CHUNK = 64 * 1024, AT_REST = 16 * 1024, KEEP_MAX = 1000 };

struct journal_file {
  int dir, fd;
  int64_t size, max_bytes, keep;
  int64_t written, lost;
  int error;       /* of the first loss */
  int64_t lost_ns; /* the last loss that is not made good yet; 0: none */
};

static const char *generation(int64_t n, char name[64]) {
  if (n)
    snprintf(name, 64, JOURNAL_NAME ".%d", (int)n);
  else
    snprintf(name, 64, JOURNAL_NAME);
  return name;
}

/* Positive errno. */
static int open_file(struct journal_file *f) {
  int fd = openat(f->dir, JOURNAL_NAME, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
  if (fd < 0) return errno;
  struct stat st;
  if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
    close(fd);
    return EINVAL;
  }
  f->fd = fd;
  f->size = st.st_size;
  /* a crash may have left half a line */
  char last = '\n';
  if (f->size && pread(fd, &last, 1, f->size - 1) == 1 && last != '\n' && write(fd, "\n", 1) == 1) f->size++;
  return 0;
}

static void rotate(struct journal_file *f) {
  char from[64];
  char to[64];
  close(f->fd);
  f->fd = -1;
  if (f->keep == 0) unlinkat(f->dir, JOURNAL_NAME, 0);
  for (int64_t i = f->keep - 1; i >= 0; i--) renameat(f->dir, generation(i, from), f->dir, generation(i + 1, to));
}

static int64_t count_lines(const char *p, size_t n) {
  int64_t lines = 0;
  for (size_t i = 0; i < n; i++) lines += p[i] == '\n';
  return lines;
}

static void tell(struct journal_file *f, int error) {
  int64_t now = clock_mono_ns();
  bool bad = f->lost_ns != 0;
  if (error) {
    f->lost_ns = now;
    if (!bad) printf("!%s\n", strerror(error));
  } else if (bad && now - f->lost_ns > CALM_NS) {
    f->lost_ns = 0;
    printf("!\n");
  }
  fflush(stdout);
}

/* Some whole lines, all of them or none. */
static void write_lines(struct journal_file *f, const char *p, size_t n) {
  struct stat st;
  if (f->fd >= 0 && fstat(f->fd, &st) == 0 && st.st_nlink == 0) { /* somebody has removed it */
    close(f->fd);
    f->fd = -1;
  }
  if (f->fd >= 0 && f->size && f->size + (int64_t)n > f->max_bytes) rotate(f);
  int error = f->fd < 0 ? open_file(f) : 0;
  size_t done = 0;
  while (!error && done < n) {
    ssize_t k = write(f->fd, p + done, n - done);
    if (k > 0)
      done += (size_t)k;
    else if (k == 0 || errno != EINTR)
      error = k == 0 ? EIO : errno;
  }
  tell(f, error);
  if (!error) {
    f->size += (int64_t)n;
    f->written += count_lines(p, n);
    return;
  }
  if (done && ftruncate(f->fd, f->size)) f->size += (int64_t)done;
  f->lost += count_lines(p, n);
  if (!f->error) f->error = error;
}

/* p: "=NAME TEXT\n", which ends before end. */
static void replace_file(const struct journal_file *f, char *p, const char *end) {
  char *space = memchr(p, ' ', (size_t)(end - p));
  int error = EINVAL;
  if (space) {
    *space = 0;
    error = helper_replace(f->dir, p + 1, space + 1, (size_t)(end - space - 1), NULL);
  }
  if (error)
    printf("-%.100s: %s\n", p + 1, strerror(error));
  else
    printf("+\n");
  fflush(stdout);
}

/* The lines at the front of what was read, as many at a time as fit into the file. */
static void take_lines(struct journal_file *f, struct buf *in) {
  size_t done = 0;
  while (done < in->len) {
    size_t n = 0;
    const char *end = memchr(in->data + done, '\n', in->len - done);
    if (end && in->data[done] == '=') {
      replace_file(f, in->data + done, end + 1);
      done = (size_t)(end + 1 - in->data);
      continue;
    }
    for (; end; end = memchr(in->data + done + n, '\n', in->len - done - n)) {
      if (in->data[done + n] == '=') break;
      size_t with = (size_t)(end + 1 - in->data) - done;
      if (n && f->size + (int64_t)with > f->max_bytes) break;
      n = with;
    }
    if (!n) break;
    write_lines(f, in->data + done, n);
    done += n;
  }
  buf_drop(in, done);
}

int helper_journal(int argc, char **argv) {
  struct journal_file f = {.fd = -1, .max_bytes = INT64_C(10) * 1024 * 1024, .keep = 5};
  const struct helper_option options[] = {
      {"--max-bytes", HELPER_NUMBER, &f.max_bytes, INT64_MAX},
      {"--keep", HELPER_NUMBER, &f.keep, KEEP_MAX},
  };
  const char *path;
  int code = helper_parse(argc, argv, &path, options, ARRAY_LEN(options));
  if (code) return code;
  char message[512];
  auto_close int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  f.dir = dir;
  int error = dir < 0 ? errno : open_file(&f);
  if (error) {
    snprintf(message, sizeof message, "%.300s/" JOURNAL_NAME ": %s", path, strerror(error));
    return helper_fail(argv[0], message);
  }
  static char answers[CHUNK / 64]; /* whoever waits for an answer does not wait for memory */
  setvbuf(stdout, answers, _IOFBF, sizeof answers);
  signal(SIGPIPE, SIG_IGN); /* whoever does not wait for an answer any more still wants its lines */
  auto_buf struct buf in = {.max = LIMIT_EVENT_LINE + CHUNK};
  for (ssize_t most = 0;;) {
    char *to = buf_room(&in, CHUNK);
    if (!to) { /* no line is that long */
      f.lost++;
      in.failed = false;
      buf_clear(&in);
      continue;
    }
    ssize_t n = read(STDIN_FILENO, to, CHUNK);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    in.len += (size_t)n;
    take_lines(&f, &in);
    if (n > most) most = n;
    if (in.len || most < AT_REST) continue;
    buf_free(&in); /* nothing may come for hours: it is not held meanwhile */
    malloc_trim(0);
    most = 0;
  }
  if (f.fd >= 0 && fdatasync(f.fd) && errno != EINVAL && !f.error) f.error = errno;
  if (f.fd >= 0) close(f.fd);
  printf("{\"written\": %lld, \"lost\": %lld}\n", (long long)f.written, (long long)f.lost);
  if (!f.error && !f.lost) return HELPER_OK;
  snprintf(message, sizeof message, "%.300s/" JOURNAL_NAME ": %lld lines were lost: %s", path, (long long)f.lost,
           strerror(f.error));
  return helper_fail(argv[0], message);
}
