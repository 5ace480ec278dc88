/* The rows of an answer as they come in, one by one, so that one that is too large is noticed before it fills the
 * memory; libpq alone would collect it whole. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "parts/postgres.h"

struct cell {
  size_t at;
  long len; /* -1: null */
};

void pg_rows_free(struct pg_rows *rows) {
  free(rows->text);
  free(rows->cells);
  *rows = (struct pg_rows){0};
}

static void *grown(void *p, size_t *cap, size_t need, size_t item) {
  if (need <= *cap) return p;
  size_t n = *cap ? *cap : 64;
  while (n < need) n *= 2;
  void *q = realloc(p, n * item);
  if (q) *cap = n;
  return q;
}

int pg_rows_add(struct pg_rows *rows, const PGresult *r) {
  size_t columns = (size_t)PQnfields(r), size = 0;
  for (int i = 0; i < (int)columns; i++) size += (size_t)PQgetlength(r, 0, i) + 1;
  size_t all = rows->text_len + size + (rows->n + 1) * columns * sizeof(struct cell);
  if (all > PG_ANSWER_MAX) return -E2BIG;
  char *text = grown(rows->text, &rows->text_cap, rows->text_len + size, 1);
  if (!text) return -ENOMEM;
  rows->text = text;
  struct cell *cells = grown(rows->cells, &rows->cells_cap, (rows->n + 1) * columns, sizeof *cells);
  if (!cells && columns) return -ENOMEM;
  rows->cells = cells;
  for (int i = 0; i < (int)columns; i++) {
    size_t len = (size_t)PQgetlength(r, 0, i);
    cells[rows->n * columns + (size_t)i] = (struct cell){rows->text_len, PQgetisnull(r, 0, i) ? -1 : (long)len};
    memcpy(text + rows->text_len, PQgetvalue(r, 0, i), len + 1); /* terminated by libpq */
    rows->text_len += len + 1;
  }
  rows->columns = columns;
  rows->n++;
  return 0;
}

const char *pg_rows_value(const struct pg_rows *rows, int row, int column, size_t *len) {
  if (row < 0 || column < 0 || (size_t)row >= rows->n || (size_t)column >= rows->columns) return NULL;
  const struct cell *cell = (const struct cell *)rows->cells + (size_t)row * rows->columns + (size_t)column;
  if (cell->len < 0) return NULL;
  *len = (size_t)cell->len;
  return rows->text + cell->at;
}
