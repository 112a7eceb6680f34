/*
 * rglru/scan, rglru.step: both branches over the whole sequence; convolution, gates and recurrence
 * in tiles of tokens that stay in cache. Through a tile the state of a vector of channels stays in
 * a register.
 */
#include <math.h>

#include "common/blocks.h"
#include "rglru.h"

enum { GATES, OF_GELU, OF_RECURRENCE, OF_OUTPUT };
static const struct map maps[] = {
    [GATES] = BLOCKS_MAP(GATES, RGLRU_WI, RGLRU_WA),
    [OF_GELU] = {RGLRU_WY, .bias = RGLRU_BY},
    [OF_RECURRENCE] = {RGLRU_WX, .bias = RGLRU_BX},
    [OF_OUTPUT] = {RGLRU_WO, .bias = RGLRU_BO},
};

enum { INPUT_GATE, RECURRENCE_GATE, GATE_COUNT };

static struct blocks blocks(struct dims d)
{
    return (struct blocks){.heads = d.A, .size = d.H / d.A, .gates = GATE_COUNT};
}

enum { TAPS = GATES + 1, RATES };

static int prepared(struct dims d, struct tensor out[OWN_PREPARED_MAX])
{
    out[GATES] = blocks_tensor("Wi Wa", blocks(d));
    out[TAPS] = (struct tensor){.name = "taps", .shape = {CONV_TAPS, d.H}};
    out[RATES] = (struct tensor){.name = "rates", .shape = {d.H}};
    return RATES + 1;
}

static void prepare(struct instance *in)
{
    const struct blocks b = blocks(in->dims);
    blocks_fill(b, INPUT_GATE, in->t[RGLRU_WI], in->prepared[GATES]);
    blocks_fill(b, RECURRENCE_GATE, in->t[RGLRU_WA], in->prepared[GATES]);
    conv_pack_taps(CONV_TAPS, in->dims.H, in->t[RGLRU_CONV_W], in->dims.H, in->prepared[TAPS]);
    for (int64_t c = 0; c < in->dims.H; c++)
        in->prepared[RATES][c] = -rglru_power * (float)log1p(exp((double)in->t[RGLRU_LAM][c]));
}

enum { BRANCHES, U, GATE_SUMS };
enum { TILE = 64 };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const int64_t tokens = at_most(d.S, TILE);
    out[BRANCHES] = (struct tensor){.name = "branches", .shape = {d.S, 2 * d.H}};
    out[U] = (struct tensor){.name = "u", .shape = {tokens, d.H}};
    out[GATE_SUMS] = (struct tensor){.name = "gates", .shape = {tokens, blocks_rows(blocks(d))}};
    return GATE_SUMS + 1;
}

/* A vector of channels through a tile. Pointers start at the first of them. */
struct lane {
    int64_t lanes, tokens, H, gates_row;
    const float *u, *input, *recurrence; /* u[tokens,H]; sums of the gates, gates_row apart */
    const float *input_bias, *recurrence_bias, *rate;
    float *branch; /* Wy x + by becomes h gelu(.), rows of 2 H */
};

/* One token: h, or nothing yet, to the next h; gate sums of input and recurrence. */
static inline vfloat recur(vfloat h, vfloat u, vfloat input, vfloat recurrence, vfloat rate)
{
    const vfloat driven = v_sigmoid(input) * u;
    const vfloat change = v_expm1_nonpositive(v_sigmoid(recurrence) * rate); /* a - 1 */
    const vfloat next = h + change * h + v_sqrt(-change * (change + 2.0f)) * driven;
    return v_select(h == -INFINITY, driven, next);
}

static inline __attribute__((always_inline)) vfloat scan(const struct lane *s, vfloat h)
{
    const int64_t lanes = s->lanes;
    const vfloat rate = v_load_head(s->rate, lanes, 0.0f);
    const vfloat input_bias = v_load_head(s->input_bias, lanes, 0.0f);
    const vfloat recurrence_bias = v_load_head(s->recurrence_bias, lanes, 0.0f);
    for (int64_t t = 0; t < s->tokens; t++) {
        float *branch = s->branch + t * 2 * s->H;
        h = recur(h, v_load_head(s->u + t * s->H, lanes, 0.0f),
                  v_load_head(s->input + t * s->gates_row, lanes, 0.0f) + input_bias,
                  v_load_head(s->recurrence + t * s->gates_row, lanes, 0.0f) + recurrence_bias,
                  rate);
        v_store_head(branch, h * v_gelu_tanh(v_load_head(branch, lanes, 0.0f)), lanes);
    }
    return h;
}

/* One head of a tile: u[tokens,H] and h0[H] to h_next[H], which may be h0. */
static void head_tile(const struct instance *in, int64_t head, int64_t tokens, const float *u,
                      const float *h0, float *h_next, float *branch)
{
    const struct blocks b = blocks(in->dims);
    const int64_t H = in->dims.H, channels = blocks_channels(b), rows = blocks_rows(b);
    blocks_product(in, GATES, b, head, tokens, u + head * b.size, H, in->scratch[GATE_SUMS]);
    for (int64_t c = 0; c < b.size; c += VMATH_LANES) {
        const int64_t k = head * b.size + c;
        const float *sums = in->scratch[GATE_SUMS] + c / channels * BLOCKS_GROUP + c % channels;
        struct lane s = {VMATH_LANES,
                         tokens,
                         H,
                         rows,
                         u + k,
                         sums,
                         sums + channels,
                         in->t[RGLRU_BI] + k,
                         in->t[RGLRU_BA] + k,
                         in->prepared[RATES] + k,
                         branch + k};
        if (c + VMATH_LANES <= b.size) {
            v_store(h_next + k, scan(&s, v_load(h0 + k)));
        } else {
            s.lanes = b.size - c;
            v_store_head(h_next + k, scan(&s, v_load_head(h0 + k, s.lanes, 0.0f)), s.lanes);
        }
    }
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *h = in->t[RGLRU_H0];
    float *branches = in->scratch[BRANCHES], *u = in->scratch[U];
    product(in, OF_GELU, S, in->t[RGLRU_X], H, NULL, branches, 2 * H);
    product(in, OF_RECURRENCE, S, in->t[RGLRU_X], H, NULL, branches + H, 2 * H);
    for (int64_t first = 0; first < S; first += TILE) {
        const int64_t tokens = at_most(S - first, TILE);
        for (int64_t t = 0; t < tokens; t++) {
            const float *rows[CONV_TAPS];
            conv_window(CONV_TAPS, branches + H, 2 * H, first + t, in->t[RGLRU_WINDOW], H, rows);
            conv(H, rows, in->prepared[TAPS], in->t[RGLRU_CONV_B], u + t * H);
        }
        for (int64_t head = 0; head < in->dims.A; head++)
            head_tile(in, head, tokens, u, h, in->t[RGLRU_H_LAST], branches + first * 2 * H);
        h = in->t[RGLRU_H_LAST];
    }
    multiply_adds_done += S * GATE_COUNT * H * (H / in->dims.A);
    conv_keep_window(CONV_TAPS, H, branches + H, 2 * H, S, in->t[RGLRU_WINDOW],
                     in->t[RGLRU_WINDOW_LAST]);
    product(in, OF_OUTPUT, S, branches, 2 * H, NULL, in->t[RGLRU_Y], H);
}

const struct algorithm rglru_scan = {
    .name = "rglru/scan",
    .method = "projections; gates head by head in tiles of 64 tokens, the state of a vector of "
              "channels in a register",
    .layer = &rglru_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    MAPS(maps),
    .prepared = prepared,
    .prepare = prepare,
    .scratch = scratch,
    .run = run,
};

const struct algorithm rglru_step = {
    .name = "rglru.step",
    .method = "one step of rglru/scan",
    .layer = &rglru_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    .products = PRODUCTS_STEP,
    .is_step = true,
    MAPS(maps),
    .prepared = prepared,
    .prepare = prepare,
    .scratch = scratch,
    .run = run,
};
