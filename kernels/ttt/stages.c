/* stages.c - the stages that the variants of TTT-Linear share. Labels: layer.c. */
#include <math.h>
#include <string.h>

#include "blas.h"
#include "ttt.h"
#include "vmath.h"

static const float epsilon = 1e-6f;

int ttt_prepared(struct dims d, struct tensor out[PREPARED_MAX])
{
    const int64_t size = d.H / d.A;
    out[TTT_STACK] = (struct tensor){.name = "stack", .shape = {3 * d.H + d.A, d.H}};
    out[TTT_COS] = (struct tensor){.name = "cos", .shape = {TTT_BATCH, size}};
    out[TTT_SIN] = (struct tensor){.name = "sin", .shape = {TTT_BATCH, size}};
    return TTT_SIN + 1;
}

void ttt_prepare(struct instance *in)
{
    const int64_t H = in->dims.H, size = H / in->dims.A;
    float *stack = in->prepared[TTT_STACK];
    for (int part = 0; part < 3; part++)
        memcpy(stack + part * H * H, in->t[TTT_WQ + part], (size_t)(H * H) * sizeof(float));
    memcpy(stack + 3 * H * H, in->t[TTT_WLR], (size_t)(in->dims.A * H) * sizeof(float));
    for (int64_t i = 0; i < TTT_BATCH; i++)
        for (int64_t d = 0; d < size; d++) {
            const double angle = (double)i * pow(10000.0, -(double)(d - d % 2) / (double)size);
            in->prepared[TTT_COS][i * size + d] = (float)cos(angle);
            in->prepared[TTT_SIN][i * size + d] = (float)(d % 2 ? sin(angle) : -sin(angle));
        }
}

int ttt_scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const int64_t size = d.H / d.A;
    out[TTT_PROJECTED] = (struct tensor){.name = "projected", .shape = {d.S, 3 * d.H + d.A}};
    out[TTT_Q] = (struct tensor){.name = "q", .shape = {TTT_BATCH, size}};
    out[TTT_K] = (struct tensor){.name = "k", .shape = {TTT_BATCH, size}};
    out[TTT_RATES] = (struct tensor){.name = "rates", .shape = {d.A, TTT_BATCH}};
    return TTT_OWN_SCRATCH;
}

/* Lanes 2d and 2d+1 change places. */
static inline vfloat swap_pairs(vfloat x)
{
    typedef uint64_t vpair __attribute__((vector_size(VMATH_BYTES)));
    const vpair pairs = (vpair)x;
    return (vfloat)(pairs << 32 | pairs >> 32);
}

/* y = x turned: sine[] has the sign of the lane in it. n is even. */
static void turn(int64_t n, const float *x, const float *cosine, const float *sine, float *y)
{
    int64_t i = 0;
    for (; i + VMATH_LANES <= n; i += VMATH_LANES) {
        const vfloat v = v_load(x + i);
        v_store(y + i, v * v_load(cosine + i) + swap_pairs(v) * v_load(sine + i));
    }
    if (i < n) {
        const vfloat v = v_load_head(x + i, n - i, 0.0f);
        v_store_head(y + i,
                     v * v_load_head(cosine + i, n - i, 0.0f) +
                         swap_pairs(v) * v_load_head(sine + i, n - i, 0.0f),
                     n - i);
    }
}

/* rates[A,TTT_BATCH] = sigmoid(raw + blr) / HeadSize; raw[tokens,stride] */
static void learning_rates(const struct instance *in, int64_t tokens, const float *raw,
                           int64_t stride, float *rates)
{
    const int64_t A = in->dims.A;
    const float scale = (float)A / (float)in->dims.H;
    for (int64_t a = 0; a < A; a++) {
        float *row = rates + a * TTT_BATCH;
        for (int64_t t = 0; t < tokens; t++)
            row[t] = raw[t * stride + a] + in->t[TTT_BLR][a];
        vmath_sigmoid(tokens, row, row);
        for (int64_t t = 0; t < tokens; t++)
            row[t] *= scale;
    }
}

void ttt_run(const struct instance *in,
             void (*core)(const struct instance *in, const struct ttt_batch *batch))
{
    const int64_t S = in->dims.S, H = in->dims.H, A = in->dims.A, size = H / A, row = 3 * H + A;
    const float *cosine = in->prepared[TTT_COS], *sine = in->prepared[TTT_SIN];
    float *projected = in->scratch[TTT_PROJECTED], *rates = in->scratch[TTT_RATES];

    blas_sgemm_nt(S, row, H, 1.0f, in->t[TTT_X], H, in->prepared[TTT_STACK], H, 0.0f, projected,
                  row);
    for (int64_t first = 0; first < S; first += TTT_BATCH) {
        const int64_t tokens = at_most(S - first, TTT_BATCH);
        float *rows = projected + first * row;
        learning_rates(in, tokens, rows + 3 * H, row, rates);
        for (int64_t a = 0; a < A; a++) {
            float *q = rows + a * size, *k = q + H, *v = k + H;
            for (int64_t t = 0; t < tokens; t++) {
                turn(size, q + t * row, cosine + t * size, sine + t * size,
                     in->scratch[TTT_Q] + t * size);
                turn(size, k + t * row, cosine + t * size, sine + t * size,
                     in->scratch[TTT_K] + t * size);
            }
            core(in, &(struct ttt_batch){tokens, a, row, v, rates + a * TTT_BATCH, q});
        }
        for (int64_t t = 0; t < tokens; t++)
            vmath_layer_norm(H, rows + t * row, in->t[TTT_POST_G], in->t[TTT_POST_B], epsilon,
                             rows + t * row);
    }
    blas_sgemm_nt(S, H, H, 1.0f, projected, row, in->t[TTT_WO], H, 0.0f, in->t[TTT_Y], H);
}

struct moments {
    float mean, scale; /* scale: 1 / deviation */
};

/* Of z + b, which takes z's place. */
static struct moments add_and_measure(int64_t n, const float *b, float *z)
{
    vfloat sum = {0}, squares = {0};
    int64_t i = 0;
    for (; i + VMATH_LANES <= n; i += VMATH_LANES) {
        const vfloat moved = v_load(z + i) + v_load(b + i);
        v_store(z + i, moved);
        sum += moved;
    }
    if (i < n) {
        const vfloat moved = v_load_head(z + i, n - i, 0.0f) + v_load_head(b + i, n - i, 0.0f);
        v_store_head(z + i, moved, n - i);
        sum += moved;
    }
    const float mean = vmath_sum_lanes(sum) / (float)n;
    for (i = 0; i + VMATH_LANES <= n; i += VMATH_LANES) {
        const vfloat d = v_load(z + i) - mean;
        squares += d * d;
    }
    if (i < n) {
        const vfloat d = v_load_head(z + i, n - i, mean) - mean;
        squares += d * d;
    }
    const float variance = vmath_sum_lanes(squares) / (float)n;
    return (struct moments){mean, 1.0f / sqrtf(variance + epsilon)};
}

struct pull {
    const float *gain, *bias, *k, *v, *z;
    struct moments of;
    vfloat sum, along; /* of e, of e hat */
};

/* e = (gain hat + bias - (v - k)) gain of the lanes at i, where n <= VMATH_LANES are left. */
static inline __attribute__((always_inline)) void pull_lanes(struct pull *p, int64_t i, int64_t n,
                                                             float *e)
{
    const vfloat hat = (v_load_head(p->z + i, n, p->of.mean) - p->of.mean) * p->of.scale;
    const vfloat gain = v_load_head(p->gain + i, n, 0.0f);
    const vfloat target = v_load_head(p->v + i, n, 0.0f) - v_load_head(p->k + i, n, 0.0f);
    const vfloat pull = (gain * hat + v_load_head(p->bias + i, n, 0.0f) - target) * gain;
    p->sum += pull;
    p->along += pull * hat;
    v_store_head(e + i, pull, n);
}

void ttt_gradient(const struct instance *in, int64_t head, const float *b, const float *k,
                  const float *v, float *z, float *g)
{
    const int64_t n = in->dims.H / in->dims.A;
    struct pull p = {.gain = in->t[TTT_LN_G] + head * n,
                     .bias = in->t[TTT_LN_B] + head * n,
                     .k = k,
                     .v = v,
                     .z = z,
                     .of = add_and_measure(n, b, z)};
    int64_t i = 0;
    for (; i + VMATH_LANES <= n; i += VMATH_LANES)
        pull_lanes(&p, i, VMATH_LANES, g);
    if (i < n)
        pull_lanes(&p, i, n - i, g);
    const float mean = vmath_sum_lanes(p.sum) / (float)n;
    const float slope = vmath_sum_lanes(p.along) / (float)n;
    for (i = 0; i < n; i++) {
        const float hat = (z[i] - p.of.mean) * p.of.scale;
        g[i] = (g[i] - mean - hat * slope) * p.of.scale;
    }
}

void ttt_output(const struct instance *in, int64_t head, const float *b, const float *q, float *z,
                float *out)
{
    const int64_t n = in->dims.H / in->dims.A;
    const float *gain = in->t[TTT_LN_G] + head * n, *bias = in->t[TTT_LN_B] + head * n;
    const struct moments of = add_and_measure(n, b, z);
    for (int64_t i = 0; i < n; i++)
        out[i] = q[i] + (z[i] - of.mean) * of.scale * gain[i] + bias[i];
}
