/*
 * mlstm/chunked: C = 64 tokens of a head at a time by small sgemm. Within a chunk all pairs Q K^T,
 * weighted; what came before through C and n.
 * Equation    b = running sum of l within the chunk; m_t = max(b_t + m, max over s <= t of
 *             b_t - b_s + i_s); D_ts = e^(b_t - b_s + i_s - m_t) for s <= t;
 *             P = (Q K^T) D; g_t = e^(b_t + m - m_t); N = P V + g Q C; d = rowsum P + g Q n;
 *             h = N / (max(|d|, e^-m_t) + 1e-6); then C = g_T C + K'^T V, n = g_T n + sum of K',
 *             K'_s = e^(b_T - b_s + i_s - m_T) k_s, m = m_T
 * Flops       in matrix products 8 S H^2 + 4 S A H + S A (4 K V + 2 K) + 2 A (K + V) sum of C^2;
 *             exp A (sum of C (C + 1) / 2 + 3 S) and one softplus per gate
 * Sequential  C and n, chunk after chunk, and the products with them
 */
#include <math.h>
#include <string.h>

#include "common/chunk.h"
#include "mlstm.h"

enum { WEIGHTS = MLSTM_OWN_SCRATCH, QUERIES, KEYS, SUMS };
enum { CHUNK = STATE_CHUNK };

static struct cost cost(struct dims d)
{
    const int64_t S = d.S, SA = S * d.A, K = mlstm_keys(d), V = mlstm_values(d);
    struct cost cost = mlstm_common_cost(d);
    cost.multiply_adds += SA * (2 * K * V + K);
    cost.elementwise += SA * (3 * K + V + 8);
    cost.exps += 3 * SA;
    cost.sequential = SA * (4 * K * V + 2 * K);
    for (int64_t first = 0; first < S; first += CHUNK) {
        const int64_t rows = at_most(S - first, CHUNK);
        cost.multiply_adds += d.A * rows * rows * (K + V);
        cost.elementwise += d.A * 3 * rows * (rows + 1) / 2;
        cost.exps += d.A * rows * (rows + 1) / 2;
    }
    return cost;
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    mlstm_scratch(d, out);
    out[WEIGHTS] = (struct tensor){.name = "weights", .shape = {CHUNK, CHUNK}};
    out[QUERIES] = (struct tensor){.name = "queries", .shape = {CHUNK, mlstm_keys(d)}};
    out[KEYS] = (struct tensor){.name = "keys", .shape = {CHUNK, mlstm_keys(d)}};
    out[SUMS] = (struct tensor){.name = "sums", .shape = {CHUNK, mlstm_values(d)}};
    return SUMS + 1;
}

/* Of each token of a chunk: b, i - b, m, and of the state before what is left, e^(b + m - m_t). */
struct gates {
    float b[CHUNK], source[CHUNK], m[CHUNK], kept[CHUNK], floor[CHUNK];
};

static void running(const struct mlstm_head *h, int64_t first, int64_t rows, struct gates *g)
{
    float sum = 0.0f, top = *h->m;
    for (int64_t t = 0; t < rows; t++) {
        sum += h->log_f[first + t];
        g->b[t] = sum;
        g->source[t] = h->i[first + t] - sum;
        top = g->source[t] > top ? g->source[t] : top;
        g->m[t] = sum + top;
        g->kept[t] = *h->m - top;
        g->floor[t] = -g->m[t];
    }
    vmath_exp(rows, g->kept, g->kept);
    vmath_exp(rows, g->floor, g->floor);
}

/* weights[t,s] times e^(b_t - b_s + i_s - m_t), 0 for s > t; the sum of the row is returned. */
static float weigh(int64_t rows, int64_t t, const struct gates *g, float *weights)
{
    float factor[CHUNK];
    for (int64_t s = 0; s <= t; s++)
        factor[s] = g->source[s] + (g->b[t] - g->m[t]);
    vmath_exp(t + 1, factor, factor);
    for (int64_t s = 0; s <= t; s++)
        weights[s] *= factor[s];
    memset(weights + t + 1, 0, (size_t)(rows - t - 1) * sizeof(float));
    return vmath_sum(t + 1, weights);
}

/* queries = g Q; returns of each row the sum of its weights and g Q n. */
static void prepare_rows(const struct instance *in, const struct mlstm_head *h, int64_t first,
                         int64_t rows, const struct gates *g, float *along)
{
    float *queries = in->scratch[QUERIES];
    for (int64_t t = 0; t < rows; t++) {
        const float *q = h->q + (first + t) * h->row;
        for (int64_t r = 0; r < h->keys; r++)
            queries[t * h->keys + r] = g->kept[t] * q[r];
        along[t] = weigh(rows, t, g, in->scratch[WEIGHTS] + t * rows) +
                   vmath_dot(h->keys, queries + t * h->keys, h->n);
    }
    multiply_adds_done += rows * h->keys;
}

/* keys = e^(b_T - b_s + i_s - m_T) K; n moves on. */
static void move_sums(const struct mlstm_head *h, int64_t first, int64_t rows,
                      const struct gates *g, float *keys)
{
    const int64_t K = h->keys, last = rows - 1;
    float take[CHUNK];
    for (int64_t s = 0; s < rows; s++)
        take[s] = g->source[s] + (g->b[last] - g->m[last]);
    vmath_exp(rows, take, take);
    for (int64_t r = 0; r < K; r++)
        h->n[r] *= g->kept[last];
    for (int64_t s = 0; s < rows; s++)
        for (int64_t r = 0; r < K; r++) {
            keys[s * K + r] = take[s] * h->k[(first + s) * h->row + r];
            h->n[r] += keys[s * K + r];
        }
}

static void chunk(const struct instance *in, const struct mlstm_head *h, int64_t first,
                  int64_t rows)
{
    const int64_t K = h->keys, V = h->values, row = h->row;
    float *weights = in->scratch[WEIGHTS], *keys = in->scratch[KEYS], *sums = in->scratch[SUMS];
    float *v = h->v + first * row, along[CHUNK];
    struct gates g;
    running(h, first, rows, &g);
    sgemm_nt(rows, rows, K, 1.0f, h->q + first * row, row, h->k + first * row, row, 0.0f, weights,
             rows);
    prepare_rows(in, h, first, rows, &g, along);
    sgemm_nn(rows, V, rows, weights, rows, v, row, 0.0f, sums, V);
    sgemm_nn(rows, V, K, in->scratch[QUERIES], K, h->C, V, 1.0f, sums, V);
    move_sums(h, first, rows, &g, keys);
    for (int64_t i = 0; i < K * V; i++)
        h->C[i] *= g.kept[rows - 1];
    sgemm_tn(K, V, rows, keys, K, v, row, 1.0f, h->C, V);
    *h->m = g.m[rows - 1];
    for (int64_t t = 0; t < rows; t++) {
        const float size = fabsf(along[t]);
        const float scale = 1.0f / ((size > g.floor[t] ? size : g.floor[t]) + mlstm_epsilon);
        for (int64_t c = 0; c < V; c++)
            v[t * row + c] = sums[t * V + c] * scale;
    }
}

static void core(const struct instance *in, const struct mlstm_head *h)
{
    for (int64_t first = 0; first < h->S; first += CHUNK)
        chunk(in, h, first, at_most(h->S - first, CHUNK));
}

static void run(const struct instance *in)
{
    mlstm_run(in, core);
}

const struct algorithm mlstm_chunked = {
    .name = "mlstm/chunked",
    .method = "a chunk of tokens of a head at a time by sgemm, C and n carried from chunk to chunk",
    .layer = &mlstm_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    .maps = mlstm_maps,
    .map_count = MLSTM_MAPS,
    .cost = cost,
    .scratch = scratch,
    .run = run,
};
