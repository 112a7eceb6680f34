/* tcn.h - the tensors of the causal convolution block and the passes that its algorithms share. */
#ifndef SEQBENCH_TCN_H
#define SEQBENCH_TCN_H

#include "products.h"

enum { TCN_X, TCN_W1, TCN_B1, TCN_W2, TCN_B2, TCN_Y };

enum { TCN_TAPS = 3, TCN_DILATION = 2 }; /* K, d */

extern const struct layer tcn_layer;

/* How many tokens back tap j looks: (K - 1 - j) d. */
static inline int64_t tcn_delay(int64_t tap)
{
    return (TCN_TAPS - 1 - tap) * TCN_DILATION;
}

/* max(v, 0) of n floats, in place */
void tcn_rectify(int64_t n, float *v);

/* y = relu(relu(v) + x), n floats. y may be v. */
void tcn_add_residual(int64_t n, const float *v, const float *x, float *y);

#endif
