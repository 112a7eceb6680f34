/* passes.c - the elementwise passes that the algorithms share. */
#include "tcn.h"

void tcn_rectify(int64_t n, float *v)
{
    for (int64_t i = 0; i < n; i++)
        v[i] = v[i] > 0.0f ? v[i] : 0.0f;
}

void tcn_add_residual(int64_t n, const float *v, const float *x, float *y)
{
    for (int64_t i = 0; i < n; i++) {
        const float sum = (v[i] > 0.0f ? v[i] : 0.0f) + x[i];
        y[i] = sum > 0.0f ? sum : 0.0f;
    }
}
