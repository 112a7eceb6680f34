/* kernels.h - kernels.def and engines.def as tables, in their order; each ends with NULL. */
#ifndef SEQBENCH_KERNELS_H
#define SEQBENCH_KERNELS_H

#include "products.h"

extern const struct algorithm *const algorithms[];
extern const struct engine *const engines[];

#endif
