/* The part "prompt": libedit, with its own keys for completion and Ctrl-C. */
#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "tend/part.h"
#include "tend/prompt.h"

enum { LIST_MAX = 100, SHOWN_MAX = 200 };

struct prompt {
  const struct tend_prompt_host *host;
  EditLine *el;
  History *history;
  const char *text; /* of the prompt */
  char *line;
  bool interrupted;
};

static struct prompt *prompt_of(EditLine *el) {
  void *p = NULL;
  el_get(el, EL_CLIENTDATA, &p);
  return p;
}

static char *show_prompt(EditLine *el) { return (char *)prompt_of(el)->text; }

/* --- keys -------------------------------------------------------------------------------------------------------- */

static unsigned char on_interrupt(EditLine *el, int key) {
  (void)key;
  prompt_of(el)->interrupted = true;
  fputs("^C\n", stdout);
  fflush(stdout);
  return CC_NEWLINE;
}

static size_t common(const struct tend_prompt_completion *c) {
  size_t n = strlen(c->items[0].text);
  for (size_t i = 1; i < c->n; i++) {
    size_t k = 0;
    while (k < n && c->items[i].text[k] == c->items[0].text[k]) k++;
    n = k;
  }
  while (n && ((unsigned char)c->items[0].text[n] & 0xc0) == 0x80) n--; /* whole characters */
  return n;
}

static const char *shown(const struct tend_prompt_item *item) { return item->shown ? item->shown : item->text; }

static size_t columns(void) {
  struct winsize w;
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 20 ? w.ws_col : 80;
}

static size_t characters(const char *s) {
  size_t n = 0;
  for (; *s; s++) n += ((unsigned char)*s & 0xc0) != 0x80;
  return n;
}

/* At most n characters of it. */
static int bytes_of(const char *s, size_t n) {
  const char *p = s;
  for (; *p && (n || ((unsigned char)*p & 0xc0) == 0x80); p++)
    if (((unsigned char)*p & 0xc0) != 0x80) n--;
  return (int)(p - s);
}

/* In columns where they are short, else one a line. */
static void list(const struct tend_prompt_completion *c) {
  size_t width = 0, screen = columns();
  size_t n = c->n < LIST_MAX ? c->n : LIST_MAX;
  for (size_t i = 0; i < n; i++) {
    size_t w = characters(shown(&c->items[i]));
    if (w > width) width = w;
  }
  size_t per_row = width + 2 < screen ? screen / (width + 2) : 1;
  size_t rows = (n + per_row - 1) / per_row;
  putchar('\n');
  for (size_t row = 0; row < rows; row++) {
    for (size_t i = row; i < n; i += rows) {
      const char *text = shown(&c->items[i]);
      int bytes = bytes_of(text, screen - 1 < SHOWN_MAX ? screen - 1 : SHOWN_MAX);
      bool last = i + rows >= n;
      printf("%.*s%*s", bytes, text, last ? 0 : (int)(width + 2 - characters(text)), "");
    }
    putchar('\n');
  }
  if (c->n > n) printf("and %zu more\n", c->n - n);
  fflush(stdout);
}

static unsigned char on_complete(EditLine *el, int key) {
  (void)key;
  struct prompt *p = prompt_of(el);
  const LineInfo *info = el_line(el);
  size_t cursor = (size_t)(info->cursor - info->buffer);
  size_t blank = 0;
  while (blank < cursor && (info->buffer[blank] == ' ' || info->buffer[blank] == '\t')) blank++;
  if (blank == cursor && cursor) return el_insertstr(el, "  ") ? CC_ERROR : CC_REFRESH; /* pasted, or indented */
  char *line = strndup(info->buffer, (size_t)(info->lastchar - info->buffer));
  if (!line) return CC_ERROR;
  struct tend_prompt_completion c = {0};
  p->host->complete(p->host->self, line, cursor, &c);
  unsigned char result = CC_ERROR;
  size_t n = c.n ? common(&c) : 0;
  bool same = n == c.replaced && c.n && strncmp(c.items[0].text, line + cursor - c.replaced, n) == 0;
  if (c.n && n >= c.replaced && !same) {
    char *more = strndup(c.items[0].text, n);
    char *before = strndup(line + cursor - c.replaced, c.replaced);
    if (before && c.replaced) el_deletestr(el, (int)characters(before));
    free(before);
    if (more && el_insertstr(el, more) == 0) result = CC_REFRESH;
    free(more);
  } else if (c.n > 1) {
    list(&c);
    result = CC_REDISPLAY;
  } else if (c.hint || (c.n && c.items[0].shown)) {
    printf("\n%s\n", c.hint ? c.hint : c.items[0].shown);
    fflush(stdout);
    result = CC_REDISPLAY;
  }
  free(line);
  return result;
}

/* --- signals that end ------------------------------------------------------------------------------------------- */

static const int fatal[] = {SIGTERM, SIGHUP, SIGQUIT};
static struct termios found; /* the terminal as it was */

/* It is given back as it was, unless another has it now; then the signal does what it does. */
static void on_fatal(int sig) {
  int error = errno;
  if (tcgetpgrp(STDIN_FILENO) == getpgrp()) tcsetattr(STDIN_FILENO, TCSANOW, &found);
  errno = error;
  raise(sig); /* delivered after the return, to the default that is in force again */
}

static void watch_signals(void) {
  if (tcgetattr(STDIN_FILENO, &found)) return;
  const struct sigaction give_back = {.sa_handler = on_fatal, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
  for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
    struct sigaction was;
    if (sigaction(fatal[i], NULL, &was) == 0 && was.sa_handler == SIG_DFL) sigaction(fatal[i], &give_back, NULL);
  }
}

static void leave_signals(void) {
  for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
    struct sigaction now;
    if (sigaction(fatal[i], NULL, &now) == 0 && now.sa_handler == on_fatal) signal(fatal[i], SIG_DFL);
  }
}

/* --- the interface ----------------------------------------------------------------------------------------------- */

static void prompt_close(void *prompt) {
  struct prompt *p = prompt;
  if (p->el) el_end(p->el);
  leave_signals();
  if (p->history) history_end(p->history);
  free(p->line);
  free(p);
}

/* Between two lines, too, the terminal keeps what is typed as it is, and shows it when it is read; the library does the
 * same from the first line on, and restores all at the end. Ctrl-C flushes nothing: Linux does not wake who waits for
 * room in the output that it throws away, and with SIGINT blocked nothing else does. */
static void keep_typed_ahead(void) {
  struct termios t;
  if (tcgetattr(STDIN_FILENO, &t)) return;
  t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
  t.c_lflag |= NOFLSH;
  t.c_cc[VMIN] = 1;
  t.c_cc[VTIME] = 0;
  tcsetattr(STDIN_FILENO, TCSADRAIN, &t);
}

static void *prompt_open(const struct tend_prompt_host *host, int lines) {
  if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) return NULL;
  setlocale(LC_CTYPE, "");
  if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) setlocale(LC_CTYPE, "C.UTF-8");
  struct prompt *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  p->host = host;
  watch_signals();
  p->history = history_init();
  p->el = el_init("tend", stdin, stdout, stderr);
  if (!p->history || !p->el) {
    prompt_close(p);
    return NULL;
  }
  HistEvent ev;
  history(p->history, &ev, H_SETSIZE, lines);
  history(p->history, &ev, H_SETUNIQUE, 1);
  el_set(p->el, EL_CLIENTDATA, p);
  el_set(p->el, EL_PROMPT, show_prompt);
  el_set(p->el, EL_HIST, history, p->history);
  el_set(p->el, EL_EDITOR, "emacs");
  el_set(p->el, EL_SIGNAL, 0);
  el_set(p->el, EL_SETTY, "-d", "-isig", NULL);
  el_set(p->el, EL_SETTY, "-x", "-icanon", "-echo", "+noflsh", NULL);
  keep_typed_ahead();
  el_wset(p->el, EL_ADDFN, L"tend-complete", L"What may follow", on_complete); /* el_set would copy, and lose it */
  el_wset(p->el, EL_ADDFN, L"tend-interrupt", L"Give up the line", on_interrupt);
  el_set(p->el, EL_BIND, "^I", "tend-complete", NULL);
  el_set(p->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
  el_set(p->el, EL_BIND, "^W", "ed-delete-prev-word", NULL);
  el_source(p->el, NULL);
  el_set(p->el, EL_BIND, "^C", "tend-interrupt", NULL);
  return p;
}

static enum tend_prompt_end prompt_read(void *prompt, const char *text, const char **line) {
  struct prompt *p = prompt;
  p->text = text;
  p->interrupted = false;
  el_set(p->el, EL_RESIZE);
  int n = 0;
  const char *got = el_gets(p->el, &n);
  if (p->interrupted) return TEND_PROMPT_INTERRUPTED;
  if (!got || n <= 0) return TEND_PROMPT_END;
  free(p->line);
  p->line = strndup(got, strcspn(got, "\n"));
  if (!p->line) return TEND_PROMPT_END;
  *line = p->line;
  return TEND_PROMPT_LINE;
}

static void prompt_remember(void *prompt, const char *line) {
  struct prompt *p = prompt;
  HistEvent ev;
  history(p->history, &ev, H_ENTER, line);
}

const struct tend_part *tend_part(void) {
  static const struct tend_prompt ops = {prompt_open, prompt_read, prompt_remember, prompt_close};
  static const struct tend_part part = {.abi = TEND_ABI, .name = "prompt", .ops = &ops};
  return &part;
}
