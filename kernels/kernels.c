/* kernels.c - kernels.def as declarations and as a table. */
#include "seqbench.h"

int64_t multiply_adds_done;

/* A kernel of a library that need not be there. */
#ifdef SEQBENCH_ONEDNN
#define PEER(symbol) KERNEL(symbol)
#else
#define PEER(symbol)
#endif

#define KERNEL(symbol) extern const struct kernel symbol;
#include "kernels.def"
#undef KERNEL

const struct kernel *const kernels[] = {
#define KERNEL(symbol) &symbol,
#include "kernels.def"
#undef KERNEL
    0,
};
