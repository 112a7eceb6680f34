/*
 * aaren/tree: the parallel prefix scan of Brent and Kung (the inclusive form of Blelloch's), in
 * place and for any S: up, token i takes in token i - n for every 2n-th i; down, those in between.
 * About 2 S joins, in 2 log2 S dependent levels instead of S steps.
 * Flops       elementwise A S for the scale of the scores, (6A + 3H) per join, A S + S H for w / u;
 *             2 A exp per join
 * Sequential  nothing: the levels are as many as log2 S
 */
#include "aaren.h"
#include "vmath.h"

enum { KV, MAXIMA, SUMS, FACTORS };

static int64_t joins(int64_t S)
{
    int64_t count = 0;
    for (int64_t n = 1; n < S; n *= 2)
        count += S / (2 * n) + (S - n) / (2 * n);
    return count;
}

static struct cost cost(struct dims d)
{
    struct cost cost = aaren_maps_cost(d);
    cost.elementwise += joins(d.S) * (6 * d.A + 3 * d.H) + d.S * (d.A + d.H);
    cost.exps = 2 * d.A * joins(d.S);
    return cost;
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[KV] = (struct tensor){.name = "kv", .shape = {d.S, 2 * d.H}};
    out[MAXIMA] = (struct tensor){.name = "m", .shape = {d.S, d.A}};
    out[SUMS] = (struct tensor){.name = "u", .shape = {d.S, d.A}};
    out[FACTORS] = (struct tensor){.name = "factors", .shape = {2, d.A}};
    return FACTORS + 1;
}

/* All elements, token by token; w is where v was. */
struct elements {
    int64_t A, size;
    float *m, *u, *w, *factors;
};

static inline void add_scaled(int64_t size, float own, float other, const float *restrict from,
                              float *restrict w)
{
    for (int64_t c = 0; c < size; c++)
        w[c] = own * w[c] + other * from[c];
}

/* Element to takes in element from, which ends where to begins. */
static void join(const struct elements *e, int64_t from, int64_t to)
{
    const int64_t A = e->A, row = 2 * A * e->size;
    float *m = e->m + to * A, *u = e->u + to * A, *own = e->factors, *other = own + A;
    const float *m_from = e->m + from * A, *u_from = e->u + from * A;
    for (int64_t head = 0; head < A; head++) {
        const float top = m[head] > m_from[head] ? m[head] : m_from[head];
        own[head] = m[head] - top;
        other[head] = m_from[head] - top;
        m[head] = top;
    }
    vmath_exp(2 * A, own, own);
    for (int64_t head = 0; head < A; head++) {
        u[head] = own[head] * u[head] + other[head] * u_from[head];
        add_scaled(e->size, own[head], other[head], e->w + from * row + head * e->size,
                   e->w + to * row + head * e->size);
    }
}

static void scan(int64_t S, const struct elements *e)
{
    int64_t n = 1;
    for (; n < S; n *= 2)
        for (int64_t i = 2 * n - 1; i < S; i += 2 * n)
            join(e, i - n, i);
    for (; n > 0; n /= 2)
        for (int64_t i = 3 * n - 1; i < S; i += 2 * n)
            join(e, i - n, i);
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H, A = in->dims.A, size = H / A;
    float *kv = in->scratch[KV], *u = in->scratch[SUMS];
    const struct elements elements = {A, size,   in->scratch[MAXIMA],
                                      u, kv + H, in->scratch[FACTORS]};

    aaren_begin(in, kv, elements.m);
    for (int64_t i = 0; i < S * A; i++)
        u[i] = 1.0f;
    scan(S, &elements);
    for (int64_t s = 0; s < S; s++)
        for (int64_t head = 0; head < A; head++) {
            float *o = kv + (2 * s + 1) * H + head * size;
            const float scale = 1.0f / u[s * A + head];
            for (int64_t c = 0; c < size; c++)
                o[c] *= scale;
        }
    aaren_finish(in, kv);
}

const struct algorithm aaren_tree = {
    .name = "aaren/tree",
    .method =
        "the same joins as a parallel prefix scan (Brent-Kung): twice the joins, log2 S levels",
    .layer = &aaren_layer,
    .maps = aaren_maps,
    .map_count = AAREN_MAPS,
    .cost = cost,
    .scratch = scratch,
    .run = run,
};
