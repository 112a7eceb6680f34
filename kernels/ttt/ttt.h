/*
 * ttt.h - the tensors of the TTT-Linear layer and the pieces that its algorithms share.
 * HeadSize is H/A. The inner model of a head is W[HeadSize,HeadSize], from inputs to outputs, and
 * b[HeadSize]; it learns from mini-batches of 16 tokens, the last of which may be short.
 */
#ifndef SEQBENCH_TTT_H
#define SEQBENCH_TTT_H

#include "products.h"

enum {
    TTT_X,
    TTT_WQ,
    TTT_WK,
    TTT_WV,
    TTT_WO,
    TTT_WLR,
    TTT_BLR,
    TTT_LN_G,
    TTT_LN_B,
    TTT_W0,
    TTT_B0,
    TTT_POST_G,
    TTT_POST_B,
    TTT_Y,
};

enum { TTT_BATCH = 16 };

extern const struct layer ttt_layer;

/* What every algorithm does; the products with the inner model and its update come on top. */
struct cost ttt_common_cost(struct dims d);

/* The linear maps of both algorithms. */
enum { TTT_OF_Q, TTT_OF_K, TTT_OF_V, TTT_OF_RATES, TTT_OF_OUTPUT, TTT_MAPS };
extern const struct map ttt_maps[TTT_MAPS];

/* What prepare makes: RoPE's turns[TTT_BATCH,HeadSize]. */
enum { TTT_COS, TTT_SIN };
int ttt_prepared(struct dims d, struct tensor out[OWN_PREPARED_MAX]);
void ttt_prepare(struct instance *in);

/*
 * One head in one mini-batch. v[tokens,stride] is read, out[tokens,stride] takes q + LN(z);
 * rates[tokens] are learning rates over HeadSize.
 */
struct ttt_batch {
    int64_t tokens, head, stride;
    const float *v, *rates;
    float *out;
};

/* Buffers that all algorithms need; their own come behind. */
enum { TTT_PROJECTED, TTT_Q, TTT_K, TTT_RATES, TTT_OWN_SCRATCH };
int ttt_scratch(struct dims d, struct tensor out[SCRATCH_MAX]);

/*
 * The layer from x to y; core is called for each mini-batch and head with scratch TTT_Q and TTT_K
 * [TTT_BATCH,HeadSize] filled.
 */
void ttt_run(const struct instance *in,
             void (*core)(const struct instance *in, const struct ttt_batch *batch));

/*
 * The gradient of 1/2 |LN(z) - (v - k)|^2 with respect to z, one token: z[HeadSize] to g. z is
 * k W; b is added to it in place.
 */
void ttt_gradient(const struct instance *in, int64_t head, const float *b, const float *k,
                  const float *v, float *z, float *g);

/* out = q + LN(z + b), one token */
void ttt_output(const struct instance *in, int64_t head, const float *b, const float *q, float *z,
                float *out);

#endif
