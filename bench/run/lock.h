/* lock.h - one run per core at a time. */
#ifndef SEQBENCH_LOCK_H
#define SEQBENCH_LOCK_H

#include <stdint.h>

#include "err.h"

/*
 * Holds the core until the process ends. When another run holds it, waits up to wait_s seconds;
 * then fails and says which process that is and where it writes.
 */
bool lock_core(int cpu, const char *folder, int64_t wait_s, struct err *err);

#endif
