/* stages.c - what the variants of linear attention share. Labels: layer.c. */
#include "blas.h"
#include "linear_attention.h"
#include "vmath.h"

const float linear_attention_epsilon = 1e-6f;

void linear_attention_project(const struct instance *in, float *qkv)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    blas_linear(S, H, 3 * H, in->t[LINEAR_ATTENTION_X], in->t[LINEAR_ATTENTION_WQKV],
                in->t[LINEAR_ATTENTION_BQKV], qkv);
}

static inline vfloat feature(vfloat x)
{
    return v_select(x > 0.0f, x + 1.0f, v_exp(x));
}

void linear_attention_features(int64_t n, float *x)
{
    vmath_map(n, x, x, feature);
}

void linear_attention_output(const struct instance *in, const float *context)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    blas_linear(S, H, H, context, in->t[LINEAR_ATTENTION_WO], in->t[LINEAR_ATTENTION_BO],
                in->t[LINEAR_ATTENTION_Y]);
}
