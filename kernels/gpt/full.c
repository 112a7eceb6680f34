/* gpt/full: the scores of all heads are stored, A S^2 floats, and masked. */
#include "gpt.h"

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const int count = gpt_scratch(d, out);
    out[GPT_SCORES] = (struct tensor){.name = "probs", .shape = {d.A, d.S, d.S}};
    return count + 1;
}

/* One sequence: qkv[S,qkv_channels] to context[S,H]. */
static void attend(struct dims d, const float *qkv, float *probs, float *context)
{
    for (int64_t head = 0; head < d.A; head++)
        attention_scores(d, head, whole_square(d), qkv, probs + head * d.S * d.S);
    for (int64_t head = 0; head < d.A; head++)
        attention_causal_softmax(d, whole_square(d), probs + head * d.S * d.S);
    for (int64_t head = 0; head < d.A; head++)
        attention_weighted(d, head, whole_square(d), probs + head * d.S * d.S, qkv, context);
}

static void run(const struct instance *in)
{
    gpt_run(in, attend);
}

const struct algorithm gpt_full = {
    .name = "gpt/full",
    .method = "per head the whole S x S square of Q K^T, softmax of the lower triangle, P V",
    .layer = &gpt_layer,
    .batch_rows = BATCH_GROUP,
    .maps = gpt_maps,
    .map_count = BLOCK_MAPS,
    .scratch = scratch,
    .run = run,
};
