/*
 * blas.h - what engines over a BLAS share: weights stay as the layer lists them; several rows go to
 * its gemm, one row to its gemv.
 */
#ifndef SEQBENCH_BLAS_H
#define SEQBENCH_BLAS_H

#include <string.h>

#include "products.h"

/* Y[rows,out] = X[rows,in] W[out,in]^T + beta Y, and y[out] = W[out,in] x[in] + beta y. */
typedef void blas_gemm(int rows, int out, int in, const float *X, int ldx, const float *W,
                       float beta, float *Y, int ldy);
typedef void blas_gemv(int out, int in, const float *W, const float *x, float beta, float *y);

static int no_arrays(const struct weights *w, struct tensor out[ENGINE_ARRAYS])
{
    (void)w;
    (void)out;
    return 0;
}

static void prepare_nothing(const struct weights *w)
{
    (void)w;
}

/* What the sums start from: bias, addend or both. Returns beta, 0 where they start from nothing. */
static inline float blas_start(const struct weights *w, int64_t rows, const float *addend, float *Y,
                               int64_t ldy)
{
    const size_t bytes = (size_t)w->out * sizeof(float);
    for (int64_t r = 0; r < rows; r++, Y += ldy) {
        if (w->bias && addend)
            for (int64_t o = 0; o < w->out; o++)
                Y[o] = addend[o] + w->bias[o];
        else if (w->bias)
            memcpy(Y, w->bias, bytes);
        else if (addend && addend != Y)
            memcpy(Y, addend, bytes);
        addend += addend ? ldy : 0;
    }
    return w->bias || addend ? 1.0f : 0.0f;
}

/* A product with weights. gemm and gemv are constants: both are called directly. */
static inline __attribute__((always_inline)) void
blas_product(blas_gemm *gemm, blas_gemv *gemv, const struct weights *w, int64_t rows,
             const float *X, int64_t ldx, const float *addend, float *Y, int64_t ldy)
{
    const int out = (int)w->out, in = (int)w->in;
    const float beta = blas_start(w, rows, addend, Y, ldy);
    if (rows == 1)
        gemv(out, in, w->matrix, X, beta, Y);
    else
        gemm((int)rows, out, in, X, (int)ldx, w->matrix, beta, Y, (int)ldy);
    if (!w->map->relu)
        return;
    for (int64_t r = 0; r < rows; r++, Y += ldy)
        for (int64_t o = 0; o < w->out; o++)
            Y[o] = Y[o] > 0.0f ? Y[o] : 0.0f;
}

#endif
