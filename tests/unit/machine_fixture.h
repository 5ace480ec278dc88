/* One process with the defaults, and four: for scenarios. */
#ifndef TESTS_MACHINE_FIXTURE_H
#define TESTS_MACHINE_FIXTURE_H

#include "machine_trace.h"

static struct machine_how main_how;
static struct machine_process main_process;
static struct machine_config config;

static UNUSED int reset(void **state) {
  (void)state;
  main_how = (struct machine_how){.mode = MODE_SINGLE, .interval_ns = S(300), .restart = RESTART_DEFAULTS};
  main_process = (struct machine_process){.name = "main", .how = &main_how, .main = true, .instances = 1};
  config = (struct machine_config){.shutdown_timeout_ns = S(25), .processes = 1, .process = &main_process};
  return 0;
}

/* database <- worker x2 <- main; metrics stands alone */
static struct machine_how several_how[4];
static struct machine_process several[4];
static const uint16_t after_database[] = {0}, after_worker[] = {1};

static UNUSED void make_several(void) {
  for (int i = 0; i < 4; i++) {
    several[i] = main_process;
    several[i].main = i == 2;
    several_how[i] = main_how;
    several_how[i].mode = MODE_SERVER;
    several[i].how = &several_how[i];
  }
  several[1].instances = 2;
  several[1].after = after_database;
  several[2].after = after_worker;
  several[1].n_after = several[2].n_after = 1;
  config.processes = 4;
  config.process = several;
}

#define SCENARIO(f) cmocka_unit_test_setup(f, reset)

#endif
