/* run_folder.h - the files of a run, but for its samples: made once, read back for resuming. */
#ifndef SEQBENCH_RUN_FOLDER_H
#define SEQBENCH_RUN_FOLDER_H

#include <hwloc.h>
#include <limits.h>

#include "cases/plan.h"
#include "run/round.h"
#include "run/runner.h"

/* The folder's name: as asked for, or results/<cpu>/<UTC time>. */
void run_folder_name(const struct run_options *options, char out[PATH_MAX]);

/* <folder>/<name> */
void run_folder_path(const char *folder, const char *name, char out[PATH_MAX]);

/*
 * Creates the folder, which must be new, with every file of a run but an
 * empty samples.csv; or nothing at all. Fails with status 1 when a kernel fails its check.
 */
bool run_folder_create(const struct run_options *options, const struct plan *plan,
                       hwloc_topology_t topology, const char *folder, struct err *err);

/* Writes plan.csv again, whole or not at all. */
bool run_folder_write_plan(const struct plan *plan, const char *folder, struct err *err);

/* Settings of a run that is to be resumed; fails when this program, CPU or BLAS is another. */
bool run_folder_read_settings(const char *folder, hwloc_topology_t topology, struct settings *out,
                              struct err *err);

#endif
