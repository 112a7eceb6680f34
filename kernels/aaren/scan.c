/*
 * aaren/scan: token after token. The maxima come first, so that all exponentials of a block of
 * tokens are taken at once; then u and w of one head after the other.
 */
#include <string.h>

#include "aaren.h"
#include "vmath.h"

enum { KV, SCORES, FACTORS, MAXIMA, SUMS, WEIGHTED };
enum { BLOCK = 64 };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[KV] = (struct tensor){.name = "kv", .shape = {d.S, 2 * d.H}};
    out[SCORES] = (struct tensor){.name = "scores", .shape = {d.S, d.A}};
    out[FACTORS] = (struct tensor){.name = "factors", .shape = {BLOCK, 2, d.A}};
    out[MAXIMA] = (struct tensor){.name = "m", .shape = {d.A}};
    out[SUMS] = (struct tensor){.name = "u", .shape = {d.A}};
    out[WEIGHTED] = (struct tensor){.name = "w", .shape = {d.H}};
    return WEIGHTED + 1;
}

/* factors[rows,2,A]: what the sum so far and the new token are multiplied by. m is moved on. */
static void find_factors(int64_t rows, int64_t A, const float *scores, float *m, float *factors)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t head = 0; head < A; head++) {
            const float score = scores[r * A + head];
            const float next = score > m[head] ? score : m[head];
            factors[2 * r * A + head] = m[head] - next;
            factors[(2 * r + 1) * A + head] = score - next;
            m[head] = next;
        }
    vmath_exp(2 * rows * A, factors, factors);
}

/* w = keep w + take v; v becomes w / u. */
static inline void join(int64_t size, float keep, float take, float scale, float *restrict w,
                        float *restrict v)
{
    for (int64_t c = 0; c < size; c++) {
        w[c] = keep * w[c] + take * v[c];
        v[c] = scale * w[c];
    }
}

static void join_rows(int64_t rows, struct dims d, const float *factors, float *u, float *w,
                      float *v)
{
    const int64_t A = d.A, size = d.H / A;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t head = 0; head < A; head++) {
            const float keep = factors[2 * r * A + head], take = factors[(2 * r + 1) * A + head];
            u[head] = keep * u[head] + take;
            join(size, keep, take, 1.0f / u[head], w + head * size, v + r * 2 * d.H + head * size);
        }
}

static void run(const struct instance *in)
{
    const struct dims d = in->dims;
    float *kv = in->scratch[KV], *scores = in->scratch[SCORES], *m = in->scratch[MAXIMA];
    float *u = in->scratch[SUMS], *w = in->scratch[WEIGHTED];

    aaren_begin(in, kv, scores);
    memcpy(m, scores, (size_t)d.A * sizeof(float)); /* e^0 times nothing: no infinity needed */
    memset(u, 0, (size_t)d.A * sizeof(float));
    memset(w, 0, (size_t)d.H * sizeof(float));
    for (int64_t first = 0; first < d.S; first += BLOCK) {
        const int64_t rows = at_most(d.S - first, BLOCK);
        find_factors(rows, d.A, scores + first * d.A, m, in->scratch[FACTORS]);
        join_rows(rows, d, in->scratch[FACTORS], u, w, kv + first * 2 * d.H + d.H);
    }
    aaren_finish(in, kv);
}

const struct algorithm aaren_scan = {
    .name = "aaren/scan",
    .method = "keys and values, then m, u and w token after token",
    .layer = &aaren_layer,
    .maps = aaren_maps,
    .map_count = AAREN_MAPS,
    .scratch = scratch,
    .run = run,
};
