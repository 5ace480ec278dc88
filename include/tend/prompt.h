/* What the part "prompt" offers: reading lines from a terminal, with editing, history and completion. Its ops in struct
 * tend_part are a struct tend_prompt. Unlike other parts it blocks, and runs in a client, never in the engine.
 */
#ifndef TEND_PROMPT_H
#define TEND_PROMPT_H

#include <stdbool.h>
#include <stddef.h>

struct tend_prompt_item {
  const char *text;  /* what is put in */
  const char *shown; /* what a list shows, NULL: text; one line */
};

struct tend_prompt_completion {
  size_t replaced; /* bytes before the cursor that an item takes the place of */
  size_t n;
  const struct tend_prompt_item *items; /* valid until the next call */
  const char *hint;                     /* lines that are shown where there is nothing to choose; NULL: none */
};

struct tend_prompt_host {
  void *self;
  /* What may follow the first `cursor` bytes of the line. */
  void (*complete)(void *self, const char *line, size_t cursor, struct tend_prompt_completion *out);
};

enum tend_prompt_end { TEND_PROMPT_LINE, TEND_PROMPT_INTERRUPTED, TEND_PROMPT_END };

struct tend_prompt {
  /* On standard input and output; NULL: no memory, or no terminal. history: lines that are kept. */
  void *(*open)(const struct tend_prompt_host *host, int history);
  /* *line: without its newline, valid until the next call. Ctrl-C gives up the line, Ctrl-D on an empty one ends. */
  enum tend_prompt_end (*read)(void *prompt, const char *text, const char **line);
  void (*remember)(void *prompt, const char *line);
  void (*close)(void *prompt);
};

#endif
