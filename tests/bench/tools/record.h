/* What a measured child tells the bench through the FIFO; one write, so never torn. */
#pragma once

#include <stdint.h>

struct record {
  int64_t ns;   /* CLOCK_MONOTONIC */
  int32_t pid;  /* in its own PID namespace */
  int32_t kind; /* 'S': its first instruction, 'T': first instruction of its handler of SIGTERM */
};
