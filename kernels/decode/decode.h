/* decode.h - the tensors of the decode step: inputs, the parameters of block.h, outputs. */
#ifndef SEQBENCH_DECODE_H
#define SEQBENCH_DECODE_H

#include "common/attend_one.h"
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

#endif
