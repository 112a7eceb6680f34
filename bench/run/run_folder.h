/* run_folder.h - the files of a run, but for its samples: made once, read back for resuming. */
#ifndef SEQBENCH_RUN_FOLDER_H
#define SEQBENCH_RUN_FOLDER_H

#include <hwloc.h>
#include <limits.h>

#include "cases/plan.h"
#include "cases/settings.h"

/* The folder's name: as asked for, or results/<cpu>/<UTC time> when that is empty. */
void run_folder_name(const char *asked, char out[PATH_MAX]);

/* <folder>/<name> */
void run_folder_path(const char *folder, const char *name, char out[PATH_MAX]);

/*
 * Creates the folder, which must be new, with every file of a run, samples.csv still without a row;
 * or nothing at all. Fails with status 1 when a kernel fails its check.
 */
bool run_folder_create(const struct settings *settings, const struct plan *plan,
                       hwloc_topology_t topology, const char *folder, struct err *err);

/* Writes plan.csv again, whole or not at all. */
bool run_folder_write_plan(const struct plan *plan, const char *folder, struct err *err);

/* The settings that host.json of a run holds. */
bool run_folder_read_settings(const char *folder, struct settings *out, struct err *err);

/* Fails when the program, CPU or BLAS of the run is not the one at hand. */
bool run_folder_is_ours(const char *folder, hwloc_topology_t topology, struct err *err);

#endif
