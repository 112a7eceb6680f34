/*
 * mamba2.h - the tensors of the Mamba-2 layer and the pieces that its algorithms share.
 * D = 2H channels in heads of P, N states per channel, K taps. Rows of in_proj are z[D], x[D],
 * B[N], C[N], dt[heads]; x, B and C are convolved, E = D + 2N channels.
 */
#ifndef SEQBENCH_MAMBA2_H
#define SEQBENCH_MAMBA2_H

#include "common/chunk.h"
#include "common/convolution.h"
#include "products.h"

enum {
    MAMBA2_X,
    MAMBA2_WIN,
    MAMBA2_CONV_W,
    MAMBA2_CONV_B,
    MAMBA2_DT_BIAS,
    MAMBA2_A_LOG,
    MAMBA2_DSKIP,
    MAMBA2_NORM,
    MAMBA2_WOUT,
    MAMBA2_Y,
};

enum { MAMBA2_EXPAND = 2, MAMBA2_HEAD_SIZE = 64, MAMBA2_STATES = 64, MAMBA2_TILE = STATE_CHUNK };

struct mamba2_sizes {
    int64_t D, heads, convolved, projected; /* convolved: E; projected: rows of Win */
};

static inline struct mamba2_sizes mamba2_sizes(struct dims d)
{
    const int64_t D = MAMBA2_EXPAND * d.H, heads = D / MAMBA2_HEAD_SIZE;
    const int64_t convolved = D + 2 * MAMBA2_STATES;
    return (struct mamba2_sizes){D, heads, convolved, D + convolved + heads};
}

extern const struct layer mamba2_layer;

/* The linear maps of both algorithms. */
enum { MAMBA2_OF_INPUT, MAMBA2_OF_OUTPUT, MAMBA2_MAPS };
extern const struct map mamba2_maps[MAMBA2_MAPS];

/* What every algorithm does; the recurrence and what hangs on it come on top. */
struct cost mamba2_common_cost(struct dims d);

/* What prepare makes: taps[K,E] and the decays' rates, -exp(A_log), one per head. */
enum { MAMBA2_TAPS, MAMBA2_RATES };
int mamba2_prepared(struct dims d, struct tensor out[OWN_PREPARED_MAX]);
void mamba2_prepare(struct instance *in);

/*
 * A tile of tokens between the convolution and the norm. xbc[tokens,E]; dt and log_decay, dt times
 * the rate, are [tokens,heads]. core writes y[tokens,D] = C h of every head and moves its states
 * on.
 */
struct mamba2_tile {
    int64_t tokens;
    const float *xbc, *dt, *log_decay;
    float *y;
};

/* Buffers that all algorithms need; their own come behind. */
enum {
    MAMBA2_ZXBCDT,
    MAMBA2_XBC,
    MAMBA2_DT,
    MAMBA2_LOG_DECAY,
    MAMBA2_CORE,
    MAMBA2_ZEROS,
    MAMBA2_OWN_SCRATCH
};
int mamba2_scratch(struct dims d, struct tensor out[SCRATCH_MAX]);

/* The layer from x to y, core called for tile after tile. Its states are zeroed by the caller. */
void mamba2_run(const struct instance *in,
                void (*core)(const struct instance *in, const struct mamba2_tile *tile));

#endif
