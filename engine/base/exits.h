/* Exit codes of tend: EXIT_USAGE, EXIT_CONFIG …, from their one table. EXIT_SIGNALED + N is the end by signal N. */
#ifndef TEND_BASE_EXITS_H
#define TEND_BASE_EXITS_H

enum exit_code {
#define X(id, code, meaning, look) EXIT_##id = (code),
#include "base/exits.def"
#undef X
};

#endif
