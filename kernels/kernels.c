#include "kernels.h"

#include "common/dot.h"

int64_t multiply_adds_done;

/* Algorithms and engines of libraries that need not be there. */
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

#ifdef SEQBENCH_BLIS
#define OF_BLIS(symbol) ENGINE(symbol)
#else
#define OF_BLIS(symbol)
#endif

/* Of instructions and vectors that a CPU need not have. */
#if DOTS_BF16
#define OF_DOTS_BF16(symbol) ALGORITHM(symbol)
#else
#define OF_DOTS_BF16(symbol)
#endif
#if DOTS_INT8
#define OF_DOTS_INT8(symbol) ALGORITHM(symbol)
#else
#define OF_DOTS_INT8(symbol)
#endif
#if VMATH_LANES >= 8
#define OF_WIDE_VECTORS(symbol) ENGINE(symbol)
#else
#define OF_WIDE_VECTORS(symbol)
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
