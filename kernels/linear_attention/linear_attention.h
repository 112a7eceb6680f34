/* linear_attention.h - the tensors of linear attention and what its algorithms share. */
#ifndef SEQBENCH_LINEAR_ATTENTION_H
#define SEQBENCH_LINEAR_ATTENTION_H

#include "products.h"

enum {
    LINEAR_ATTENTION_X,
    LINEAR_ATTENTION_WQKV,
    LINEAR_ATTENTION_BQKV,
    LINEAR_ATTENTION_WO,
    LINEAR_ATTENTION_BO,
    LINEAR_ATTENTION_Y,
};

extern const struct layer linear_attention_layer;

/* The linear maps of both algorithms. */
enum { LINEAR_ATTENTION_OF_QKV, LINEAR_ATTENTION_OF_OUTPUT, LINEAR_ATTENTION_MAPS };
extern const struct map linear_attention_maps[LINEAR_ATTENTION_MAPS];

/* Added to the denominator. */
extern const float linear_attention_epsilon;

/* qkv[S,3H], rows [q | k | v], the features not yet applied. */
void linear_attention_project(const struct instance *in, float *qkv);

/* x + 1 above 0, e^x elsewhere: elu(x) + 1, in place. */
void linear_attention_features(int64_t n, float *x);

/* y = Wo context + bo. context[S,H] */
void linear_attention_output(const struct instance *in, const float *context);

#endif
