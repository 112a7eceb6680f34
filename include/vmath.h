/*
 * vmath.h - exp, sigmoid, tanh, GELU, sums, softmax and layer norm on float vectors, written once.
 *
 * GNU C vector types, so that the compiler picks the instructions; no libm call per element.
 * exp, sigmoid and tanh are within 4 ulp of the exact value over the whole float range, with
 * infinities, NaN and (unless FTZ is on) subnormals handled; a test compares with long double.
 * e^x = 2^n (1 + r + r^2 P(r)) with n = round(x / ln 2), |r| <= ln 2 / 2; P is a minimax fit of
 * degree 4 made for this project (relative error of e^r - 1: 1.8e-8).
 */
#ifndef SEQBENCH_VMATH_H
#define SEQBENCH_VMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
enum { VMATH_BYTES = 64 };
#elif defined(__AVX__)
enum { VMATH_BYTES = 32 };
#else
enum { VMATH_BYTES = 16 };
#endif
enum { VMATH_LANES = VMATH_BYTES / 4 };

typedef float vfloat __attribute__((vector_size(VMATH_BYTES)));
typedef int32_t vint __attribute__((vector_size(VMATH_BYTES)));
typedef float vfloat4 __attribute__((vector_size(16)));

static inline vfloat v_load(const float *p)
{
    vfloat v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline void v_store(float *p, vfloat v)
{
    memcpy(p, &v, sizeof(v));
}

/* The first n lanes of p, the others filled: for the tail of a row. */
static inline vfloat v_load_head(const float *p, int64_t n, float fill)
{
    vfloat v = fill - (vfloat){0};
    memcpy(&v, p, (size_t)n * sizeof(float));
    return v;
}

static inline void v_store_head(float *p, vfloat v, int64_t n)
{
    memcpy(p, &v, (size_t)n * sizeof(float));
}

static inline vfloat v_select(vint mask, vfloat yes, vfloat no)
{
    return (vfloat)((mask & (vint)yes) | (~mask & (vint)no));
}

static inline vfloat v_max(vfloat a, vfloat b)
{
    return v_select(a > b, a, b);
}

static inline vfloat v_abs(vfloat x)
{
    return (vfloat)((vint)x & 0x7fffffff);
}

/* x = n ln 2 + r; returns r and stores n. x within [-105, 90] or NaN. */
static inline vfloat v_reduce(vfloat x, vint *n)
{
    const float round_shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds */
    const float ln2_high = 0.693359375f;   /* 10 bits: n * ln2_high is exact */
    const float ln2_low = -2.12194440e-4f;
    const vfloat shifted = x * 1.44269504f + round_shift;
    const vfloat rounded = shifted - round_shift;
    *n = (vint)shifted - 0x4b400000;
    return (x - rounded * ln2_high) - rounded * ln2_low;
}

/* e^r - 1 for |r| <= ln 2 / 2 */
static inline vfloat v_expm1_small(vfloat r)
{
    vfloat p = r * 0x1.6db47ep-10f + 0x1.123b92p-7f;
    p = p * r + 0x1.55545ep-5f;
    p = p * r + 0x1.55548ep-3f;
    p = p * r + 0.5f;
    return r * r * p + r;
}

static inline vfloat v_exp(vfloat x)
{
    x = v_select(x > 90.0f, 90.0f - (vfloat){0}, x);
    x = v_select(x < -105.0f, -105.0f - (vfloat){0}, x);
    vint n;
    const vfloat r = v_reduce(x, &n);
    const vfloat e = v_expm1_small(r) + 1.0f;
    const vint half = n >> 1; /* two factors: 2^n alone leaves the exponent range at both ends */
    return e * (vfloat)((half + 127) << 23) * (vfloat)((n - half + 127) << 23);
}

/* Two-sided, so that neither end loses its small values: e^-|x| never overflows. */
static inline vfloat v_sigmoid(vfloat x)
{
    const vfloat e = v_exp(-v_abs(x));
    return v_select(x >= 0.0f, 1.0f - (vfloat){0}, e) / (e + 1.0f);
}

/* tanh|x| = (e^2|x| - 1) / (e^2|x| + 1), with e^2|x| - 1 formed without cancellation. */
static inline vfloat v_tanh(vfloat x)
{
    vfloat twice = v_abs(x) * 2.0f;
    twice = v_select(twice > 20.0f, 20.0f - (vfloat){0}, twice); /* tanh is 1 from |x| = 9.02 on */
    vint n;
    const vfloat r = v_reduce(twice, &n);
    const vfloat scale = (vfloat)((n + 127) << 23);
    const vfloat m = v_expm1_small(r) * scale + (scale - 1.0f);
    const vint sign = (vint)x & INT32_MIN;
    return (vfloat)((vint)(m / (m + 2.0f)) | sign);
}

/*
 * x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) = x sigmoid(z), z = twice the argument of tanh.
 * Within 4 max(1, |z|) ulp: where x is far below 0, the result falls like e^z and z is rounded.
 */
static inline vfloat v_gelu_tanh(vfloat x)
{
    x = v_select(x < -20.0f, -20.0f - (vfloat){0}, x); /* 0 from x = -10.8 on */
    return x * v_sigmoid(x * (x * x * 0.0713548163f + 1.59576912f));
}

/* Applies f to a row; f is inlined. y may be x. */
static inline __attribute__((always_inline)) void vmath_map(int64_t n, const float *x, float *y,
                                                            vfloat (*f)(vfloat))
{
    int64_t i = 0;
    for (; i + VMATH_LANES <= n; i += VMATH_LANES)
        v_store(y + i, f(v_load(x + i)));
    if (i < n)
        v_store_head(y + i, f(v_load_head(x + i, n - i, 0.0f)), n - i);
}

static inline void vmath_exp(int64_t n, const float *x, float *y)
{
    vmath_map(n, x, y, v_exp);
}

static inline void vmath_sigmoid(int64_t n, const float *x, float *y)
{
    vmath_map(n, x, y, v_sigmoid);
}

static inline void vmath_tanh(int64_t n, const float *x, float *y)
{
    vmath_map(n, x, y, v_tanh);
}

static inline void vmath_gelu_tanh(int64_t n, const float *x, float *y)
{
    vmath_map(n, x, y, v_gelu_tanh);
}

/* Four lanes at a time: adding lane after lane would wait for every single addition. */
static inline float vmath_sum_lanes(vfloat v)
{
    vfloat4 sum = {0};
    for (int i = 0; i < VMATH_BYTES / 16; i++) {
        vfloat4 part;
        memcpy(&part, (const char *)&v + 16 * i, sizeof(part));
        sum += part;
    }
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

static inline float vmath_sum(int64_t n, const float *x)
{
    vfloat sum = {0};
    int64_t i = 0;
    for (; i + VMATH_LANES <= n; i += VMATH_LANES)
        sum += v_load(x + i);
    if (i < n)
        sum += v_load_head(x + i, n - i, 0.0f);
    return vmath_sum_lanes(sum);
}

/* sum of a b */
static inline float vmath_dot(int64_t n, const float *a, const float *b)
{
    vfloat sum = {0};
    int64_t i = 0;
    for (; i + VMATH_LANES <= n; i += VMATH_LANES)
        sum += v_load(a + i) * v_load(b + i);
    if (i < n)
        sum += v_load_head(a + i, n - i, 0.0f) * v_load_head(b + i, n - i, 0.0f);
    return vmath_sum_lanes(sum);
}

static inline float vmath_max(int64_t n, const float *x)
{
    vfloat top = -INFINITY - (vfloat){0};
    int64_t i = 0;
    for (; i + VMATH_LANES <= n; i += VMATH_LANES)
        top = v_max(v_load(x + i), top);
    if (i < n)
        top = v_max(v_load_head(x + i, n - i, -INFINITY), top);
    float max = top[0];
    for (int k = 1; k < VMATH_LANES; k++)
        max = top[k] > max ? top[k] : max;
    return max;
}

/* y = e^(x - max x) / sum e^(x - max x), one row. y may be x. */
static inline void vmath_softmax(int64_t n, const float *x, float *y)
{
    const float max = vmath_max(n, x);
    vfloat sum = {0};
    int64_t i = 0;
    for (; i + VMATH_LANES <= n; i += VMATH_LANES) {
        const vfloat e = v_exp(v_load(x + i) - max);
        v_store(y + i, e);
        sum += e;
    }
    if (i < n) {
        const vfloat e = v_exp(v_load_head(x + i, n - i, -INFINITY) - max);
        v_store_head(y + i, e, n - i);
        sum += e;
    }
    const float scale = 1.0f / vmath_sum_lanes(sum);
    for (i = 0; i < n; i++)
        y[i] *= scale;
}

/* 1 / sqrt(variance + epsilon) of a row whose mean is known. */
static inline float vmath_inverse_deviation(int64_t n, const float *x, float mean, float epsilon)
{
    vfloat squares = {0};
    int64_t i = 0;
    for (; i + VMATH_LANES <= n; i += VMATH_LANES) {
        const vfloat d = v_load(x + i) - mean;
        squares += d * d;
    }
    if (i < n) {
        const vfloat d = v_load_head(x + i, n - i, mean) - mean;
        squares += d * d;
    }
    return 1.0f / sqrtf(vmath_sum_lanes(squares) / (float)n + epsilon);
}

/* y = gain (x - mean) / sqrt(variance + epsilon) + bias, one row, two passes. y may be x. */
static inline void vmath_layer_norm(int64_t n, const float *x, const float *gain, const float *bias,
                                    float epsilon, float *y)
{
    const float mean = vmath_sum(n, x) / (float)n;
    const float scale = vmath_inverse_deviation(n, x, mean, epsilon);
    for (int64_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) * scale * gain[i] + bias[i];
}

/* y = (x - mean) / sqrt(variance + epsilon): the layer norm without gain and bias. y may be x. */
static inline void vmath_plain_norm(int64_t n, const float *x, float epsilon, float *y)
{
    const float mean = vmath_sum(n, x) / (float)n;
    const float scale = vmath_inverse_deviation(n, x, mean, epsilon);
    for (int64_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) * scale;
}

#endif
