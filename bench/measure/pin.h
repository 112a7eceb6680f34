/* pin.h - which core to measure on, and staying there. */
#ifndef SEQBENCH_PIN_H
#define SEQBENCH_PIN_H

#include <hwloc.h>
#include <stdint.h>

#include "err.h"

/* The topology of this system; destroy with hwloc_topology_destroy. */
bool topology_load(hwloc_topology_t *out, struct err *err);

/*
 * A core that this process may run on. requested < 0: the fastest kind of core where kinds are
 * known, and not core 0 when there is another, since core 0 takes most interrupts.
 */
bool pin_choose(hwloc_topology_t topology, int requested, int *cpu, struct err *err);

/* Binds this thread to the core and verifies that it runs there. */
bool pin_bind(hwloc_topology_t topology, int cpu, struct err *err);

/* Efficiency rank of the core among the kinds of this machine, or -1 when unknown. */
int pin_core_kind(hwloc_topology_t topology, int cpu);

/* Size of the last cache level that the core can use, or 0 when unknown. */
int64_t pin_last_level_bytes(hwloc_topology_t topology, int cpu);

/* Switches flush-to-zero and denormals-are-zero, and reads back whether they are so. */
bool pin_set_flush_to_zero(bool on);

/* Real-time scheduling of this process, of the lowest priority that has it; or none again. */
bool pin_set_fifo(bool on, struct err *err);

#endif
