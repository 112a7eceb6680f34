/*
 * select.c - from the convolved input to the state space's output, for scan and step.
 */
#include <math.h>

#include "mamba.h"

enum { N = MAMBA_STATES };

int mamba_prepared(struct dims d, struct tensor out[OWN_PREPARED_MAX])
{
    const int64_t D = MAMBA_EXPAND * d.H;
    out[MAMBA_RATES] = (struct tensor){.name = "rates", .shape = {N, D}};
    out[MAMBA_TAPS] = (struct tensor){.name = "taps", .shape = {CONV_TAPS, D}};
    return MAMBA_TAPS + 1;
}

void mamba_prepare(struct instance *in)
{
    const int64_t D = MAMBA_EXPAND * in->dims.H;
    const double log2_e = 1.4426950408889634;
    for (int64_t c = 0; c < D; c++)
        for (int64_t n = 0; n < N; n++)
            in->prepared[MAMBA_RATES][n * D + c] =
                (float)(-exp((double)in->t[MAMBA_A_LOG][c * N + n]) * log2_e);
    conv_pack_taps(CONV_TAPS, D, in->t[MAMBA_CONV_W], D, in->prepared[MAMBA_TAPS]);
}

/* lanes of dt = softplus(dt + bias) */
static inline void step_sizes(int64_t lanes, const float *bias, float *dt)
{
    v_store_head(dt, v_softplus(v_load_head(dt, lanes, 0.0f) + v_load_head(bias, lanes, 0.0f)),
                 lanes);
}

struct scan {
    int64_t tokens, D, stride; /* stride: floats from one token's B to the next */
    const float *rates, *skip, *B, *C, *dt, *before; /* rates[N,D] before[N,D] */
    float *after, *u;                                /* after[N,D] */
};

/*
 * All tokens of channels [c, c + lanes), lanes <= VMATH_LANES: one vector of channels for each of
 * the N states, which the compiler keeps in registers where there are 32 of them.
 */
static inline __attribute__((always_inline)) void scan_lanes(const struct scan *s, int64_t c,
                                                             int64_t lanes)
{
    vfloat rate[N], h[N];
    const vfloat skip = v_load_head(s->skip + c, lanes, 0.0f);
    for (int n = 0; n < N; n++) {
        rate[n] = v_load_head(s->rates + n * s->D + c, lanes, 0.0f);
        h[n] = v_load_head(s->before + n * s->D + c, lanes, 0.0f);
    }
    for (int64_t t = 0; t < s->tokens; t++) {
        const float *B = s->B + t * s->stride, *C = s->C + t * s->stride;
        const vfloat u = v_load_head(s->u + t * s->D + c, lanes, 0.0f);
        const vfloat dt = v_load_head(s->dt + t * s->D + c, lanes, 0.0f);
        const vfloat dt_u = dt * u;
        vfloat y = skip * u;
#pragma GCC unroll 16
        for (int n = 0; n < N; n++) {
            h[n] = h[n] * v_exp2_decay(dt * rate[n]) + dt_u * B[n];
            y += h[n] * C[n];
        }
        v_store_head(s->u + t * s->D + c, y, lanes);
    }
    for (int n = 0; n < N; n++)
        v_store_head(s->after + n * s->D + c, h[n], lanes);
}

void mamba_select(const struct instance *in, int64_t tokens, const float *before, float *after,
                  float *dt, float *selectors, float *u)
{
    const int64_t H = in->dims.H, D = MAMBA_EXPAND * H, R = mamba_rank(H), M = mamba_selectors(H);
    product_rows(in, MAMBA_OF_SELECTORS, tokens, u, selectors);
    product(in, MAMBA_OF_DT, tokens, selectors, M, NULL, dt, D);
    for (int64_t t = 0; t < tokens; t++)
        V_EACH(c, lanes, D, step_sizes(lanes, in->t[MAMBA_BDT] + c, dt + t * D + c));

    const struct scan scan = {
        .tokens = tokens,
        .D = D,
        .stride = M,
        .rates = in->prepared[MAMBA_RATES],
        .skip = in->t[MAMBA_DSKIP],
        .B = selectors + R,
        .C = selectors + R + N,
        .dt = dt,
        .before = before,
        .after = after,
        .u = u,
    };
    V_EACH(c, lanes, D, scan_lanes(&scan, c, lanes));
}

/* lanes of z = y silu(z) */
static inline void gate(int64_t lanes, const float *y, float *z)
{
    v_store_head(z, v_load_head(y, lanes, 0.0f) * v_silu(v_load_head(z, lanes, 0.0f)), lanes);
}

void mamba_gate(int64_t D, const float *y, float *z)
{
    V_EACH(c, lanes, D, gate(lanes, y + c, z + c));
}
