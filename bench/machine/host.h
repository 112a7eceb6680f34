/* host.h - who this machine is: host.json and topology.xml. */
#ifndef SEQBENCH_HOST_H
#define SEQBENCH_HOST_H

#include <cjson/cJSON.h>
#include <hwloc.h>
#include <stdio.h>

#include "err.h"

/* Machine, build and libraries, as seen from the core; release with cJSON_Delete. */
cJSON *host_describe(hwloc_topology_t topology, int cpu);

/* Of this build, and the day of its release, as 2024-05-06. */
const char *host_version(void);
const char *host_released(void);

/* What --version says: version, commit, compiler and libraries. */
void host_print_version(FILE *out);

/* The CPU's name as a folder name: "amd-epyc-25-17"; without family and model where
   the name has a number of its own. */
void host_cpu_slug(char *out, size_t size);

/* hwloc's XML without host name, serial numbers and addresses. */
bool host_write_topology(hwloc_topology_t topology, const char *path, struct err *err);

/* Fails when the BLAS at hand has more than one thread. */
bool host_blas_is_serial(struct err *err);

#endif
