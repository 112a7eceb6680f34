/*
 * mlstm/recurrent, mlstm.step: token after token, one head through the whole sequence at a time, so
 * that its state stays in L1.
 */
#include <math.h>

#include "common/state.h"
#include "mlstm.h"

enum { KEEP = MLSTM_OWN_SCRATCH, TAKE, FLOOR, KEY };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    mlstm_scratch(d, out);
    out[KEEP] = (struct tensor){.name = "keep", .shape = {d.S}};
    out[TAKE] = (struct tensor){.name = "take", .shape = {d.S}};
    out[FLOOR] = (struct tensor){.name = "floor", .shape = {d.S}};
    out[KEY] = (struct tensor){.name = "key", .shape = {mlstm_keys(d)}};
    return KEY + 1;
}

/* keep = e^(l + m - m'), take = e^(i - m'), floor = e^-m', for all tokens; m moves on. */
static void factors(const struct mlstm_head *h, float *keep, float *take, float *floor)
{
    float m = *h->m;
    for (int64_t s = 0; s < h->S; s++) {
        const float kept = h->log_f[s] + m;
        m = kept > h->i[s] ? kept : h->i[s];
        keep[s] = kept - m;
        take[s] = h->i[s] - m;
        floor[s] = -m;
    }
    *h->m = m;
    vmath_exp(h->S, keep, keep);
    vmath_exp(h->S, take, take);
    vmath_exp(h->S, floor, floor);
}

/* n = keep n + key; returns n q. */
static float step_sums(int64_t K, float keep, const float *key, const float *q, float *n)
{
    for (int64_t r = 0; r < K; r++)
        n[r] = keep * n[r] + key[r];
    return vmath_dot(K, n, q);
}

static void core(const struct instance *in, const struct mlstm_head *h)
{
    float *keep = in->scratch[KEEP], *take = in->scratch[TAKE], *floor = in->scratch[FLOOR];
    float *key = in->scratch[KEY];
    const int64_t K = h->keys, V = h->values;
    factors(h, keep, take, floor);
    for (int64_t s = 0; s < h->S; s++) {
        const float *q = h->q + s * h->row, *k = h->k + s * h->row;
        float *v = h->v + s * h->row;
        for (int64_t r = 0; r < K; r++)
            key[r] = take[s] * k[r];
        const float along = fabsf(step_sums(K, keep[s], key, q, h->n));
        state_step(K, V, keep[s], key, v, q, h->C, v);
        const float scale = 1.0f / ((along > floor[s] ? along : floor[s]) + mlstm_epsilon);
        for (int64_t c = 0; c < V; c++)
            v[c] *= scale;
    }
    multiply_adds_done += h->S * (2 * K * V + K);
}

static void run(const struct instance *in)
{
    mlstm_run(in, core);
}

const struct algorithm mlstm_recurrent = {
    .name = "mlstm/recurrent",
    .method = "projections, then per head and token a rank-1 update and C^T q",
    .layer = &mlstm_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    .maps = mlstm_maps,
    .map_count = MLSTM_MAPS,
    .scratch = scratch,
    .run = run,
};

const struct algorithm mlstm_step = {
    .name = "mlstm.step",
    .method = "one step of mlstm/recurrent",
    .layer = &mlstm_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    .products = PRODUCTS_STEP,
    .is_step = true,
    .maps = mlstm_maps,
    .map_count = MLSTM_MAPS,
    .scratch = scratch,
    .run = run,
};
