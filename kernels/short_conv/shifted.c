/*
 * short_conv/shifted, short_conv.step: both maps over the whole sequence; between them b u of each
 * token in place, and sums of rows that are shifted against each other.
 */
#include "short_conv.h"

enum { K = SHORT_CONV_TAPS };

enum { OF_INPUT, OF_OUTPUT };
static const struct map maps[] = {
    [OF_INPUT] = {.matrix = SHORT_CONV_WIN},
    [OF_OUTPUT] = {.matrix = SHORT_CONV_WOUT},
};

enum { TAPS };

static int prepared(struct dims d, struct tensor out[OWN_PREPARED_MAX])
{
    out[TAPS] = (struct tensor){.name = "taps", .shape = {K, d.H}};
    return TAPS + 1;
}

static void prepare(struct instance *in)
{
    conv_pack_taps(K, in->dims.H, in->t[SHORT_CONV_CONV_W], in->dims.H, in->prepared[TAPS]);
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "bgu", .shape = {d.S, 3 * d.H}};
    return 1;
}

/* Channels c .. c + lanes of a token: b becomes b u. */
static inline __attribute__((always_inline)) void gate_input(int64_t H, int64_t c, int64_t lanes,
                                                             float *bgu)
{
    const vfloat u = v_load_head(bgu + 2 * H + c, lanes, 0.0f);
    v_store_head(bgu + c, v_load_head(bgu + c, lanes, 0.0f) * u, lanes);
}

/* g becomes g times the convolution of the rows b u. */
static inline __attribute__((always_inline)) void convolve(int64_t H, int64_t c, int64_t lanes,
                                                           const float *const rows[K],
                                                           const float *taps, float *g)
{
    const vfloat sum = conv_sum(K, H, c, lanes, rows, taps, (vfloat){0});
    v_store_head(g + c, v_load_head(g + c, lanes, 0.0f) * sum, lanes);
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *past = in->t[SHORT_CONV_WINDOW];
    float *bgu = in->scratch[0];
    product_rows(in, OF_INPUT, S, in->t[SHORT_CONV_X], bgu);
    for (int64_t s = 0; s < S; s++) {
        float *row = bgu + s * 3 * H;
        const float *rows[K];
        V_EACH(c, lanes, H, gate_input(H, c, lanes, row));
        conv_window(K, bgu, 3 * H, s, past, H, rows);
        V_EACH(c, lanes, H, convolve(H, c, lanes, rows, in->prepared[TAPS], row + H));
    }
    multiply_adds_done += S * H * K;
    conv_keep_window(K, H, bgu, 3 * H, S, past, in->t[SHORT_CONV_WINDOW_LAST]);
    product(in, OF_OUTPUT, S, bgu + H, 3 * H, NULL, in->t[SHORT_CONV_Y], H);
}

const struct algorithm short_conv_shifted = {
    .name = "short_conv/shifted",
    .method = "both maps over the whole sequence, sums of shifted rows between them",
    .layer = &short_conv_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    MAPS(maps),
    .prepared = prepared,
    .prepare = prepare,
    .scratch = scratch,
    .run = run,
};

const struct algorithm short_conv_step = {
    .name = "short_conv.step",
    .method = "one step of short_conv/shifted",
    .layer = &short_conv_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    .products = PRODUCTS_STEP,
    .is_step = true,
    MAPS(maps),
    .prepared = prepared,
    .prepare = prepare,
    .scratch = scratch,
    .run = run,
};
