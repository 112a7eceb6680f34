/*
 * ttt/dual: a mini-batch at once, as matrix products; the learned W_i of its tokens are never made:
 *     Z = K W + b, g = its gradients
 *     q_i W_i + b_i = q_i W + b - sum over j <= i of share_i rate_j (q_i k_j + 1) g_j
 *     W' = W - sum over j of share_15 rate_j k_j^T g_j, b' alike
 * Flops       per head and mini-batch of r tokens 4 r n^2 + 4 r^2 n in products, n = HeadSize, and
 *             32 n^2 for W' when it is full; 3 r (r + 1) / 2 elementwise, 32 n + 16 for the update
 */
#include <string.h>

#include "products.h"
#include "ttt.h"

/* LEFT: rows q_i, then minus what g_j weighs; RIGHT per head: W, then the g_j. */
enum { LEFT = TTT_OWN_SCRATCH, RIGHT, BIAS, PRODUCTS, Z };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const int64_t size = d.H / d.A, inner = size + TTT_BATCH;
    ttt_scratch(d, out);
    out[LEFT] = (struct tensor){.name = "left", .shape = {TTT_BATCH, inner}};
    out[RIGHT] = (struct tensor){.name = "right", .shape = {d.A, inner, size}};
    out[BIAS] = (struct tensor){.name = "b", .shape = {d.A, size}};
    out[PRODUCTS] = (struct tensor){.name = "qk", .shape = {TTT_BATCH, TTT_BATCH}};
    out[Z] = (struct tensor){.name = "z", .shape = {TTT_BATCH, size}};
    return Z + 1;
}

static struct cost cost(struct dims d)
{
    const int64_t n = d.H / d.A, full = d.S / TTT_BATCH, tail = d.S % TTT_BATCH;
    struct cost cost = ttt_common_cost(d);
    const int64_t squares = full * TTT_BATCH * TTT_BATCH + tail * tail;
    const int64_t update = full * TTT_BATCH * n * n,
                  learning = full * (2 * TTT_BATCH * n + TTT_BATCH);
    cost.multiply_adds += d.A * (2 * d.S * n * n + 2 * squares * n + update);
    cost.elementwise += d.A * ((squares + d.S) / 2 * 3 + learning);
    cost.sequential += d.A * (2 * (2 * d.S * n * n + squares * n + update) + learning);
    return cost;
}

/* Row i: q_i, then -share_i rate_j (q_i k_j + 1) up to j = i, then zeros. */
static void weigh(int64_t tokens, int64_t size, const float *q, const float *qk, const float *rates,
                  float *left)
{
    for (int64_t i = 0; i < tokens; i++) {
        const float share = 1.0f / (float)(i + 1);
        float *row = left + i * (size + TTT_BATCH);
        memcpy(row, q + i * size, (size_t)size * sizeof(float));
        for (int64_t j = 0; j < tokens; j++)
            row[size + j] = j <= i ? -share * rates[j] * (qk[i * tokens + j] + 1.0f) : 0.0f;
    }
}

/* W and b at the end of a full mini-batch; g[TTT_BATCH,size] is scaled. */
static void update(int64_t size, const float *k, const float *rates, float *g, float *W, float *b)
{
    for (int64_t j = 0; j < TTT_BATCH; j++) {
        const float step = rates[j] / TTT_BATCH;
        for (int64_t i = 0; i < size; i++) {
            g[j * size + i] *= -step;
            b[i] += g[j * size + i];
        }
    }
    sgemm_tn(size, size, TTT_BATCH, k, size, g, size, 1.0f, W, size);
}

static void core(const struct instance *in, const struct ttt_batch *batch)
{
    const int64_t tokens = batch->tokens, size = in->dims.H / in->dims.A, inner = size + TTT_BATCH;
    const float *q = in->scratch[TTT_Q], *k = in->scratch[TTT_K];
    float *W = in->scratch[RIGHT] + batch->head * inner * size, *g = W + size * size;
    float *b = in->scratch[BIAS] + batch->head * size, *z = in->scratch[Z];

    sgemm_nn(tokens, size, size, k, size, W, size, 0.0f, z, size);
    for (int64_t t = 0; t < tokens; t++)
        ttt_gradient(in, batch->head, b, k + t * size, batch->v + t * batch->stride, z + t * size,
                     g + t * size);
    sgemm_nt(tokens, tokens, size, 1.0f, q, size, k, size, 0.0f, in->scratch[PRODUCTS], tokens);
    weigh(tokens, size, q, in->scratch[PRODUCTS], batch->rates, in->scratch[LEFT]);
    sgemm_nn(tokens, size, size + tokens, in->scratch[LEFT], inner, W, size, 0.0f, z, size);
    for (int64_t t = 0; t < tokens; t++)
        ttt_output(in, batch->head, b, q + t * size, z + t * size, batch->out + t * batch->stride);
    if (tokens == TTT_BATCH)
        update(size, k, batch->rates, g, W, b);
}

static void run(const struct instance *in)
{
    const int64_t H = in->dims.H, A = in->dims.A, size = H / A;
    for (int64_t a = 0; a < A; a++)
        memcpy(in->scratch[RIGHT] + a * (size + TTT_BATCH) * size, in->t[TTT_W0] + a * size * size,
               (size_t)(size * size) * sizeof(float));
    memcpy(in->scratch[BIAS], in->t[TTT_B0], (size_t)H * sizeof(float));
    ttt_run(in, core);
}

const struct algorithm ttt_dual = {
    .name = "ttt/dual",
    .method = "a mini-batch of 16 tokens by sgemm; W changes once per mini-batch",
    .layer = &ttt_layer,
    .maps = ttt_maps,
    .map_count = TTT_MAPS,
    .cost = cost,
    .prepared = ttt_prepared,
    .prepare = ttt_prepare,
    .scratch = scratch,
    .run = run,
};
