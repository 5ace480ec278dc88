/* Single operations on files, as scripts ask for them: run in place by `tend script`, and inside `tend helper fs` for
 * the engine, which must not hang on a dead mount.
 *
 *   stat PATH             {"type", "size", "mtime", "mode", "uid", "gid"}; type is file, directory, link or other
 *   list PATH             [{"name", "type"}], sorted by name
 *   read PATH             the bytes, from `offset`, at most `max`
 *   write PATH            data into a temporary file beside it, synced and renamed over it
 *   append PATH           data at the end, made when missing
 *   mkdir PATH            with its parents; no error when it is there
 *   rename PATH OTHER     within a file system
 *   remove PATH           a file, a link or an empty directory
 *   sync PATH             fsync of a file or directory
 *   tree PATH             {"entries": [{"path", "type", "size", "mtime"}], "left_out", …}: all below, at most `max`
 *   usage PATH            {"files", "directories", "bytes", "problems"}: of all below
 *   remove_tree PATH      all below, and it; refused for what cannot be meant (base/tree.h)
 *   space PATH            {"total", "free", "available"} bytes of its file system
 */
#ifndef TEND_BASE_FILEOP_H
#define TEND_BASE_FILEOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct fileop {
  const char *op, *path;
  const char *other; /* rename */
  const void *data;  /* write, append */
  size_t n;
  int64_t offset; /* read */
  size_t max;     /* read; list: entries; 0: the bounds of limits.h */
};

/* Whether it only looks. */
bool fileop_looks(const char *op);
/* 0 with the result appended to out (JSON, for read the bytes, for others nothing), or a negative errno with a message
 * that names the path. -ENOSYS: no such operation. */
int fileop_run(const struct fileop *f, struct buf *out, struct err *err);

#endif
