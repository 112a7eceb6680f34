/*
 * lstm/packed: weights packed once with the four gates of a channel side by side; X W^T chunk by
 * chunk, then per panel U h, activations and cell update while the sums are in registers. Odd
 * steps walk through U backward, over what the step before read last. Labels: layer.c.
 */
#include <string.h>

#include "lstm.h"
#include "packed.h"

enum { CHUNK, H0, CELLS };
enum { GATES = 4, GATE_VECTORS = PACKED_STEP_VECTORS / GATES };

static struct packed weights(struct dims d, int64_t vectors, const float *panels)
{
    return (struct packed){GATES, d.H, GATE_VECTORS * VMATH_LANES, d.H, vectors, panels};
}

static int prepared(struct dims d, struct tensor out[PREPARED_MAX])
{
    const struct packed W = weights(d, PACKED_VECTORS, 0);
    packed_recurrence_tensors(&W, out);
    return PACKED_RECURRENCE;
}

static void prepare(struct instance *in)
{
    const struct packed W = weights(in->dims, PACKED_VECTORS, 0);
    const struct packed U = weights(in->dims, PACKED_STEP_VECTORS, 0);
    const float *const from[] = {in->t[LSTM_W], in->t[LSTM_U], in->t[LSTM_B]};
    packed_recurrence_fill(&W, &U, from, in->prepared);
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const struct packed W = weights(d, PACKED_VECTORS, 0);
    out[CHUNK] = (struct tensor){.name = "chunk", .shape = {PACKED_CHUNK_STEPS, packed_rows(&W)}};
    out[H0] = (struct tensor){.name = "h0", .shape = {d.H}};
    out[CELLS] = (struct tensor){.name = "c", .shape = {packed_rows(&W) / GATES}};
    return CELLS + 1;
}

/* The channels of one panel: gates before activation to c and h. */
static void update(const vfloat gates[PACKED_STEP_VECTORS], int64_t left, float *c, float *h)
{
    for (int v = 0; v < GATE_VECTORS; v++) {
        const vfloat i = v_sigmoid(gates[v]), f = v_sigmoid(gates[GATE_VECTORS + v]);
        const vfloat c_hat = v_tanh(gates[2 * GATE_VECTORS + v]);
        const vfloat o = v_sigmoid(gates[3 * GATE_VECTORS + v]);
        const vfloat next = f * v_load(c + v * VMATH_LANES) + i * c_hat;
        v_store(c + v * VMATH_LANES, next);
        v_store_some(h + v * VMATH_LANES, o * v_tanh(next), left - v * VMATH_LANES);
    }
}

static void step(const struct instance *in, int64_t s, const float *wx)
{
    const int64_t H = in->dims.H;
    const struct packed U = weights(in->dims, PACKED_STEP_VECTORS, in->prepared[PACKED_U]);
    const int64_t panels = packed_rows(&U) / (GATES * U.block);
    const float *h = s ? in->t[LSTM_Y] + (s - 1) * H : in->scratch[H0];
    float *y = in->t[LSTM_Y] + s * H;
    const bool backward = s % 2;
    for (int64_t p = 0; p < panels; p++) {
        const int64_t channel = (backward ? panels - 1 - p : p) * U.block, first = channel * GATES;
        vfloat gates[PACKED_STEP_VECTORS];
        for (int v = 0; v < PACKED_STEP_VECTORS; v++)
            gates[v] = v_load(wx + first + v * VMATH_LANES);
        packed_step(PACKED_STEP_VECTORS, backward, H, U.panels + first * H, h, gates);
        update(gates, H - channel, in->scratch[CELLS] + channel, y + channel);
    }
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const struct packed W = weights(in->dims, PACKED_VECTORS, in->prepared[PACKED_W]);
    float *c = in->scratch[CELLS];
    memset(in->scratch[H0], 0, (size_t)H * sizeof(float));
    memset(c, 0, (size_t)(packed_rows(&W) / GATES) * sizeof(float));
    packed_recurrence(in, &W, in->t[LSTM_X], in->prepared[PACKED_B], in->scratch[CHUNK], step);
    multiply_adds_done += 4 * S * H * H;
    memcpy(in->t[LSTM_C_LAST], c, (size_t)H * sizeof(float));
}

const struct kernel lstm_packed = {
    .name = "lstm/packed",
    .method =
        "weights packed once, gates of a channel together, U walked forward and backward in turn",
    .layer = &lstm_layer,
    .engine = PACKED,
    .prepared = prepared,
    .prepare = prepare,
    .scratch = scratch,
    .run = run,
};
