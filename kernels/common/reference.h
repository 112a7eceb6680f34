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
 * Context of token s of attention over tokens 0 .. seen, head by head. Rows of qkv are [q | k | v],
 * 3H floats; heads of so many channels; weight[seen] is scratch.
 */
static inline void reference_attend(int64_t H, int64_t size, const double *qkv, int64_t s,
                                    int64_t seen, double *weight, double *context)
{
    for (int64_t first = 0; first < H; first += size) {
        const double *q = qkv + s * 3 * H + first, *k = qkv + H + first, *v = k + H;
        double sum = 0.0;
        for (int64_t j = 0; j < seen; j++) {
            const double score = reference_dot(size, q, k + j * 3 * H) / sqrt((double)size);
            weight[j] = exp(score); /* scores of a check stay far below 700 */
            sum += weight[j];
        }
        for (int64_t c = 0; c < size; c++) {
            context[first + c] = 0.0;
            for (int64_t j = 0; j < seen; j++)
                context[first + c] += weight[j] / sum * v[j * 3 * H + c];
        }
    }
}

static inline double reference_gelu_tanh(double x)
{
    return 0.5 * x * (1.0 + tanh(sqrt(2.0 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
}

#endif
