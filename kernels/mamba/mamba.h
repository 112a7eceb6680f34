/*
 * mamba.h - the tensors of the Mamba layer and the pieces that its scan and its step share.
 * D = 2H channels, N states per channel, K taps, R = ceil(H/16) ranks of the step sizes.
 */
#ifndef SEQBENCH_MAMBA_H
#define SEQBENCH_MAMBA_H

#include "conv.h"
#include "seqbench.h"

enum {
    MAMBA_X,
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

/* MAMBA_WIN .. MAMBA_WOUT */
void mamba_list_parameters(int64_t H, struct tensor out[TENSOR_MAX]);

/* Of S tokens; those of one token are those of a step. */
struct cost mamba_cost(struct dims d);

/*
 * One token in double: y[H] from x[H]. window[K-1,D] holds the last inputs of the convolution, from
 * old to new, h[N,D] the state; both move on.
 */
void mamba_reference_token(int64_t H, double *const t[], const double *x, double *window, double *h,
                           double *y);

/* What prepare makes: the decays' rates by state, A2[N,D] = -exp(A_log) log2(e), and taps[K,D]. */
enum { MAMBA_RATES, MAMBA_TAPS };
int mamba_prepared(struct dims d, struct tensor out[PREPARED_MAX]);
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
