/*
 * supra/chunked: C = 64 tokens of a head at a time by small sgemm. Within a chunk all pairs Q K^T
 * times g^(i-j), 0 above the diagonal; what came before through M.
 * Equation    W_ij = g^(i-j) q_i k_j for j <= i; context_i = sum_j W_ij v_j + g^(i+1) q_i M;
 *             then M = g^C M + sum_i g^(C-1-i) k_i v_i^T
 * Flops       in matrix products 12 S H^2 + 4 S H H/A + 4 H sum of C^2, less what the first chunk
 *             saves, to which M is 0; elementwise S (14 H + A), A sum of C (C + 1) / 2 for W, 2 S H
 *             for the decays of q and k, H H/A per chunk for that of M, again less in the first
 * Sequential  M, chunk after chunk, and the products with it
 */
#include <string.h>

#include "products.h"
#include "supra.h"

enum { CONTEXT = SUPRA_SCRATCH, WEIGHTS, DECAYED };

static struct cost cost(struct dims d)
{
    const int64_t S = d.S, H = d.H, size = d.H / d.A, late = S - at_most(S, SUPRA_CHUNK);
    struct cost cost = supra_maps_cost(d);
    cost.multiply_adds += (S + late) * H * size;
    cost.elementwise += (S + late) * H;
    cost.sequential = 2 * (S + late) * H * size;
    for (int64_t first = 0; first < S; first += SUPRA_CHUNK) {
        const int64_t rows = at_most(S - first, SUPRA_CHUNK), decayed = first > 0 ? H * size : 0;
        cost.multiply_adds += 2 * rows * rows * H;
        cost.elementwise += d.A * rows * (rows + 1) / 2 + decayed;
        cost.sequential += decayed;
    }
    return cost;
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    supra_scratch(d, out);
    out[CONTEXT] = (struct tensor){.name = "context", .shape = {d.S, d.H}};
    out[WEIGHTS] = (struct tensor){.name = "weights", .shape = {SUPRA_CHUNK, SUPRA_CHUNK}};
    out[DECAYED] = (struct tensor){.name = "decayed", .shape = {SUPRA_CHUNK, d.H / d.A}};
    return DECAYED + 1;
}

/* A chunk of a head: its rows lie H apart. powers[n] = g^n */
struct chunk {
    int64_t rows, size, H;
    const float *q, *k, *v, *powers;
    float *context;
    bool is_first;
};

/* weights[rows,rows] times g^(i-j); the exponent's difference, as g^-j alone may overflow. */
static void decay_weights(const struct chunk *c, float *weights)
{
    for (int64_t i = 0; i < c->rows; i++) {
        float *row = weights + i * c->rows;
        for (int64_t j = 0; j <= i; j++)
            row[j] *= c->powers[i - j];
        memset(row + i + 1, 0, (size_t)(c->rows - i - 1) * sizeof(float));
    }
}

/* decayed[rows,size]: row i of x times powers[first + step i]. */
static void decay_rows(const struct chunk *c, const float *x, int64_t first, int64_t step,
                       float *decayed)
{
    for (int64_t i = 0; i < c->rows; i++) {
        const float power = c->powers[first + step * i];
        for (int64_t n = 0; n < c->size; n++)
            decayed[i * c->size + n] = power * x[i * c->H + n];
    }
}

static void attend(const struct chunk *c, float *M, float *weights, float *decayed)
{
    const int64_t rows = c->rows, size = c->size, H = c->H;
    sgemm_nt(rows, rows, size, 1.0f, c->q, H, c->k, H, 0.0f, weights, rows);
    decay_weights(c, weights);
    sgemm_nn(rows, size, rows, weights, rows, c->v, H, 0.0f, c->context, H);
    if (!c->is_first) {
        decay_rows(c, c->q, 1, 1, decayed);
        sgemm_nn(rows, size, size, decayed, size, M, size, 1.0f, c->context, H);
    }
    decay_rows(c, c->k, rows - 1, -1, decayed);
    sgemm_tn(size, size, rows, decayed, size, c->v, H, c->is_first ? 0.0f : c->powers[rows], M,
             size);
}

static void run(const struct instance *in)
{
    const struct dims d = in->dims;
    const int64_t SH = d.S * d.H;

    supra_begin(in);
    for (int64_t head = 0; head < d.A; head++)
        for (int64_t first = 0; first < d.S; first += SUPRA_CHUNK) {
            const int64_t at = first * d.H + head * (d.H / d.A);
            const struct chunk chunk = {.rows = at_most(d.S - first, SUPRA_CHUNK),
                                        .size = d.H / d.A,
                                        .H = d.H,
                                        .q = in->scratch[SUPRA_FEATURES] + at,
                                        .k = in->scratch[SUPRA_FEATURES] + SH + at,
                                        .v = in->scratch[SUPRA_QKV] + 2 * SH + at,
                                        .powers = supra_powers(in, head),
                                        .context = in->scratch[CONTEXT] + at,
                                        .is_first = first == 0};
            attend(&chunk, in->scratch[SUPRA_STATE], in->scratch[WEIGHTS], in->scratch[DECAYED]);
        }
    supra_finish(in, in->scratch[CONTEXT]);
}

const struct algorithm supra_chunked = {
    .name = "supra/chunked",
    .method = "a chunk of tokens of a head at a time by sgemm, M carried from chunk to chunk",
    .layer = &supra_layer,
    .maps = supra_maps,
    .map_count = SUPRA_MAPS,
    .cost = cost,
    .prepared = supra_prepared,
    .prepare = supra_prepare,
    .scratch = scratch,
    .run = run,
};
