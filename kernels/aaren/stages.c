/* stages.c - what the variants of Aaren share. Labels: layer.c. */
#include <math.h>

#include "aaren.h"
#include "blas.h"
#include "vmath.h"

void aaren_begin(const struct instance *in, float *kv, float *scores)
{
    const int64_t S = in->dims.S, H = in->dims.H, A = in->dims.A, size = H / A;
    const float *q = in->t[AAREN_Q], scale = 1.0f / sqrtf((float)size);
    blas_sgemm_nt(S, 2 * H, H, 1.0f, in->t[AAREN_X], H, in->t[AAREN_WKV], H, 0.0f, kv, 2 * H);
    for (int64_t s = 0; s < S; s++)
        for (int64_t head = 0; head < A; head++)
            scores[s * A + head] =
                scale * vmath_dot(size, q + head * size, kv + s * 2 * H + head * size);
    multiply_adds_done += S * H;
}

void aaren_finish(const struct instance *in, const float *kv)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    blas_sgemm_nt(S, H, H, 1.0f, kv + H, 2 * H, in->t[AAREN_WO], H, 0.0f, in->t[AAREN_Y], H);
}
