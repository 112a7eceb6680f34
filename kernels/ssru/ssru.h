/* ssru.h - the tensors of the SSRU and the update that its algorithms share. */
#ifndef SEQBENCH_SSRU_H
#define SEQBENCH_SSRU_H

#include "products.h"

enum { SSRU_X, SSRU_C0, SSRU_W, SSRU_WF, SSRU_BF, SSRU_Y, SSRU_C_LAST };

extern const struct layer ssru_layer;

/* The linear maps: of the candidate and of the forget gate. */
enum { SSRU_OF_CANDIDATE, SSRU_OF_GATE, SSRU_MAPS };
extern const struct map ssru_maps[SSRU_MAPS];

/* gates[tokens,2H] from x[tokens,H], rows [candidate | gate]. */
static inline void ssru_project(const struct instance *in, int64_t tokens, const float *x,
                                float *gates)
{
    const int64_t H = in->dims.H;
    product(in, SSRU_OF_CANDIDATE, tokens, x, H, NULL, gates, 2 * H);
    product(in, SSRU_OF_GATE, tokens, x, H, NULL, gates + H, 2 * H);
}

/* The state of a vector of channels behind a token whose gates[2H] start at them. */
static inline __attribute__((always_inline)) vfloat ssru_next(int64_t H, int64_t lanes,
                                                              const float *gates, vfloat c)
{
    const vfloat candidate = v_load_head(gates, lanes, 0.0f);
    return candidate + v_sigmoid(v_load_head(gates + H, lanes, 0.0f)) * (c - candidate);
}

#endif
