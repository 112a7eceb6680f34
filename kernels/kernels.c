#include "kernels.h"

int64_t multiply_adds_done;

/* An algorithm of a library that need not be there. */
#ifdef SEQBENCH_ONEDNN
#define PEER(symbol) ALGORITHM(symbol)
#else
#define PEER(symbol)
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
