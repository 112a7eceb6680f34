/*
 * mamba.h - the tensors of the Mamba layer and the pieces that its scan and its step share.
 * D = 2H channels, N states per channel, K taps, R = ceil(H/16) ranks of the step sizes.
 */
#ifndef SEQBENCH_MAMBA_H
#define SEQBENCH_MAMBA_H

#include "common/convolution.h"
#include "products.h"

enum {
    MAMBA_X,
    MAMBA_WINDOW,
    MAMBA_H0,
    MAMBA_WIN,
    MAMBA_CONV_W,
    MAMBA_CONV_B,
    MAMBA_WX,
    MAMBA_WDT,
    MAMBA_BDT,
    MAMBA_A_LOG,
    MAMBA_DSKIP,
    MAMBA_WOUT,
    MAMBA_Y,
    MAMBA_WINDOW_LAST,
    MAMBA_H_LAST,
};

enum { MAMBA_EXPAND = 2, MAMBA_STATES = 16 };

static inline int64_t mamba_rank(int64_t H)
{
    return (H + 15) / 16;
}

/* Rows of x_proj: the ranks of dt, then B, then C. */
static inline int64_t mamba_selectors(int64_t H)
{
    return mamba_rank(H) + 2 * MAMBA_STATES;
}

extern const struct layer mamba_layer;

/* The linear maps: in_proj, x_proj, dt_proj, out_proj. */
enum { MAMBA_OF_INPUT, MAMBA_OF_SELECTORS, MAMBA_OF_DT, MAMBA_OF_OUTPUT, MAMBA_MAPS };

/* What prepare makes: the decays' rates by state, A2[N,D] = -exp(A_log) log2(e), and taps[K,D]. */
enum { MAMBA_RATES, MAMBA_TAPS };
int mamba_prepared(struct dims d, struct tensor out[OWN_PREPARED_MAX]);
void mamba_prepare(struct instance *in);

/*
 * The selective state space of a few tokens: u[tokens,D] after the convolution becomes
 * y = C h + Dskip u, in place. h[N,D] is read from before and written to after, which may be equal.
 * dt[tokens,D] and selectors[tokens,R+2N] are scratch.
 */
void mamba_select(const struct instance *in, int64_t tokens, const float *before, float *after,
                  float *dt, float *selectors, float *u);

/* z = y silu(z), D channels of one token */
void mamba_gate(int64_t D, const float *y, float *z);

#endif
