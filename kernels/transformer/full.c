/* transformer/full: the scores of all heads are stored, A S^2 floats. Labels: layer.c. */
#include "blas.h"
#include "transformer.h"

enum { QKV, PROBS, CONTEXT, BRANCH, NORMED, HIDDEN };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[QKV] = (struct tensor){.name = "qkv", .shape = {d.S, 3 * d.H}};
    out[PROBS] = (struct tensor){.name = "probs", .shape = {d.A, d.S, d.S}};
    out[CONTEXT] = (struct tensor){.name = "context", .shape = {d.S, d.H}};
    out[BRANCH] = (struct tensor){.name = "branch", .shape = {d.S, d.H}};
    out[NORMED] = (struct tensor){.name = "normed", .shape = {d.S, d.H}};
    out[HIDDEN] = (struct tensor){.name = "hidden", .shape = {d.S, BLOCK_FFN_FACTOR * d.H}};
    return HIDDEN + 1;
}

static void run(const struct instance *in)
{
    const struct dims d = in->dims;
    float *qkv = in->scratch[QKV], *probs = in->scratch[PROBS], *context = in->scratch[CONTEXT];

    blas_linear(d.S, d.H, 3 * d.H, in->t[TRANSFORMER_X], in->t[TRANSFORMER_WQKV],
                in->t[TRANSFORMER_BQKV], qkv);
    for (int64_t head = 0; head < d.A; head++)
        transformer_head_scores(d, head, 0, d.S, qkv, probs + head * d.S * d.S);
    transformer_softmax_rows(d.A * d.S, d.S, probs, probs);
    for (int64_t head = 0; head < d.A; head++)
        transformer_head_weighted(d, head, 0, d.S, probs + head * d.S * d.S, qkv, context);
    transformer_finish(in, context, in->scratch[BRANCH], in->scratch[NORMED], in->scratch[HIDDEN]);
}

const struct kernel transformer_full = {
    .name = "transformer/full",
    .method = "QKV by sgemm, per head Q K^T, softmax, P V with the S x S scores stored, then FFN",
    .layer = &transformer_layer,
    .scratch = scratch,
    .run = run,
};
