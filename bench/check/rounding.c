/* rounding.c - bfloat16 and int8 by frexp and nearbyint, blocks by the engine's choice of them. */
#include "check/rounding.h"

#include <math.h>

enum { BF16_DIGITS = 8, INT8_UNITS = 127 };

/* The nearest number of 8 binary digits; of two as near, the even one. */
static double to_bf16(double x)
{
    int exponent;
    const double digits = ldexp(frexp(x, &exponent), BF16_DIGITS);
    return ldexp(nearbyint(digits), exponent - BF16_DIGITS);
}

/* Multiples of a 127th of the largest; units and their inverse are float32, as engines have them. */
static void to_int8(int64_t n, double *x)
{
    double most = 0.0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs(x[i]));
    const float per_unit = most > 0.0 ? INT8_UNITS / (float)most : 0.0f;
    const float unit = (float)most / INT8_UNITS;
    for (int64_t i = 0; i < n; i++)
        x[i] = nearbyint(x[i] * (double)per_unit) * (double)unit;
}

void round_matrix(const struct engine *engine, const struct weights *w, double *W)
{
    for (int64_t r = 0; r < w->out; r++, W += w->in) {
        if (engine->rounds == ROUNDS_INT8)
            to_int8(w->in, W);
        for (int64_t i = 0; i < w->in && engine->rounds == ROUNDS_BF16; i++)
            W[i] = to_bf16(W[i]);
        if (engine->leave_out)
            engine->leave_out(w, r, W);
    }
}

void round_inputs(const struct engine *engine, int64_t n, double *x)
{
    if (!engine->rounds_inputs)
        return;
    if (engine->rounds == ROUNDS_INT8)
        to_int8(n, x);
    for (int64_t i = 0; i < n && engine->rounds == ROUNDS_BF16; i++)
        x[i] = to_bf16(x[i]);
}
