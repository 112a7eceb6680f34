/*
 * gated_deltanet/chunked: T = 64 tokens of a head at a time by small sgemm and one triangular solve.
 * Equation    c = running sum of g within the chunk; D_ts = e^(c_t - c_s);
 *             L_ts = b_t D_ts (k_t k_s) for s < t; (I + L) U = b (V - e^c K S);
 *             O = e^c Q S + (Q K^T) D U, s <= t; then S = e^c_T S + (e^(c_T - c) K)^T U
 * Flops       in matrix products those of maps and convolutions, 6 S H D and H times the sum of
 *             7 T^2 - T; elementwise beside them S (14 H + 6 A) + A times the sum of 2 T (T + 1) + D^2;
 *             A (3 S + sum of T (T + 1) / 2) exp
 * Sequential  S, chunk after chunk, the products with it, and the solve
 * Source      Yang, Wang, Zhang, Shen, Kim 2024, arXiv:2406.06484, with the decay of the layer
 */
#include <math.h>
#include <string.h>

#include "gated_deltanet.h"

enum { PAIRS = DELTANET_OWN_SCRATCH, WEIGHTS, KEYS, UPDATES, OUT };

static struct cost cost(struct dims d)
{
    const int64_t SH = d.S * d.H, D = d.H / d.A;
    struct cost cost = deltanet_common_cost(d);
    cost.multiply_adds += 3 * SH * D;
    cost.elementwise += SH * 6;
    cost.sequential = 6 * SH * D;
    for (int64_t first = 0; first < d.S; first += DELTANET_TILE) {
        const int64_t T = at_most(d.S - first, DELTANET_TILE), pairs = T * (T + 1) / 2;
        cost.multiply_adds += d.H * (3 * T * T + T * (T - 1) / 2);
        cost.elementwise += d.A * (4 * pairs + D * D);
        cost.exps += d.A * (pairs + T);
    }
    return cost;
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const int64_t T = DELTANET_TILE, size = d.H / d.A;
    deltanet_scratch(d, out);
    out[PAIRS] = (struct tensor){.name = "L", .shape = {T, T}};
    out[WEIGHTS] = (struct tensor){.name = "weights", .shape = {T, T}};
    out[KEYS] = (struct tensor){.name = "keys", .shape = {T, size}};
    out[UPDATES] = (struct tensor){.name = "U", .shape = {T, size}};
    out[OUT] = (struct tensor){.name = "O", .shape = {T, size}};
    return OUT + 1;
}

/* Products of keys and queries of row t get their decays; what comes later than t becomes 0. */
static void weigh(int64_t T, int64_t t, const float *sums, float rate, float *pairs, float *weights)
{
    float decay[DELTANET_TILE];
    for (int64_t s = 0; s <= t; s++)
        decay[s] = sums[t] - sums[s];
    vmath_exp(t + 1, decay, decay);
    for (int64_t s = 0; s <= t; s++) {
        pairs[t * T + s] *= rate * decay[s];
        weights[t * T + s] *= decay[s];
    }
    memset(weights + t * T + t + 1, 0, (size_t)(T - t - 1) * sizeof(float));
}

/* U = b (V - e^c K S) before the solve, O = e^c Q S, and e^(c_T - c) K, of row t. */
static void scale_row(const struct deltanet_tile *tile, int64_t t, float kept, float left, float *U,
                      float *O, float *keys)
{
    const float *v = tile->v + t * tile->row, *k = tile->k + t * tile->row;
    const float rate = tile->rate[t * tile->heads];
    for (int64_t c = 0; c < tile->size; c++) {
        U[c] = rate * (v[c] - kept * U[c]);
        O[c] *= kept;
        keys[c] = left * k[c];
    }
}

static void core(const struct instance *in, const struct deltanet_tile *tile)
{
    const int64_t T = tile->tokens, size = tile->size, row = tile->row;
    float *pairs = in->scratch[PAIRS], *weights = in->scratch[WEIGHTS];
    float *keys = in->scratch[KEYS], *U = in->scratch[UPDATES], *O = in->scratch[OUT];
    float sums[DELTANET_TILE], kept[DELTANET_TILE], left[DELTANET_TILE];
    sgemm_nt(T, T, size, 1.0f, tile->k, row, tile->k, row, 0.0f, pairs, T);
    sgemm_nt(T, T, size, 1.0f, tile->q, row, tile->k, row, 0.0f, weights, T);
    sgemm_nn(T, size, size, tile->k, row, tile->S, size, 0.0f, U, size);
    sgemm_nn(T, size, size, tile->q, row, tile->S, size, 0.0f, O, size);
    for (int64_t t = 0; t < T; t++)
        sums[t] = (t ? sums[t - 1] : 0.0f) + tile->log_decay[t * tile->heads];
    for (int64_t t = 0; t < T; t++)
        left[t] = sums[T - 1] - sums[t];
    vmath_exp(T, sums, kept);
    vmath_exp(T, left, left);
    for (int64_t t = 0; t < T; t++) {
        weigh(T, t, sums, tile->rate[t * tile->heads], pairs, weights);
        scale_row(tile, t, kept[t], left[t], U + t * size, O + t * size, keys + t * size);
    }
    solve_unit_lower(T, size, pairs, T, U, size);
    sgemm_nn(T, size, T, weights, T, U, size, 1.0f, O, size);
    for (int64_t i = 0; i < size * size; i++)
        tile->S[i] *= kept[T - 1];
    sgemm_tn(size, size, T, keys, size, U, size, 1.0f, tile->S, size);
    for (int64_t t = 0; t < T; t++)
        memcpy(tile->v + t * row, O + t * size, (size_t)size * sizeof(float));
}

static void run(const struct instance *in)
{
    deltanet_run(in, core);
}

const struct algorithm gated_deltanet_chunked = {
    .name = "gated_deltanet/chunked",
    .method = "a chunk of tokens of a head at a time by sgemm and a triangular solve, S carried "
              "from chunk "
              "to chunk",
    .layer = &gated_deltanet_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    .maps = deltanet_maps,
    .map_count = DELTANET_MAPS,
    .prepared = deltanet_prepared,
    .prepare = deltanet_prepare,
    .cost = cost,
    .scratch = scratch,
    .run = run,
};
