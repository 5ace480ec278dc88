/* The operations of base/fileop.h that stand in fileop_tree.c. */
#ifndef TEND_BASE_FILEOP_INNER_H
#define TEND_BASE_FILEOP_INNER_H

#include "base/fileop.h"

int fileop_tree(const struct fileop *f, struct buf *out, struct err *err);
int fileop_usage(const struct fileop *f, struct buf *out, struct err *err);
int fileop_remove_tree(const struct fileop *f, struct buf *out, struct err *err);
int fileop_space(const struct fileop *f, struct buf *out, struct err *err);

#endif
