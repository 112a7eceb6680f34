/* slstm.h - the tensors of the sLSTM and the cell that its algorithms share. */
#ifndef SEQBENCH_SLSTM_H
#define SEQBENCH_SLSTM_H

#include "common/blocks.h"
#include "products.h"

enum {
    SLSTM_X,
    SLSTM_Y0,
    SLSTM_C0,
    SLSTM_N0,
    SLSTM_M0,
    SLSTM_W,
    SLSTM_R,
    SLSTM_B,
    SLSTM_Y,
    SLSTM_C_LAST,
    SLSTM_N_LAST,
    SLSTM_M_LAST,
};

enum { SLSTM_GATES = 4 }; /* i, f, z, o */

extern const struct layer slstm_layer;

/* R, the gates of a channel together. */
static inline struct blocks slstm_blocks(struct dims d)
{
    return (struct blocks){.heads = d.A, .size = d.H / d.A, .gates = SLSTM_GATES};
}

/* Channels of a vector that are left of a head. */
struct slstm_state {
    vfloat c, n, m;
};

static inline struct slstm_state slstm_load(const float *c, const float *n, const float *m,
                                            int64_t left)
{
    return (struct slstm_state){v_load_some(c, left), v_load_some(n, left), v_load_some(m, left)};
}

static inline void slstm_store(struct slstm_state s, float *c, float *n, float *m, int64_t left)
{
    v_store_some(c, s.c, left);
    v_store_some(n, s.n, left);
    v_store_some(m, s.m, left);
}

/*
 * One step of a vector of channels from the sums of its gates; returns y. Of the two factors
 * e^(l - m') and e^(i - m') the larger one is 1: one exp gives the other. m of -infinity: no token
 * was before, its factor is 0.
 */
static inline vfloat slstm_cell(vfloat i, vfloat f, vfloat z, vfloat o, struct slstm_state *s)
{
    const vfloat one = 1.0f - (vfloat){0};
    const vfloat forgotten = s->m - v_softplus(-f); /* log sigmoid(f) + m */
    const vfloat lead = i - forgotten, smaller = v_exp_nonpositive(-v_abs(lead));
    const vfloat keep = v_select(lead > 0.0f, smaller, one);
    const vfloat take = v_select(lead > 0.0f, one, smaller);
    const struct v_fraction candidate = v_tanh_fraction(z), shown = v_sigmoid_fraction(o);
    s->m = v_max(i, forgotten);
    s->c = keep * s->c + take * candidate.over / candidate.under;
    s->n = keep * s->n + take;
    return shown.over * s->c / (shown.under * s->n);
}

#endif
