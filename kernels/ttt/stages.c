/* stages.c - the stages that the algorithms of TTT-Linear share. */
#include <math.h>

#include "ttt.h"

const struct map ttt_maps[TTT_MAPS] = {
    [TTT_OF_Q] = {.matrix = TTT_WQ},      [TTT_OF_K] = {.matrix = TTT_WK},
    [TTT_OF_V] = {.matrix = TTT_WV},      [TTT_OF_RATES] = {.matrix = TTT_WLR},
    [TTT_OF_OUTPUT] = {.matrix = TTT_WO},
};

static const float epsilon = 1e-6f;

int ttt_prepared(struct dims d, struct tensor out[OWN_PREPARED_MAX])
{
    const int64_t size = d.H / d.A;
    out[TTT_COS] = (struct tensor){.name = "cos", .shape = {TTT_BATCH, size}};
    out[TTT_SIN] = (struct tensor){.name = "sin", .shape = {TTT_BATCH, size}};
    return TTT_SIN + 1;
}

void ttt_prepare(struct instance *in)
{
    const int64_t size = in->dims.H / in->dims.A;
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

#if VMATH_LANES == 1

/* y = x turned: sine[] has the sign of the channel in it. n is even. */
static void turn(int64_t n, const float *x, const float *cosine, const float *sine, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * cosine[i] + x[i ^ 1] * sine[i];
}

#else

/* Lanes 2d and 2d+1 change places. */
static inline vfloat swap_pairs(vfloat x)
{
    typedef uint64_t vpair __attribute__((vector_size(VMATH_BYTES)));
    const vpair pairs = (vpair)x;
    return (vfloat)(pairs << 32 | pairs >> 32);
}

static inline void turn_lanes(int64_t lanes, const float *x, const float *cosine, const float *sine,
                              float *y)
{
    const vfloat v = v_load_head(x, lanes, 0.0f);
    v_store_head(
        y, v * v_load_head(cosine, lanes, 0.0f) + swap_pairs(v) * v_load_head(sine, lanes, 0.0f),
        lanes);
}

/* y = x turned: sine[] has the sign of the lane in it. n is even. */
static void turn(int64_t n, const float *x, const float *cosine, const float *sine, float *y)
{
    V_EACH(i, lanes, n, turn_lanes(lanes, x + i, cosine + i, sine + i, y + i));
}

#endif

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

    product(in, TTT_OF_Q, S, in->t[TTT_X], H, NULL, projected, row);
    product(in, TTT_OF_K, S, in->t[TTT_X], H, NULL, projected + H, row);
    product(in, TTT_OF_V, S, in->t[TTT_X], H, NULL, projected + 2 * H, row);
    product(in, TTT_OF_RATES, S, in->t[TTT_X], H, NULL, projected + 3 * H, row);
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
    product(in, TTT_OF_OUTPUT, S, projected, row, NULL, in->t[TTT_Y], H);
}

struct moments {
    float mean, scale; /* scale: 1 / deviation */
};

/* lanes of z + b, which takes z's place; returns them. */
static inline vfloat add_lanes(int64_t lanes, const float *b, float *z)
{
    const vfloat moved = v_load_head(z, lanes, 0.0f) + v_load_head(b, lanes, 0.0f);
    v_store_head(z, moved, lanes);
    return moved;
}

/* Of z + b, which takes z's place. */
static struct moments add_and_measure(int64_t n, const float *b, float *z)
{
    vfloat sum = {0};
    V_EACH(i, lanes, n, sum += add_lanes(lanes, b + i, z + i));
    const float mean = vmath_sum_lanes(sum) / (float)n;
    return (struct moments){mean, vmath_inverse_deviation(n, z, mean, epsilon)};
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
    V_EACH(i, lanes, n, pull_lanes(&p, i, lanes, g));
    const float mean = vmath_sum_lanes(p.sum) / (float)n;
    const float slope = vmath_sum_lanes(p.along) / (float)n;
    for (int64_t i = 0; i < n; i++) {
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
