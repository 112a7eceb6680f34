/*
 * engine openblas: weights as the layer lists them. Several rows go to sgemm, which packs both
 * operands at every call; one row goes to sgemv, which reads the matrix where it lies.
 */
#include <string.h>

#include "products.h"

static int arrays(const struct weights *w, struct tensor out[ENGINE_ARRAYS])
{
    (void)w;
    (void)out;
    return 0;
}

static void prepare(const struct weights *w)
{
    (void)w;
}

/* What the sums start from: bias, addend or both. Returns beta, 0 where they start from nothing. */
static float start(const struct weights *w, int64_t rows, const float *addend, float *Y,
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

static void product_with(const struct weights *w, int64_t rows, const float *X, int64_t ldx,
                         const float *addend, float *Y, int64_t ldy)
{
    const int out = (int)w->out, in = (int)w->in;
    const float beta = start(w, rows, addend, Y, ldy);
    if (rows == 1)
        cblas_sgemv(CblasRowMajor, CblasNoTrans, out, in, 1.0f, w->matrix, in, X, 1, beta, Y, 1);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, out, in, 1.0f, X, (int)ldx,
                    w->matrix, in, beta, Y, (int)ldy);
    if (!w->map->relu)
        return;
    for (int64_t r = 0; r < rows; r++, Y += ldy)
        for (int64_t o = 0; o < w->out; o++)
            Y[o] = Y[o] > 0.0f ? Y[o] : 0.0f;
}

const struct engine openblas = {
    .name = "openblas",
    .method = "float32; sgemm packs the weights at every call, sgemv reads them where they lie",
    .bytes_per_weight = 4.0,
    .roof = "fma",
    .arrays = arrays,
    .prepare = prepare,
    .product = product_with,
};
