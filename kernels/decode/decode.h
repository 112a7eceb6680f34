/* decode.h - the tensors of the decode step: inputs, the parameters of block.h, outputs. */
#ifndef SEQBENCH_DECODE_H
#define SEQBENCH_DECODE_H

#include "common/block.h"

enum {
    DECODE_X,
    DECODE_K_CACHE,
    DECODE_V_CACHE,
    DECODE_PARAMETERS,
    DECODE_Y = DECODE_PARAMETERS + BLOCK_PARAMETERS,
    DECODE_K_NEW,
    DECODE_V_NEW,
};

extern const struct layer decode_layer;

/*
 * Context of a head: its S - 1 cached tokens and the new one. qkv[3H] with q scaled; caches
 * [A,S,H/A]; probs[S] is scratch; context[H].
 */
void decode_attend(struct dims d, int64_t head, const float *qkv, const float *k_cache,
                   const float *v_cache, float *probs, float *context);

#endif
