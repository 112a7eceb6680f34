/* mingru.h - the tensors of the minGRU layer and the recurrence that hoisted and step share. */
#ifndef SEQBENCH_MINGRU_H
#define SEQBENCH_MINGRU_H

#include "seqbench.h"

enum { MINGRU_X, MINGRU_W, MINGRU_B, MINGRU_Y };

extern const struct layer mingru_layer;

/* gates[2H] of one token before the sigmoid (z, candidate), h[H] -> h_next[H]. */
void mingru_update(int64_t H, const float *gates, const float *h, float *h_next);

#endif
