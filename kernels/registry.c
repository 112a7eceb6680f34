/* registry.c - kernels.def as declarations and as a table. */
#include "blas.h"
#include "seqbench.h"

int64_t blas_multiply_adds;

#define KERNEL(symbol) extern const struct kernel symbol;
#include "kernels.def"
#undef KERNEL

const struct kernel *const kernels[] = {
#define KERNEL(symbol) &symbol,
#include "kernels.def"
#undef KERNEL
    0,
};
