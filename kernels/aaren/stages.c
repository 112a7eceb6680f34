/* stages.c - what the algorithms of Aaren share. */
#include <math.h>

#include "aaren.h"

const struct map aaren_maps[AAREN_MAPS] = {
    [AAREN_OF_KV] = {.matrix = AAREN_WKV},
    [AAREN_OF_OUTPUT] = {.matrix = AAREN_WO},
};

void aaren_begin(const struct instance *in, float *kv, float *scores)
{
    const int64_t S = in->dims.S, H = in->dims.H, A = in->dims.A, size = H / A;
    const float *q = in->t[AAREN_Q], scale = 1.0f / sqrtf((float)size);
    product_rows(in, AAREN_OF_KV, S, in->t[AAREN_X], kv);
    for (int64_t s = 0; s < S; s++)
        for (int64_t head = 0; head < A; head++)
            scores[s * A + head] =
                scale * vmath_dot(size, q + head * size, kv + s * 2 * H + head * size);
    multiply_adds_done += S * H;
}

void aaren_finish(const struct instance *in, const float *kv)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    product(in, AAREN_OF_OUTPUT, S, kv + H, 2 * H, NULL, in->t[AAREN_Y], H);
}
