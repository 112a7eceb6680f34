/*
 * reference.h - plain loops in double that references share. No run may use them: a reference
 * that shares code with a run would share its mistakes.
 */
#ifndef SEQBENCH_REFERENCE_H
#define SEQBENCH_REFERENCE_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

/* Room for n doubles, for free(). */
static inline double *reference_room(int64_t n)
{
    double *room = malloc((size_t)n * sizeof(double));
    if (!room)
        abort();
    return room;
}

static inline double reference_sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static inline double reference_dot(int64_t n, const double *a, const double *b)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Y[rows,to] = X[rows,from] W[to,from]^T + b[to]; b may be NULL. */
static inline void reference_linear(int64_t rows, int64_t from, int64_t to, const double *X,
                                    const double *W, const double *b, double *Y)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < to; o++)
            Y[r * to + o] = (b ? b[o] : 0.0) + reference_dot(from, W + o * from, X + r * from);
}

/*
 * Channel c of a causal depthwise convolution of so many taps w, the last of which meets the newest
 * input; the window[taps - 1,channels] of those before it moves on.
 */
static inline double reference_convolve(int64_t taps, int64_t channels, int64_t c, const double *w,
                                        double newest, double *window)
{
    double sum = w[taps - 1] * newest;
    for (int64_t tap = 0; tap < taps - 1; tap++) {
        double *at = window + tap * channels + c;
        sum += w[tap] * *at;
        *at = tap == taps - 2 ? newest : at[channels];
    }
    return sum;
}

/* y = (x - mean) / sqrt(variance + 1e-5), one row; y may be x. */
static inline void reference_norm(int64_t n, const double *x, double *y)
{
    double mean = 0.0, variance = 0.0;
    for (int64_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        variance += (x[i] - mean) * (x[i] - mean) / (double)n;
    for (int64_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) / sqrt(variance + 1e-5);
}

/* The same with gain and bias. */
static inline void reference_layer_norm(int64_t n, const double *x, const double *gain,
                                        const double *bias, double *y)
{
    reference_norm(n, x, y);
    for (int64_t i = 0; i < n; i++)
        y[i] = y[i] * gain[i] + bias[i];
}

/*
 * Context of token s of attention over tokens from .. to, head by head. Rows of qkv are
 * [q | k | v]: so many heads of q and kv_heads of k and of v, of size channels; heads / kv_heads of q
 * in a row share one of k and v; weight[to] is scratch.
 */
static inline void reference_attend(int64_t heads, int64_t kv_heads, int64_t size,
                                    const double *qkv, int64_t s, int64_t from, int64_t to,
                                    double *weight, double *context)
{
    const int64_t row = (heads + 2 * kv_heads) * size;
    for (int64_t head = 0; head < heads; head++, context += size) {
        const double *q = qkv + s * row + head * size;
        const double *k = qkv + (heads + head / (heads / kv_heads)) * size;
        const double *v = k + kv_heads * size;
        double sum = 0.0;
        for (int64_t j = from; j < to; j++) {
            const double score = reference_dot(size, q, k + j * row) / sqrt((double)size);
            weight[j] = exp(score); /* scores of a check stay far below 700 */
            sum += weight[j];
        }
        for (int64_t c = 0; c < size; c++) {
            context[c] = 0.0;
            for (int64_t j = from; j < to; j++)
                context[c] += weight[j] / sum * v[j * row + c];
        }
    }
}

/*
 * Context[size] of one head of one token, which sees the keys first .. S of a cache [S,size] whose
 * last place is the token's own, k_new and v_new; weight[S] is scratch.
 */
static inline void reference_attend_one(int64_t first, int64_t S, int64_t size, const double *q,
                                        const double *k_cache, const double *v_cache,
                                        const double *k_new, const double *v_new, double *weight,
                                        double *context)
{
    double sum = 0.0;
    for (int64_t j = first; j < S; j++) {
        const double *k = j < S - 1 ? k_cache + j * size : k_new;
        weight[j] = exp(reference_dot(size, q, k) / sqrt((double)size));
        sum += weight[j];
    }
    for (int64_t c = 0; c < size; c++) {
        context[c] = 0.0;
        for (int64_t j = first; j < S; j++)
            context[c] += weight[j] / sum * (j < S - 1 ? v_cache[j * size + c] : v_new[c]);
    }
}

static inline double reference_gelu_tanh(double x)
{
    return 0.5 * x * (1.0 + tanh(sqrt(2.0 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
}

#endif
