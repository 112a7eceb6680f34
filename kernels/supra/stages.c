/* stages.c - what the algorithms of SUPRA share. */
#include <math.h>

#include "supra.h"

const struct map supra_maps[SUPRA_MAPS] = {
    [SUPRA_OF_Q] = {SUPRA_WQKV, .part = 0, .parts = 3},
    [SUPRA_OF_K] = {SUPRA_WQKV, .part = 1, .parts = 3},
    [SUPRA_OF_V] = {SUPRA_WQKV, .part = 2, .parts = 3},
    [SUPRA_OF_FEATURES] = {SUPRA_WE, .bias = SUPRA_BE},
    [SUPRA_OF_OUTPUT] = {SUPRA_WO},
};

static const float group_norm_epsilon = 1e-5f;

int supra_prepared(struct dims d, struct tensor out[OWN_PREPARED_MAX])
{
    const int64_t half = d.H / d.A / 2;
    out[SUPRA_COS] = (struct tensor){.name = "cos", .shape = {d.S, half}};
    out[SUPRA_SIN] = (struct tensor){.name = "sin", .shape = {d.S, half}};
    out[SUPRA_POWERS] = (struct tensor){.name = "powers", .shape = {d.A, SUPRA_CHUNK + 1}};
    return SUPRA_POWERS + 1;
}

void supra_prepare(struct instance *in)
{
    const int64_t half = in->dims.H / in->dims.A / 2;
    for (int64_t c = 0; c < half; c++) {
        const double frequency = pow(10000.0, -(double)c / (double)half);
        for (int64_t t = 0; t < in->dims.S; t++) {
            in->prepared[SUPRA_COS][t * half + c] = (float)cos((double)t * frequency);
            in->prepared[SUPRA_SIN][t * half + c] = (float)sin((double)t * frequency);
        }
    }
    float *power = in->prepared[SUPRA_POWERS];
    for (int64_t head = 0; head < in->dims.A; head++) {
        const double slope = pow(2.0, -8.0 * (double)(head + 1) / (double)in->dims.A);
        for (int64_t n = 0; n <= SUPRA_CHUNK; n++)
            *power++ = (float)exp(-slope * (double)n);
    }
}

const float *supra_powers(const struct instance *in, int64_t head)
{
    return in->prepared[SUPRA_POWERS] + head * (SUPRA_CHUNK + 1);
}

int supra_scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const int64_t size = d.H / d.A;
    out[SUPRA_QKV] = (struct tensor){.name = "qkv", .shape = {3, d.S, d.H}};
    out[SUPRA_FEATURES] = (struct tensor){.name = "features", .shape = {2, d.S, d.H}};
    out[SUPRA_STATE] = (struct tensor){.name = "state", .shape = {size, size}};
    return SUPRA_SCRATCH;
}

/* Rectifies and rotates one token of one head: pairs (a[i], b[i]). */
static inline void rotate(int64_t half, float scale, const float *restrict cosine,
                          const float *restrict sine, float *restrict a, float *restrict b)
{
    for (int64_t i = 0; i < half; i++) {
        const float left = a[i] > 0.0f ? a[i] : 0.0f, right = b[i] > 0.0f ? b[i] : 0.0f;
        a[i] = (left * cosine[i] - right * sine[i]) * scale;
        b[i] = (right * cosine[i] + left * sine[i]) * scale;
    }
}

static void rotate_rows(const struct instance *in, float scale, float *rows)
{
    const int64_t H = in->dims.H, half = H / in->dims.A / 2;
    for (int64_t t = 0; t < in->dims.S; t++)
        for (int64_t first = 0; first < H; first += 2 * half) {
            float *head = rows + t * H + first;
            rotate(half, scale, in->prepared[SUPRA_COS] + t * half,
                   in->prepared[SUPRA_SIN] + t * half, head, head + half);
        }
}

void supra_begin(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    float *qkv = in->scratch[SUPRA_QKV], *features = in->scratch[SUPRA_FEATURES];
    for (int part = 0; part < 3; part++)
        product_rows(in, SUPRA_OF_Q + part, S, in->t[SUPRA_X], qkv + part * S * H);
    product_rows(in, SUPRA_OF_FEATURES, 2 * S, qkv, features);
    rotate_rows(in, 1.0f, features);
    rotate_rows(in, 1.0f / sqrtf((float)(H / in->dims.A)), features + S * H);
}

void supra_finish(const struct instance *in, float *context)
{
    const int64_t S = in->dims.S, H = in->dims.H, size = H / in->dims.A;
    for (int64_t at = 0; at < S * H; at += size)
        vmath_plain_norm(size, context + at, group_norm_epsilon, context + at);
    product_rows(in, SUPRA_OF_OUTPUT, S, context, in->t[SUPRA_Y]);
}
