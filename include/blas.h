/*
 * blas.h - row-major float32 matrix products over OpenBLAS.
 *
 * A linear map is stored W[out][in], as torch.nn.Linear stores it. Products with one row go to
 * sgemv: OpenBLAS's sgemm does not forward them and packs both operands at every call.
 */
#ifndef SEQBENCH_BLAS_H
#define SEQBENCH_BLAS_H

#include <cblas.h>
#include <stdint.h>
#include <string.h>

#include "seqbench.h"

/* y[m] = W[m,n] x[n] + beta y */
static inline void blas_sgemv(int64_t m, int64_t n, const float *W, int64_t ldw, const float *x,
                              float beta, float *y)
{
    multiply_adds_done += m * n;
    cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)m, (int)n, 1.0f, W, (int)ldw, x, 1, beta, y, 1);
}

/*
 * y[m] += W[m,n] x[n], one sgemv per panel of rows (256 KiB), from the first panel to the last or
 * back. In turns, a walk begins with what the walk before left in cache.
 */
static inline void blas_sgemv_panels(int64_t m, int64_t n, const float *W, const float *x,
                                     bool backward, float *y)
{
    const int64_t panel_floats = 65536, fit = panel_floats / n, rows = fit > 16 ? fit : 16;
    const int64_t panels = (m + rows - 1) / rows;
    for (int64_t p = 0; p < panels; p++) {
        const int64_t first = (backward ? panels - 1 - p : p) * rows;
        blas_sgemv(at_most(m - first, rows), n, W + first * n, n, x, 1.0f, y + first);
    }
}

/* C[m,n] = alpha A[m,k] B[n,k]^T + beta C */
static inline void blas_sgemm_nt(int64_t m, int64_t n, int64_t k, float alpha, const float *A,
                                 int64_t lda, const float *B, int64_t ldb, float beta, float *C,
                                 int64_t ldc)
{
    multiply_adds_done += m * n * k;
    if (m == 1)
        cblas_sgemv(CblasRowMajor, CblasNoTrans, (int)n, (int)k, alpha, B, (int)ldb, A, 1, beta, C,
                    1);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)k, alpha, A,
                    (int)lda, B, (int)ldb, beta, C, (int)ldc);
}

/* C[m,n] = A[m,k] B[k,n] + beta C */
static inline void blas_sgemm_nn_beta(int64_t m, int64_t n, int64_t k, const float *A, int64_t lda,
                                      const float *B, int64_t ldb, float beta, float *C,
                                      int64_t ldc)
{
    multiply_adds_done += m * n * k;
    if (m == 1)
        cblas_sgemv(CblasRowMajor, CblasTrans, (int)k, (int)n, 1.0f, B, (int)ldb, A, 1, beta, C, 1);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1.0f, A,
                    (int)lda, B, (int)ldb, beta, C, (int)ldc);
}

/* C[m,n] = A[m,k] B[k,n] */
static inline void blas_sgemm_nn(int64_t m, int64_t n, int64_t k, const float *A, int64_t lda,
                                 const float *B, int64_t ldb, float *C, int64_t ldc)
{
    blas_sgemm_nn_beta(m, n, k, A, lda, B, ldb, 0.0f, C, ldc);
}

/* C[m,n] = A[k,m]^T B[k,n] + beta C */
static inline void blas_sgemm_tn(int64_t m, int64_t n, int64_t k, const float *A, int64_t lda,
                                 const float *B, int64_t ldb, float beta, float *C, int64_t ldc)
{
    multiply_adds_done += m * n * k;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)m, (int)n, (int)k, 1.0f, A, (int)lda,
                B, (int)ldb, beta, C, (int)ldc);
}

/* Y[rows,out] = X[rows,in] W[out,in]^T + b[out]: the accumulators start from the bias. */
static inline void blas_linear(int64_t rows, int64_t in, int64_t out, const float *X,
                               const float *W, const float *b, float *Y)
{
    for (int64_t r = 0; r < rows; r++)
        memcpy(Y + r * out, b, (size_t)out * sizeof(float));
    blas_sgemm_nt(rows, out, in, 1.0f, X, in, W, in, 1.0f, Y, out);
}

#endif
