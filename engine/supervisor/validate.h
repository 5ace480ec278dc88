/* The start-up validation: every check runs, whatever the others say, and all that is wrong is told together. Works on
 * the spot (a few system calls for each directory) and starts nothing; directories that are missing are made.
 */
#ifndef TEND_SUPERVISOR_VALIDATE_H
#define TEND_SUPERVISOR_VALIDATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "core/problem.h"
#include "core/settings.h"

enum validate_check {
  VALIDATE_ENVIRONMENT,
  VALIDATE_FLOW_NAME,
  VALIDATE_CONFIGURATION,
  VALIDATE_DIRECTORIES,
  VALIDATE_RESOURCE_LIMITS,
  VALIDATE_DISK_SPACE,
  VALIDATE_FLOW_FILE,
  VALIDATE_CHECKS
};

const char *validate_name(enum validate_check check); /* "environment" …, as in struct problem's check */

struct validate_directory {
  const char *name;   /* the setting or key path that names it */
  const char *path;   /* NULL: nothing to check */
  const char *source; /* where the path comes from */
  bool named;         /* somebody named it: it must work; else it is done without */
  bool make;          /* made when missing; else it must be there */
  bool usable;        /* result: it is there and can be written */
};

struct validate_input {
  const struct settings *settings;                   /* resolved */
  const char *cgroup_root;                           /* for cgroup_read: "" */
  bool uses_log_dir, uses_data_dir, uses_output_dir; /* the flow names them, so a default must work, too */
  struct validate_directory *directories;            /* more of them, of the plan; results are written there */
  size_t directories_n;
  bool dry; /* make nothing, write nothing: say what would happen */
};

struct validate_result {
  struct {
    bool ok;
    int64_t duration_ns; /* 0 for configuration and flow_file: these were read before */
  } checks[VALIDATE_CHECKS];
  bool log_dir, data_dir, output_dir; /* usable */
  struct buf without;                 /* what is done without, one line to be said once; empty: nothing */
};

/* Adds to problems, which holds already what reading the settings and the flow file told. Returns the number of errors
 * in the whole list. */
size_t validate_run(const struct validate_input *in, struct problems *problems, struct validate_result *out);
void validate_result_free(struct validate_result *r);

/* The details of validation_completed: {"checks": {"environment": true …}, "failures": […], "warnings": […]} as members
 * of the object that is open. */
void validate_json(const struct validate_result *r, const struct problems *problems, struct json *j);

#endif
