/*
 * linear_attention/chunked: C = 64 tokens of a head at a time by small sgemm. Within a chunk all
 * pairs Q K^T, the upper triangle set to 0; what came before through M.
 * Equation    W = tril(Q K^T); N = W V + Q M; n = rowsum W + Q z + 1e-6; context = N / n;
 *             then M += K^T V, z += sum of the rows of K, with Q = f(q), K = f(k)
 * Flops       in matrix products 8 S H^2 + 4 S H H/A + 2 S H + 4 H sum of C^2, less what the first
 *             chunk saves, to which M and z are 0; elementwise also A sum of C (C + 1) / 2
 * Sequential  M and z, chunk after chunk, and the products with them
 */
#include <string.h>

#include "common/chunk.h"
#include "linear_attention.h"
#include "products.h"
#include "vmath.h"

enum { QKV, CONTEXT, MATRIX, SUM, WEIGHTS };
enum { CHUNK = STATE_CHUNK };

static struct cost cost(struct dims d)
{
    const int64_t S = d.S, H = d.H, size = d.H / d.A, late = S - at_most(S, CHUNK);
    const int64_t with_state = S * H * size + late * H * (size + 1);
    struct cost cost = {
        .multiply_adds = 4 * S * H * H + with_state,
        .elementwise = 4 * S * H + d.A * S,
        .exps = 2 * S * H,
        .sequential = 2 * with_state + S * H,
    };
    for (int64_t first = 0; first < S; first += CHUNK) {
        const int64_t rows = at_most(S - first, CHUNK);
        cost.multiply_adds += 2 * rows * rows * H;
        cost.elementwise += d.A * rows * (rows + 1) / 2;
    }
    return cost;
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const int64_t size = d.H / d.A;
    out[QKV] = (struct tensor){.name = "qkv", .shape = {d.S, 3 * d.H}};
    out[CONTEXT] = (struct tensor){.name = "context", .shape = {d.S, d.H}};
    out[MATRIX] = (struct tensor){.name = "M", .shape = {size, size}};
    out[SUM] = (struct tensor){.name = "z", .shape = {size}};
    out[WEIGHTS] = (struct tensor){.name = "weights", .shape = {CHUNK, CHUNK}};
    return WEIGHTS + 1;
}

/* Rows of stride `row`: q, k, v of a head's chunk, and its context. */
struct chunk {
    int64_t rows, size, row, context_row;
    float *q, *k, *v, *context;
    bool is_first;
};

static void apply_features(const struct chunk *c)
{
    for (int64_t r = 0; r < c->rows; r++) {
        linear_attention_features(c->size, c->q + r * c->row);
        linear_attention_features(c->size, c->k + r * c->row);
    }
}

/* Divides each row of the context by what its weights add up to. */
static void normalise(const struct chunk *c, const float *weights, const float *z)
{
    for (int64_t r = 0; r < c->rows; r++) {
        float sum = vmath_sum(r + 1, weights + r * c->rows) + linear_attention_epsilon;
        if (!c->is_first)
            sum += vmath_dot(c->size, c->q + r * c->row, z);
        float *context = c->context + r * c->context_row;
        const float scale = 1.0f / sum;
        for (int64_t i = 0; i < c->size; i++)
            context[i] *= scale;
    }
    multiply_adds_done += c->is_first ? 0 : c->rows * c->size;
}

static void add_keys(const struct chunk *c, float *z)
{
    if (c->is_first)
        memset(z, 0, (size_t)c->size * sizeof(float));
    for (int64_t r = 0; r < c->rows; r++)
        for (int64_t i = 0; i < c->size; i++)
            z[i] += c->k[r * c->row + i];
}

static void attend(const struct chunk *c, float *M, float *z, float *weights)
{
    const int64_t rows = c->rows, size = c->size, row = c->row;
    apply_features(c);
    sgemm_nt(rows, rows, size, 1.0f, c->q, row, c->k, row, 0.0f, weights, rows);
    for (int64_t r = 0; r < rows; r++)
        memset(weights + r * rows + r + 1, 0, (size_t)(rows - r - 1) * sizeof(float));
    sgemm_nn(rows, size, rows, weights, rows, c->v, row, 0.0f, c->context, c->context_row);
    if (!c->is_first)
        sgemm_nn(rows, size, size, c->q, row, M, size, 1.0f, c->context, c->context_row);
    normalise(c, weights, z);
    sgemm_tn(size, size, rows, c->k, row, c->v, row, c->is_first ? 0.0f : 1.0f, M, size);
    add_keys(c, z);
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H, size = H / in->dims.A;
    float *qkv = in->scratch[QKV], *context = in->scratch[CONTEXT];

    linear_attention_project(in, qkv);
    for (int64_t channel = 0; channel < H; channel += size)
        for (int64_t first = 0; first < S; first += CHUNK) {
            float *q = qkv + first * 3 * H + channel;
            const struct chunk chunk = {.rows = at_most(S - first, CHUNK),
                                        .size = size,
                                        .row = 3 * H,
                                        .context_row = H,
                                        .q = q,
                                        .k = q + H,
                                        .v = q + 2 * H,
                                        .context = context + first * H + channel,
                                        .is_first = first == 0};
            attend(&chunk, in->scratch[MATRIX], in->scratch[SUM], in->scratch[WEIGHTS]);
        }
    linear_attention_output(in, context);
}

const struct algorithm linear_attention_chunked = {
    .name = "linear_attention/chunked",
    .method = "a chunk of tokens of a head at a time by sgemm, M and z carried from chunk to chunk",
    .layer = &linear_attention_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    .maps = linear_attention_maps,
    .map_count = LINEAR_ATTENTION_MAPS,
    .cost = cost,
    .scratch = scratch,
    .run = run,
};
