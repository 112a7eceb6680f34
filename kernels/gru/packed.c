/*
 * gru/packed: weights packed once with the three gates of a channel side by side; X W^T chunk by
 * chunk, then per panel U h, activations and update while the sums are in registers. Odd steps
 * walk through U backward, over what the step before read last. Labels: layer.c.
 */
#include <string.h>

#include "gru.h"
#include "packed.h"

enum { PACKED_BN = PACKED_RECURRENCE, PREPARED_TENSORS };
enum { CHUNK, H0 };
enum {
    GATES = 3,
    GATE_VECTORS = PACKED_STEP_VECTORS / GATES,
    PANEL_VECTORS = GATES * GATE_VECTORS
};

static struct packed weights(struct dims d, int64_t vectors, const float *panels)
{
    return (struct packed){GATES, d.H, GATE_VECTORS * VMATH_LANES, d.H, vectors, panels};
}

/* The order of a vector with one float per channel: filled up to whole panels. */
static struct packed channels(struct dims d)
{
    return (struct packed){.gates = 1, .hid = d.H, .block = GATE_VECTORS * VMATH_LANES};
}

static int prepared(struct dims d, struct tensor out[PREPARED_MAX])
{
    const struct packed W = weights(d, PACKED_VECTORS, 0), bn = channels(d);
    packed_recurrence_tensors(&W, out);
    out[PACKED_BN] = packed_vector("packed_bn", &bn);
    return PREPARED_TENSORS;
}

static void prepare(struct instance *in)
{
    const struct packed W = weights(in->dims, PACKED_VECTORS, 0);
    const struct packed U = weights(in->dims, PANEL_VECTORS, 0), bn = channels(in->dims);
    const float *const from[] = {in->t[GRU_W], in->t[GRU_U], in->t[GRU_B]};
    packed_recurrence_fill(&W, &U, from, in->prepared);
    packed_fill_vector(&bn, in->t[GRU_BN], 1.0f, in->prepared[PACKED_BN]);
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const struct packed W = weights(d, PACKED_VECTORS, 0);
    out[CHUNK] = (struct tensor){.name = "chunk", .shape = {PACKED_CHUNK_STEPS, packed_rows(&W)}};
    out[H0] = (struct tensor){.name = "h0", .shape = {d.H}};
    return H0 + 1;
}

/* The channels of one panel; uh holds U_r h + wx_r, U_z h + wx_z and U_n h + bn. */
static void update(const vfloat uh[PACKED_STEP_VECTORS], const float *wx_n, int64_t left,
                   const float *h, float *h_next)
{
    for (int v = 0; v < GATE_VECTORS && left > 0; v++, left -= VMATH_LANES) {
        const int64_t at = (int64_t)v * VMATH_LANES, lanes = at_most(left, VMATH_LANES);
        const vfloat r = v_sigmoid(uh[v]), z = v_sigmoid(uh[GATE_VECTORS + v]);
        const vfloat n = v_tanh(v_load(wx_n + at) + r * uh[2 * GATE_VECTORS + v]);
        const vfloat last = v_load_head(h + at, lanes, 0.0f);
        v_store_some(h_next + at, n + z * (last - n), left);
    }
}

static void step(const struct instance *in, int64_t s, const float *wx)
{
    const int64_t H = in->dims.H;
    const struct packed U = weights(in->dims, PANEL_VECTORS, in->prepared[PACKED_U]);
    const int64_t panels = packed_rows(&U) / (GATES * U.block);
    const float *h = s ? in->t[GRU_Y] + (s - 1) * H : in->scratch[H0];
    float *y = in->t[GRU_Y] + s * H;
    const bool backward = s % 2;
    for (int64_t p = 0; p < panels; p++) {
        const int64_t channel = (backward ? panels - 1 - p : p) * U.block, first = channel * GATES;
        const float *bn = in->prepared[PACKED_BN] + channel;
        vfloat uh[PACKED_STEP_VECTORS];
        for (int v = 0; v < 2 * GATE_VECTORS; v++)
            uh[v] = v_load(wx + first + v * VMATH_LANES);
        for (int v = 0; v < GATE_VECTORS; v++)
            uh[2 * GATE_VECTORS + v] = v_load(bn + v * VMATH_LANES);
        packed_step(PANEL_VECTORS, backward, H, U.panels + first * H, h, uh);
        update(uh, wx + first + 2 * U.block, H - channel, h + channel, y + channel);
    }
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const struct packed W = weights(in->dims, PACKED_VECTORS, in->prepared[PACKED_W]);
    memset(in->scratch[H0], 0, (size_t)H * sizeof(float));
    packed_recurrence(in, &W, in->t[GRU_X], in->prepared[PACKED_B], in->scratch[CHUNK], step);
    multiply_adds_done += 3 * S * H * H;
}

const struct kernel gru_packed = {
    .name = "gru/packed",
    .method =
        "weights packed once, gates of a channel together, U walked forward and backward in turn",
    .layer = &gru_layer,
    .engine = PACKED,
    .prepared = prepared,
    .prepare = prepare,
    .scratch = scratch,
    .run = run,
};
