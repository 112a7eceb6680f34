/*
 * joined.h - a matrix with its bias as one more column, for steps of small layers: one walk through
 * it gives all gates of a step. Odd steps walk backward, over what the step before read last; but
 * not where little of that is left in the nearest caches, as prefetchers do better forward.
 */
#ifndef SEQBENCH_JOINED_H
#define SEQBENCH_JOINED_H

#include <string.h>

#include "products.h"

/* Made by the algorithm, rows in their order; the vector that it multiplies ends with a 1. */
#define JOINED_MAP(made)                                                                           \
    {                                                                                              \
        .matrix = (made), .is_made = true, .one_row = true, .gates = 1, .gate_vectors = 1          \
    }

/* Floats of a buffer of so many gates, from which whole vectors are read at each channel. */
static inline int64_t joined_room(const struct map *map, int64_t rows)
{
    return map_rows(map, rows) + VMATH_LANES;
}

enum { BACK_FLOATS = 1 << 19 }; /* 2 MiB, twice a usual L2: about half of them are found there */

/* Whether step s walks backward, where all matrices of a step have so many floats together. */
static inline bool joined_backward(const struct instance *in, int64_t s, int64_t floats)
{
    return floats <= BACK_FLOATS && (in->run_number * in->dims.S + s) % 2;
}

/* out[rows] = W x by the map-th map; out has joined_room. */
static inline void joined_product(const struct instance *in, int map, bool backward, const float *x,
                                  float *out)
{
    const struct weights *w = &in->weights[map];
    const int64_t width = WALK_VECTORS * VMATH_LANES, panels = (w->rows + width - 1) / width;
    for (int64_t i = 0; i < panels; i++) {
        const int64_t first = (backward ? panels - 1 - i : i) * width;
        const int64_t vectors = at_most(w->rows - first, width) / VMATH_LANES;
        vfloat sums[WALK_VECTORS] = {(vfloat){0}};
        in->engine->walk(w, first, vectors, backward, x, sums);
        for (int64_t v = 0; v < vectors; v++)
            v_store(out + first + v * VMATH_LANES, sums[v]);
    }
}

#endif
