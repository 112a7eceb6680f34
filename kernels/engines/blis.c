/*
 * engine blis: weights as the layer lists them, by BLIS's own functions and not its cblas_*, which
 * OpenBLAS has too. Several rows go to its gemm, which packs the weights at every call but where its
 * kernels take few rows as they are; one row goes to its gemv, which reads the matrix where it lies.
 */
#include "engines/blas.h" /* before blis.h: the <cblas.h> of OpenBLAS */

#include <blis-serial/blis.h>
#include <stdint.h>

#include "engines/blis_library.h"

/* The functions of BLIS 0.9 do not say const of what they only read. */
static float *readable(const float *x)
{
    return (float *)(uintptr_t)x;
}

static inline void gemm(int rows, int out, int in, const float *X, int ldx, const float *W,
                        float beta, float *Y, int ldy)
{
    float one = 1.0f;
    bli_sgemm(BLIS_NO_TRANSPOSE, BLIS_TRANSPOSE, rows, out, in, &one, readable(X), ldx, 1,
              readable(W), in, 1, &beta, Y, ldy, 1);
}

static inline void gemv(int out, int in, const float *W, const float *x, float beta, float *y)
{
    float one = 1.0f;
    bli_sgemv(BLIS_NO_TRANSPOSE, BLIS_NO_CONJUGATE, out, in, &one, readable(W), in, 1, readable(x),
              1, &beta, y, 1);
}

static void product_with(const struct weights *w, int64_t rows, const float *X, int64_t ldx,
                         const float *addend, float *Y, int64_t ldy)
{
    blas_product(gemm, gemv, w, rows, X, ldx, addend, Y, ldy);
}

const struct engine blis = {
    .name = "blis",
    .method = "float32; gemm of BLIS packs the weights at every call, but where its kernels take "
              "few rows as they are; its gemv reads them where they lie",
    .bytes_per_weight = 4.0,
    .roof = "fma",
    .arrays = no_arrays,
    .prepare = prepare_nothing,
    .product = product_with,
};

const char *blis_version(void)
{
    return bli_info_get_version_str();
}

const char *blis_kernels(void)
{
    bli_init(); /* else a set that BLIS_ARCH_TYPE names is not known yet, and BLIS aborts */
    return bli_arch_string(bli_arch_query_id());
}

bool blis_is_threaded(void)
{
    return bli_info_get_enable_threading();
}
