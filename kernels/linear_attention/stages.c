/* stages.c - what the algorithms of linear attention share. */
#include "linear_attention.h"

const struct map linear_attention_maps[LINEAR_ATTENTION_MAPS] = {
    [LINEAR_ATTENTION_OF_QKV] = {LINEAR_ATTENTION_WQKV, .bias = LINEAR_ATTENTION_BQKV},
    [LINEAR_ATTENTION_OF_OUTPUT] = {LINEAR_ATTENTION_WO, .bias = LINEAR_ATTENTION_BO},
};

const float linear_attention_epsilon = 1e-6f;

void linear_attention_project(const struct instance *in, float *qkv)
{
    product_rows(in, LINEAR_ATTENTION_OF_QKV, in->dims.S, in->t[LINEAR_ATTENTION_X], qkv);
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
    product_rows(in, LINEAR_ATTENTION_OF_OUTPUT, in->dims.S, context, in->t[LINEAR_ATTENTION_Y]);
}
