#include "kernels.h"

int64_t multiply_adds_done;

/* Algorithms of libraries that need not be there. */
#ifdef SEQBENCH_ONEDNN
#define OF_ONEDNN(symbol) ALGORITHM(symbol)
#else
#define OF_ONEDNN(symbol)
#endif
#ifdef SEQBENCH_EIGEN
#define OF_EIGEN(symbol) ALGORITHM(symbol)
#else
#define OF_EIGEN(symbol)
#endif

#define ALGORITHM(symbol) extern const struct algorithm symbol;
#include "kernels.def"
#undef ALGORITHM
#define ENGINE(symbol) extern const struct engine symbol;
#include "engines.def"
#undef ENGINE

const struct algorithm *const algorithms[] = {
#define ALGORITHM(symbol) &symbol,
#include "kernels.def"
#undef ALGORITHM
    NULL,
};

const struct engine *const engines[] = {
#define ENGINE(symbol) &symbol,
#include "engines.def"
#undef ENGINE
    NULL,
};
