/*
 * engine openblas: weights as the layer lists them. Several rows go to sgemm, which packs both
 * operands at every call; one row goes to sgemv, which reads the matrix where it lies.
 */
#include "engines/blas.h"

static inline void gemm(int rows, int out, int in, const float *X, int ldx, const float *W,
                        float beta, float *Y, int ldy)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, out, in, 1.0f, X, ldx, W, in, beta,
                Y, ldy);
}

static inline void gemv(int out, int in, const float *W, const float *x, float beta, float *y)
{
    cblas_sgemv(CblasRowMajor, CblasNoTrans, out, in, 1.0f, W, in, x, 1, beta, y, 1);
}

static void product_with(const struct weights *w, int64_t rows, const float *X, int64_t ldx,
                         const float *addend, float *Y, int64_t ldy)
{
    blas_product(gemm, gemv, w, rows, X, ldx, addend, Y, ldy);
}

const struct engine openblas = {
    .name = "openblas",
    .method = "float32; sgemm packs the weights at every call, sgemv reads them where they lie",
    .bytes_per_weight = 4.0,
    .roof = "fma",
    .arrays = no_arrays,
    .prepare = prepare_nothing,
    .product = product_with,
};
