/*
 * transformer.ffn: the feed-forward network, timed alone.
 * Equation    y = W2 relu(W1 x + b1) + b2, F = 4H
 * Shapes      x[S,H] W1[F,H] b1[F] W2[H,F] b2[H] -> y[S,H]
 * Flops       16 S H^2 in matrix products; S F elementwise
 * Bytes       weights, input and output once
 * State       none
 * Inputs      x in [-1,1]; W1, b1 in [-1/sqrt H, 1/sqrt H]; W2, b2 in [-1/sqrt F, 1/sqrt F]
 * Timed       both products and the activation. Sequential: nothing
 * Source      the article's "FFN" of transformer/full
 */
#include <math.h>

#include "transformer.h"

enum { X, W1, B1, W2, B2, Y };

static const struct map maps[] = {{.matrix = W1, .bias = B1, .relu = true},
                                  {.matrix = W2, .bias = B2}};

static int tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const int64_t F = BLOCK_FFN_FACTOR * d.H;
    const float w1 = 1.0f / sqrtf((float)d.H), w2 = 1.0f / sqrtf((float)F);
    out[X] = (struct tensor){"x", INPUT, {d.S, d.H}, 0.0f, 1.0f};
    out[W1] = (struct tensor){"W1", PARAMETER, {F, d.H}, 0.0f, w1};
    out[B1] = (struct tensor){"b1", PARAMETER, {F}, 0.0f, w1};
    out[W2] = (struct tensor){"W2", PARAMETER, {d.H, F}, 0.0f, w2};
    out[B2] = (struct tensor){"b2", PARAMETER, {d.H}, 0.0f, w2};
    out[Y] = (struct tensor){"y", OUTPUT, {d.S, d.H}, 0.0f, 0.0f};
    return Y + 1;
}

static struct cost cost(struct dims d)
{
    const int64_t F = BLOCK_FFN_FACTOR * d.H;
    return (struct cost){.multiply_adds = 2 * d.S * d.H * F, .elementwise = d.S * F};
}

static void reference(struct dims d, double *const t[])
{
    const int64_t H = d.H, F = BLOCK_FFN_FACTOR * d.H;
    for (int64_t s = 0; s < d.S; s++) {
        for (int64_t o = 0; o < H; o++)
            t[Y][s * H + o] = t[B2][o];
        for (int64_t f = 0; f < F; f++) {
            double hidden = t[B1][f];
            for (int64_t i = 0; i < H; i++)
                hidden += t[W1][f * H + i] * t[X][s * H + i];
            for (int64_t o = 0; o < H && hidden > 0.0; o++)
                t[Y][s * H + o] += t[W2][o * F + f] * hidden;
        }
    }
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "hidden", .shape = {d.S, BLOCK_FFN_FACTOR * d.H}};
    return 1;
}

static void run(const struct instance *in)
{
    transformer_feed_forward(in, 0, in->t[X], in->scratch[0], in->t[Y]);
}

static const struct layer layer = {
    .name = "transformer.ffn",
    .equation = "y = W2 relu(W1 x + b1) + b2",
    .cells = CELLS_GRID,
    .tensors = tensors,
    .cost = cost,
    .reference = reference,
    .tolerance = 2e-6,
};

const struct algorithm transformer_ffn = {
    .name = "transformer.ffn",
    .method = "two products, ReLU between them",
    .layer = &layer,
    PIECE_OF("transformer/full"),
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};
