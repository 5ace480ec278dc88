/* tend helper looks: takes one look after the other as long as somebody asks, so that a look costs no child of its own.
 *
 * Requests come in frames on standard input, which is a socket: ACTION NUL WHAT NUL [OPTION NUL]. The answer goes back
 * the same way, a frame: "0" or "1" (the action's exit code is 0 or not), then what it printed. A look that hangs hangs
 * all that come after it: who asks must notice, and take another helper. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clean.h"
#include "base/frame.h"
#include "base/str.h"
#include "helper/helper.h"

enum { REQUEST_MAX = 64 * 1024, WORDS_MAX = 4, ROOM = 16 * 1024 };

static const struct {
  const char *name;
  helper_fn *fn;
} looks[] = {{"connect", helper_connect},
             {"process", helper_process},
             {"resources", helper_resources},
             {"stat", helper_stat},
             {"usage", helper_usage}};

static int take(int argc, char **argv) {
  for (size_t i = 0; i < ARRAY_LEN(looks); i++)
    if (STR_EQ(looks[i].name, argv[0])) return looks[i].fn(argc, argv);
  fprintf(stderr, "tend helper looks: %s is no look\n", argv[0]);
  return HELPER_USAGE;
}

/* The words of a request; 0 when it is none. The payload ends with a NUL. */
static int words_of(char *payload, size_t n, char *argv[WORDS_MAX + 1]) {
  int argc = 0;
  if (!payload || n == 0 || payload[n - 1]) return 0;
  for (size_t at = 0; at < n && argc < WORDS_MAX; at += strlen(payload + at) + 1) argv[argc++] = payload + at;
  argv[argc] = NULL;
  return argc;
}

/* The actions print: into memory for as long as one runs. */
static int answer(char *payload, size_t n, struct buf *out) {
  char *argv[WORDS_MAX + 1];
  int argc = words_of(payload, n, argv);
  auto_free char *text = NULL;
  size_t len = 0;
  FILE *memory = argc ? open_memstream(&text, &len) : NULL;
  if (!memory) return -EINVAL;
  FILE *real_out = stdout, *real_err = stderr;
  stdout = stderr = memory;
  int code = take(argc, argv);
  stdout = real_out;
  stderr = real_err;
  fclose(memory);
  auto_buf struct buf said = {0};
  buf_char(&said, code == HELPER_OK ? '0' : '1');
  if (text) buf_add(&said, text, len);
  frame_add(out, said.data, said.len);
  return said.failed || out->failed ? -ENOMEM : 0;
}

static int put(const struct buf *out) {
  for (size_t done = 0; done < out->len;) {
    ssize_t n = send(STDIN_FILENO, out->data + done, out->len - done, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -errno;
    done += (size_t)n;
  }
  return 0;
}

/* 0 at the end of the requests. */
int helper_looks(int argc, char **argv) {
  (void)argc;
  auto_buf struct buf in = {0};
  for (;;) {
    int64_t n = frame_length(&in, REQUEST_MAX);
    if (n < 0) return helper_fail(argv[0], "a request is not understood");
    if (n > 0) {
      auto_buf struct buf out = {0};
      if (answer(in.data + FRAME_HEAD, (size_t)n - FRAME_HEAD, &out))
        return helper_fail(argv[0], "a request is not understood");
      if (put(&out)) return HELPER_OK; /* nobody waits for it any more */
      buf_drop(&in, (size_t)n);
      continue;
    }
    char *to = buf_room(&in, ROOM);
    if (!to) return helper_fail(argv[0], "out of memory");
    ssize_t got = read(STDIN_FILENO, to, ROOM);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return HELPER_OK;
    in.len += (size_t)got;
  }
}
