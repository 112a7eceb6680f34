/*
 * transformer.scores, .softmax and .weighted: the three stages of the attention, timed alone.
 * Equation    scores = Q K^T / sqrt(H/A); probs = softmax(scores); context = probs V
 * Shapes      qkv[S,3H] -> scores[A,S,S]; scores[A,S,S] -> probs[A,S,S];
 *             probs[A,S,S] qkv[S,3H] -> context[S,H]
 * Flops       2 S^2 H in each of the two products, S H elementwise for the scale;
 *             softmax A S (4S - 2) elementwise, A S^2 exp
 * Bytes       input and output once; scores and weighted use a part of qkv only, all is counted
 * State       none
 * Inputs      qkv in [-1,1]; scores in [-4,4]; probs in [0,2/S]
 * Timed       all heads. softmax reads one array and writes another, so that it can be repeated;
 *             transformer/full works in place and moves a third fewer bytes
 * Sequential  nothing
 * Source      the article's "scores", "softmax" and "weighted sum" of transformer/full
 */
#include <math.h>

#include "transformer.h"

/* scores */

enum { SCORES_QKV, SCORES_OUT };

static int scores_tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    out[SCORES_QKV] = (struct tensor){"qkv", INPUT, {d.S, 3 * d.H}, 0.0f, 1.0f};
    out[SCORES_OUT] = (struct tensor){"scores", OUTPUT, {d.A, d.S, d.S}, 0.0f, 0.0f};
    return SCORES_OUT + 1;
}

/* The scale counts as if it were applied to q. */
static struct cost scores_cost(struct dims d)
{
    return (struct cost){.multiply_adds = d.S * d.S * d.H, .elementwise = d.S * d.H};
}

static void scores_reference(struct dims d, double *const t[])
{
    const int64_t size = d.H / d.A;
    for (int64_t c = 0; c < d.A * d.S * d.S; c++)
        t[SCORES_OUT][c] = 0.0;
    for (int64_t s = 0; s < d.S; s++)
        for (int64_t j = 0; j < d.S; j++)
            for (int64_t c = 0; c < d.H; c++)
                t[SCORES_OUT][(c / size * d.S + s) * d.S + j] +=
                    t[SCORES_QKV][s * 3 * d.H + c] * t[SCORES_QKV][(j * 3 + 1) * d.H + c] /
                    sqrt((double)size);
}

static void scores_run(const struct instance *in)
{
    const struct dims d = in->dims;
    for (int64_t head = 0; head < d.A; head++)
        attention_scores(d, head, whole_square(d), in->t[SCORES_QKV],
                         in->t[SCORES_OUT] + head * d.S * d.S);
}

static const struct layer scores_layer = {
    .name = "transformer.scores",
    .equation = "scores = Q K^T / sqrt(H/A), all heads",
    .cells = CELLS_GRID,
    .uses = USES(A),
    .tensors = scores_tensors,
    .cost = scores_cost,
    .reference = scores_reference,
    .tolerance = 2e-6,
};

const struct algorithm transformer_scores = {
    .name = "transformer.scores",
    .method = "one sgemm per head, S x H/A by H/A x S",
    .layer = &scores_layer,
    PIECE_OF("transformer/full"),
    .run = scores_run,
};

/* softmax */

enum { SOFTMAX_SCORES, SOFTMAX_PROBS };

static int softmax_tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    out[SOFTMAX_SCORES] = (struct tensor){"scores", INPUT, {d.A, d.S, d.S}, 0.0f, 4.0f};
    out[SOFTMAX_PROBS] = (struct tensor){"probs", OUTPUT, {d.A, d.S, d.S}, 0.0f, 0.0f};
    return SOFTMAX_PROBS + 1;
}

static struct cost softmax_cost(struct dims d)
{
    return (struct cost){.elementwise = d.A * d.S * (4 * d.S - 2), .exps = d.A * d.S * d.S};
}

static void softmax_reference(struct dims d, double *const t[])
{
    for (int64_t row = 0; row < d.A * d.S; row++) {
        double sum = 0.0;
        for (int64_t j = 0; j < d.S; j++)
            sum += exp(t[SOFTMAX_SCORES][row * d.S + j]);
        for (int64_t j = 0; j < d.S; j++)
            t[SOFTMAX_PROBS][row * d.S + j] = exp(t[SOFTMAX_SCORES][row * d.S + j]) / sum;
    }
}

static void softmax_run(const struct instance *in)
{
    const struct dims d = in->dims;
    attention_softmax(d.A * d.S, d.S, in->t[SOFTMAX_SCORES], in->t[SOFTMAX_PROBS]);
}

static const struct layer softmax_layer = {
    .name = "transformer.softmax",
    .equation = "probs = softmax(scores), A S rows",
    .cells = CELLS_GRID,
    .uses = USES(A),
    .tensors = softmax_tensors,
    .cost = softmax_cost,
    .reference = softmax_reference,
    .tolerance = 1e-6,
};

const struct algorithm transformer_softmax = {
    .name = "transformer.softmax",
    .method = "vectorised rows: max, exp and sum, scale",
    .layer = &softmax_layer,
    .products = PRODUCTS_NONE,
    .run = softmax_run,
};

/* weighted */

enum { WEIGHTED_PROBS, WEIGHTED_QKV, WEIGHTED_CONTEXT };

static int weighted_tensors(struct dims d, struct tensor out[TENSOR_MAX])
{
    const float p = 1.0f / (float)d.S;
    out[WEIGHTED_PROBS] = (struct tensor){"probs", INPUT, {d.A, d.S, d.S}, p, p};
    out[WEIGHTED_QKV] = (struct tensor){"qkv", INPUT, {d.S, 3 * d.H}, 0.0f, 1.0f};
    out[WEIGHTED_CONTEXT] = (struct tensor){"context", OUTPUT, {d.S, d.H}, 0.0f, 0.0f};
    return WEIGHTED_CONTEXT + 1;
}

static struct cost weighted_cost(struct dims d)
{
    return (struct cost){.multiply_adds = d.S * d.S * d.H};
}

static void weighted_reference(struct dims d, double *const t[])
{
    const int64_t size = d.H / d.A;
    for (int64_t s = 0; s < d.S; s++)
        for (int64_t c = 0; c < d.H; c++) {
            double sum = 0.0;
            for (int64_t j = 0; j < d.S; j++)
                sum += t[WEIGHTED_PROBS][(c / size * d.S + s) * d.S + j] *
                       t[WEIGHTED_QKV][(j * 3 + 2) * d.H + c];
            t[WEIGHTED_CONTEXT][s * d.H + c] = sum;
        }
}

static void weighted_run(const struct instance *in)
{
    const struct dims d = in->dims;
    for (int64_t head = 0; head < d.A; head++)
        attention_weighted(d, head, whole_square(d), in->t[WEIGHTED_PROBS] + head * d.S * d.S,
                           in->t[WEIGHTED_QKV], in->t[WEIGHTED_CONTEXT]);
}

static const struct layer weighted_layer = {
    .name = "transformer.weighted",
    .equation = "context = probs V, all heads",
    .cells = CELLS_GRID,
    .uses = USES(A),
    .tensors = weighted_tensors,
    .cost = weighted_cost,
    .reference = weighted_reference,
    .tolerance = 2e-6,
};

const struct algorithm transformer_weighted = {
    .name = "transformer.weighted",
    .method = "one sgemm per head, S x S by S x H/A",
    .layer = &weighted_layer,
    PIECE_OF("transformer/full"),
    .run = weighted_run,
};
