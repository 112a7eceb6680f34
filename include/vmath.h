/*
 * vmath.h - exp, log, log1p, sigmoid, tanh, softplus, GELU, sums, softmax and layer norm on
 * float vectors, written once.
 *
 * GNU C vector types, so that the compiler picks the instructions; no libm call per element.
 * exp, log, log1p, sigmoid, tanh and softplus are within 4 ulp of the exact value over the whole
 * float range, with infinities, NaN and (unless FTZ is on) subnormals handled; a test compares with
 * long double. e^x = 2^n (1 + r + r^2 P(r)) with n = round(x / ln 2), |r| <= ln 2 / 2; P is a
 * minimax fit of degree 4 made for this project (relative error of e^r - 1: 1.8e-8). log(2^n (1 +
 * f)) = n ln 2 + 2 atanh(s), s = f / (2 + f), 1 + f in [1/sqrt 2, sqrt 2), by the series of atanh
 * up to s^9; the next term is at most 2e-9 of the sum.
 */
#ifndef SEQBENCH_VMATH_H
#define SEQBENCH_VMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Floats of a vector: as many as `make LANES=n` says, or as the widest vectors of the CPU hold. */
#if defined(SEQBENCH_LANES)
#define VMATH_LANES SEQBENCH_LANES
#elif defined(__AVX512F__)
#define VMATH_LANES 16
#elif defined(__AVX__)
#define VMATH_LANES 8
#else
#define VMATH_LANES 4
#endif
enum { VMATH_BYTES = 4 * VMATH_LANES };

/* ---- what differs between a vector and a float that stands for one ---- */

#if VMATH_LANES == 1

typedef float vfloat;
typedef int32_t vint;

static inline vint v_bits(vfloat x)
{
    vint bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

static inline vfloat v_of_bits(vint bits)
{
    vfloat x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static inline vfloat v_of_int(vint n)
{
    return (float)n;
}

static inline vint v_shift_left(vint n, int places)
{
    return (vint)((uint32_t)n << places);
}

static inline vfloat v_select(vint mask, vfloat yes, vfloat no)
{
    return mask ? yes : no;
}

static inline float vmath_sum_lanes(vfloat v)
{
    return v;
}

static inline float vmath_max_lanes(vfloat v)
{
    return v;
}

#else

typedef float vfloat __attribute__((vector_size(VMATH_BYTES)));
typedef int32_t vint __attribute__((vector_size(VMATH_BYTES)));
typedef float vfloat4 __attribute__((vector_size(16)));

static inline vint v_bits(vfloat x)
{
    return (vint)x;
}

static inline vfloat v_of_bits(vint bits)
{
    return (vfloat)bits;
}

static inline vfloat v_of_int(vint n)
{
    return __builtin_convertvector(n, vfloat);
}

static inline vint v_shift_left(vint n, int places)
{
    return n << places;
}

/* The mask is what a comparison of two vectors gives. */
static inline vfloat v_select(vint mask, vfloat yes, vfloat no)
{
    return v_of_bits((mask & v_bits(yes)) | (~mask & v_bits(no)));
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

static inline float vmath_max_lanes(vfloat v)
{
    float max = v[0];
    for (int k = 1; k < VMATH_LANES; k++)
        max = v[k] > max ? v[k] : max;
    return max;
}

#endif

/* ---- rows in vectors ---- */

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

/*
 * The first n floats of a vector, n <= VMATH_LANES, in pieces whose sizes are constants: a call of
 * memcpy takes as long as a good part of a step of a small layer.
 */
static inline void v_copy_head(float *to, const float *from, int64_t n)
{
    if (n == VMATH_LANES) {
        memcpy(to, from, VMATH_BYTES);
        return;
    }
#define V_COPY_PIECE(floats)                                                                       \
    if ((floats) < VMATH_LANES && (n & (floats))) {                                                \
        memcpy(to, from, (floats) * sizeof(float));                                                \
        to += (floats);                                                                            \
        from += (floats);                                                                          \
    }
    V_COPY_PIECE(8)
    V_COPY_PIECE(4)
    V_COPY_PIECE(2)
    V_COPY_PIECE(1)
#undef V_COPY_PIECE
}

/* The first n lanes of p, the others filled: for the tail of a row. */
static inline vfloat v_load_head(const float *p, int64_t n, float fill)
{
    float lanes[VMATH_LANES];
    v_store(lanes, fill - (vfloat){0});
    v_copy_head(lanes, p, n);
    return v_load(lanes);
}

static inline void v_store_head(float *p, vfloat v, int64_t n)
{
    float lanes[VMATH_LANES];
    v_store(lanes, v);
    v_copy_head(p, lanes, n);
}

/*
 * Runs a statement for the whole vectors of a row of n floats and once more for its tail: i is the
 * first lane's place, lanes how many there are, a constant in the loop over whole vectors.
 */
#define V_EACH(i, lanes, n, statement)                                                             \
    do {                                                                                           \
        int64_t i = 0;                                                                             \
        for (; i + VMATH_LANES <= (n); i += VMATH_LANES) {                                         \
            const int64_t lanes = VMATH_LANES;                                                     \
            statement;                                                                             \
        }                                                                                          \
        if (i < (n)) {                                                                             \
            const int64_t lanes = (n)-i;                                                           \
            statement;                                                                             \
        }                                                                                          \
    } while (0)

/* to[n] = from[n], which do not overlap: for rows that are shorter than a call of memcpy is worth. */
static inline void vmath_copy(int64_t n, const float *from, float *to)
{
    V_EACH(i, lanes, n, v_copy_head(to + i, from + i, lanes));
}

/* As many lanes as are left: all of them, fewer, or none. */
static inline vfloat v_load_some(const float *p, int64_t left)
{
    if (left >= VMATH_LANES)
        return v_load(p);
    return left > 0 ? v_load_head(p, left, 0.0f) : (vfloat){0};
}

static inline void v_store_some(float *p, vfloat v, int64_t left)
{
    if (left >= VMATH_LANES)
        v_store(p, v);
    else if (left > 0)
        v_store_head(p, v, left);
}

/* ---- functions ---- */

static inline vfloat v_max(vfloat a, vfloat b)
{
    return v_select(a > b, a, b);
}

static inline vfloat v_abs(vfloat x)
{
    return v_of_bits(v_bits(x) & 0x7fffffff);
}

/* x = n ln 2 + r; returns r and stores n. x within [-105, 90] or NaN. */
static inline vfloat v_reduce(vfloat x, vint *n)
{
    const float round_shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds */
    const float ln2_high = 0.693359375f;   /* 10 bits: n * ln2_high is exact */
    const float ln2_low = -2.12194440e-4f;
    const vfloat shifted = x * 1.44269504f + round_shift;
    const vfloat rounded = shifted - round_shift;
    *n = v_bits(shifted) - 0x4b400000;
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
    return e * v_of_bits(v_shift_left(half + 127, 23)) *
           v_of_bits(v_shift_left(n - half + 127, 23));
}

/* e^x for x <= 0 or NaN, in fewer operations: below the smallest normal number it gives 0. */
static inline vfloat v_exp_nonpositive(vfloat x)
{
    const float smallest = -87.0f;
    const vint is_small = x < smallest;
    vint n;
    const vfloat r = v_reduce(v_select(is_small, smallest - (vfloat){0}, x), &n);
    const vfloat e = (v_expm1_small(r) + 1.0f) * v_of_bits(v_shift_left(n + 127, 23));
    return v_select(is_small, (vfloat){0}, e);
}

/* e^x - 1 for x <= 0, near 0 without cancellation. */
static inline vfloat v_expm1_nonpositive(vfloat x)
{
    vint n;
    const vfloat r = v_reduce(v_select(x < -87.0f, -87.0f - (vfloat){0}, x), &n);
    const vfloat scale = v_of_bits(v_shift_left(n + 127, 23));
    return v_expm1_small(r) * scale + (scale - 1.0f);
}

/* Lane by lane, of which compilers make one instruction. */
static inline vfloat v_sqrt(vfloat x)
{
    float lanes[VMATH_LANES];
    v_store(lanes, x);
    for (int k = 0; k < VMATH_LANES; k++)
        lanes[k] = sqrtf(lanes[k]);
    return v_load(lanes);
}

/* Two-sided, so that neither end loses its small values: e^-|x| never overflows. */
static inline vfloat v_sigmoid(vfloat x)
{
    const vfloat e = v_exp(-v_abs(x));
    return v_select(x >= 0.0f, 1.0f - (vfloat){0}, e) / (e + 1.0f);
}

/* A value as over / under, so that several values can share one division. */
struct v_fraction {
    vfloat over, under;
};

/* The same values as v_sigmoid, but 0 below x = -87. 1 <= under <= 2 */
static inline struct v_fraction v_sigmoid_fraction(vfloat x)
{
    const vfloat e = v_exp_nonpositive(-v_abs(x));
    return (struct v_fraction){v_select(x >= 0.0f, 1.0f - (vfloat){0}, e), e + 1.0f};
}

/* tanh|x| = (e^2|x| - 1) / (e^2|x| + 1), with e^2|x| - 1 formed without cancellation; under < 5e8 */
static inline struct v_fraction v_tanh_fraction(vfloat x)
{
    vfloat twice = v_abs(x) * 2.0f;
    twice = v_select(twice > 20.0f, 20.0f - (vfloat){0}, twice); /* tanh is 1 from |x| = 9.02 on */
    vint n;
    const vfloat r = v_reduce(twice, &n);
    const vfloat scale = v_of_bits(v_shift_left(n + 127, 23));
    const vfloat m = v_expm1_small(r) * scale + (scale - 1.0f);
    const vint sign = v_bits(x) & INT32_MIN;
    return (struct v_fraction){v_of_bits(v_bits(m) | sign), m + 2.0f};
}

static inline vfloat v_tanh(vfloat x)
{
    const struct v_fraction t = v_tanh_fraction(x);
    return t.over / t.under;
}

/* u = 2^n m with m in [1/sqrt 2, sqrt 2); returns m and stores the bits n << 23. u normal, > 0 */
static inline vfloat v_mantissa(vfloat u, vint *exponent_bits)
{
    *exponent_bits = (v_bits(u) - 0x3f3504f3) & -0x800000; /* 0x3f3504f3: 1 / sqrt 2 */
    return v_of_bits(v_bits(u) - *exponent_bits);
}

/* log(2^n (1 + f)) */
static inline vfloat v_log_scaled(vint exponent_bits, vfloat f)
{
    const float ln2_high = 0.693359375f; /* as in v_reduce */
    const float ln2_low = -2.12194440e-4f;
    const vfloat n = v_of_int(exponent_bits >> 23);
    const vfloat s = f / (f + 2.0f), z = s * s;
    vfloat p = z * (2.0f / 9.0f) + 2.0f / 7.0f;
    p = p * z + 2.0f / 5.0f;
    p = p * z + 2.0f / 3.0f;
    return n * ln2_high + (s * 2.0f + (s * z * p + n * ln2_low));
}

/* f(x) above the pole at low, -inf at it, NaN below; infinity and NaN as they are. */
static inline vfloat v_log_ends(vfloat x, float low, vfloat inside)
{
    const vfloat below = v_select(x < low, NAN - (vfloat){0}, x);
    const vfloat outside = v_select(x == low, -INFINITY - (vfloat){0}, below);
    return v_select((x > low) & (x < INFINITY), inside, outside);
}

static inline vfloat v_log(vfloat x)
{
    const vint is_small = x < 0x1p-126f; /* subnormal: scaled up by 2^25 */
    vfloat u = v_select(is_small, x * 0x1p25f, x);
    u = v_select((u > 0.0f) & (u < INFINITY), u, 1.0f - (vfloat){0});
    vint bits;
    const vfloat f = v_mantissa(u, &bits) - 1.0f;
    const vint scaled = v_bits(v_select(is_small, v_of_bits((vint){0} + (25 << 23)), (vfloat){0}));
    return v_log_ends(x, 0.0f, v_log_scaled(bits - scaled, f));
}

/* What 1 + x rounds away goes back into f, which is x itself where n = 0. */
static inline vfloat v_log1p(vfloat x)
{
    const vfloat u = v_select((x > -1.0f) & (x < INFINITY), x + 1.0f, 1.0f - (vfloat){0});
    const vfloat rest = x - (u - 1.0f);
    vint bits;
    const vfloat m = v_mantissa(u, &bits);
    const vint inverse = 0x3f800000 - bits; /* of 2^n */
    const vfloat scale =
        v_of_bits(inverse & ~(inverse >> 31)); /* 0 from n = 127 on: no rest there */
    return v_log_ends(x, -1.0f, v_log_scaled(bits, m - 1.0f + rest * scale));
}

/*
 * 2^x for decays, x <= 0, within 4 ulp: half the work of v_exp. Below -125 it is 2^-125, which no
 * sum notices. 2^x = 2^n (1 + r Q(r)), |r| <= 1/2; Q is a minimax fit of degree 4 made for this
 * project (relative error of 2^r: 9.1e-8). n is added to the exponent.
 */
static inline vfloat v_exp2_decay(vfloat x)
{
    const float round_shift = 12582912.0f;
    x = v_select(x < -125.0f, -125.0f - (vfloat){0}, x);
    const vfloat shifted = x + round_shift;
    const vfloat r = x - (shifted - round_shift);
    vfloat q = r * 0x1.5bba18p-10f + 0x1.3cea88p-7f;
    q = q * r + 0x1.c6b752p-5f;
    q = q * r + 0x1.ebf9bcp-3f;
    q = q * r + 0x1.62e42ap-1f;
    return v_of_bits(v_bits(q * r + 1.0f) + v_shift_left(v_bits(shifted), 23));
}

/*
 * log(1 + e^x) = max(x, 0) + log(1 + e), e = e^-|x|, with one exp and no logarithm:
 * log(1 + e) = 2 atanh(s) = s (2 + s^2 R(s^2)), s = e / (2 + e) <= 1/3; R is a minimax fit of
 * degree 3 made for this project (relative error of the logarithm: 4.6e-9).
 */
static inline vfloat v_softplus(vfloat x)
{
    const vfloat e = v_exp(-v_abs(x));
    const vfloat s = e / (e + 2.0f), u = s * s;
    vfloat p = u * 0x1.1ef87p-2f + 0x1.1eb612p-2f;
    p = p * u + 0x1.99d27cp-2f;
    p = p * u + 0x1.5555p-1f;
    return v_max(x, (vfloat){0}) + s * (p * u + 2.0f);
}

/* x sigmoid(x). NaN at -infinity, as the product says. */
static inline vfloat v_silu(vfloat x)
{
    return x * v_sigmoid(x);
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
    V_EACH(i, lanes, n, v_store_head(y + i, f(v_load_head(x + i, lanes, 0.0f)), lanes));
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

static inline void vmath_exp2_decay(int64_t n, const float *x, float *y)
{
    vmath_map(n, x, y, v_exp2_decay);
}

static inline void vmath_softplus(int64_t n, const float *x, float *y)
{
    vmath_map(n, x, y, v_softplus);
}

static inline void vmath_silu(int64_t n, const float *x, float *y)
{
    vmath_map(n, x, y, v_silu);
}

static inline void vmath_gelu_tanh(int64_t n, const float *x, float *y)
{
    vmath_map(n, x, y, v_gelu_tanh);
}

static inline float vmath_sum(int64_t n, const float *x)
{
    vfloat sum = {0};
    V_EACH(i, lanes, n, sum += v_load_head(x + i, lanes, 0.0f));
    return vmath_sum_lanes(sum);
}

/* sum of a b */
static inline float vmath_dot(int64_t n, const float *a, const float *b)
{
    vfloat sum = {0};
    V_EACH(i, lanes, n, sum += v_load_head(a + i, lanes, 0.0f) * v_load_head(b + i, lanes, 0.0f));
    return vmath_sum_lanes(sum);
}

static inline float vmath_max(int64_t n, const float *x)
{
    vfloat top = -INFINITY - (vfloat){0};
    V_EACH(i, lanes, n, top = v_max(v_load_head(x + i, lanes, -INFINITY), top));
    return vmath_max_lanes(top);
}

/* lanes of y = e^(x - shift) by the function exp; returns them, 0 beyond. */
static inline __attribute__((always_inline)) vfloat
vmath_exp_lanes(int64_t lanes, const float *x, float shift, vfloat (*exp)(vfloat), float *y)
{
    const vfloat e = exp(v_load_head(x, lanes, -INFINITY) - shift);
    v_store_head(y, e, lanes);
    return e;
}

/* y = e^(x - max x) / sum e^(x - max x), one row. y may be x. */
static inline void vmath_softmax(int64_t n, const float *x, float *y)
{
    const float max = vmath_max(n, x);
    vfloat sum = {0};
    V_EACH(i, lanes, n, sum += vmath_exp_lanes(lanes, x + i, max, v_exp, y + i));
    const float scale = 1.0f / vmath_sum_lanes(sum);
    for (int64_t i = 0; i < n; i++)
        y[i] *= scale;
}

/* y = e^(x - shift), one row whose values are at most shift; returns the sum. y may be x. */
static inline float vmath_exp_below(int64_t n, const float *x, float shift, float *y)
{
    vfloat sum = {0};
    V_EACH(i, lanes, n, sum += vmath_exp_lanes(lanes, x + i, shift, v_exp_nonpositive, y + i));
    return vmath_sum_lanes(sum);
}

/* The squares of lanes of x - mean, 0 beyond. */
static inline vfloat vmath_squares(int64_t lanes, const float *x, float mean)
{
    const vfloat d = v_load_head(x, lanes, mean) - mean;
    return d * d;
}

/* 1 / sqrt(variance + epsilon) of a row whose mean is known. */
static inline float vmath_inverse_deviation(int64_t n, const float *x, float mean, float epsilon)
{
    vfloat squares = {0};
    V_EACH(i, lanes, n, squares += vmath_squares(lanes, x + i, mean));
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

/* 1 / sqrt(mean of x^2 + epsilon) of a row. */
static inline float vmath_inverse_rms(int64_t n, const float *x, float epsilon)
{
    return 1.0f / sqrtf(vmath_dot(n, x, x) / (float)n + epsilon);
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
