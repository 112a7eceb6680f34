/*
 * linear_attention/recurrent: token after token, one head through the whole sequence at a time, so
 * that its state stays in L1.
 */
#include <string.h>

#include "common/state.h"
#include "linear_attention.h"
#include "products.h"

enum { QKV, CONTEXT, MATRIX, SUM };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const int64_t size = d.H / d.A;
    out[QKV] = (struct tensor){.name = "qkv", .shape = {d.S, 3 * d.H}};
    out[CONTEXT] = (struct tensor){.name = "context", .shape = {d.S, d.H}};
    out[MATRIX] = (struct tensor){.name = "M", .shape = {size, size}};
    out[SUM] = (struct tensor){.name = "z", .shape = {size}};
    return SUM + 1;
}

/* One token of one head. */
static void step(int64_t size, float *q, float *k, const float *v, float *M, float *z,
                 float *context)
{
    linear_attention_features(size, q);
    linear_attention_features(size, k);
    for (int64_t c = 0; c < size; c++)
        z[c] += k[c];
    state_step(size, size, 1.0f, k, v, q, M, context);
    const float scale = 1.0f / (vmath_dot(size, q, z) + linear_attention_epsilon);
    for (int64_t c = 0; c < size; c++)
        context[c] *= scale;
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H, size = H / in->dims.A;
    float *qkv = in->scratch[QKV], *context = in->scratch[CONTEXT];
    float *M = in->scratch[MATRIX], *z = in->scratch[SUM];

    linear_attention_project(in, qkv);
    for (int64_t first = 0; first < H; first += size) {
        memset(M, 0, (size_t)(size * size) * sizeof(float));
        memset(z, 0, (size_t)size * sizeof(float));
        for (int64_t s = 0; s < S; s++) {
            float *q = qkv + s * 3 * H + first;
            step(size, q, q + H, q + 2 * H, M, z, context + s * H + first);
        }
    }
    multiply_adds_done += 2 * S * H * size + S * H;
    linear_attention_output(in, context);
}

const struct algorithm linear_attention_recurrent = {
    .name = "linear_attention/recurrent",
    .method = "projections, then per head and token a rank-1 update and M^T q",
    .layer = &linear_attention_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    .maps = linear_attention_maps,
    .map_count = LINEAR_ATTENTION_MAPS,
    .scratch = scratch,
    .run = run,
};
