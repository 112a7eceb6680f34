/* gru.h - the tensors of the GRU layer and the update that its variants share. */
#ifndef SEQBENCH_GRU_H
#define SEQBENCH_GRU_H

#include "seqbench.h"

enum { GRU_X, GRU_W, GRU_U, GRU_B, GRU_BN, GRU_Y };

extern const struct layer gru_layer;

/*
 * The rest of a step: wx[3H] = W x + b, from it h_next[H], which may be h. uh[3H] is scratch.
 */
void gru_finish_step(int64_t H, const float *wx, const float *h, const float *U, const float *bn,
                     float *uh, float *h_next);

#endif
