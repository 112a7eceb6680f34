/*
 * lstm/registers: the four gates of a channel side by side; W x chunk by chunk, then per panel U h,
 * activations and cell update while the sums are in registers. Odd steps walk through U backward,
 * over what the step before read last. Several sequences: see recurrence.h.
 */
#include <string.h>

#include "common/recurrence.h"
#include "lstm.h"

enum { GATE_VECTORS = WALK_VECTORS / LSTM_GATES };

enum { OF_INPUT, OF_STATE };
static const struct map maps[] = {
    [OF_INPUT] = {LSTM_W, .bias = LSTM_B, .gates = LSTM_GATES, .gate_vectors = GATE_VECTORS},
    [OF_STATE] = {LSTM_U, .one_row = true, .gates = LSTM_GATES, .gate_vectors = GATE_VECTORS},
};

enum { CELLS, OF_RECURRENCE };

static int64_t padded_cells(int64_t H)
{
    return map_rows(&maps[OF_STATE], LSTM_GATES * H) / LSTM_GATES;
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[CELLS] = (struct tensor){.name = "c", .shape = {d.B, padded_cells(d.H)}};
    return OF_RECURRENCE +
           recurrence_scratch(d, &maps[OF_INPUT], &maps[OF_STATE], LSTM_GATES, out + OF_RECURRENCE);
}

static inline void update(const struct instance *in, const struct panel *p, const vfloat *sums)
{
    const int64_t padded = in->weights[OF_STATE].rows / LSTM_GATES;
    float *c = in->scratch[CELLS] + p->sequence * padded + p->channel;
    const int64_t vectors = p->vectors / LSTM_GATES;
    for (int64_t v = 0; v < vectors; v++) {
        vfloat cell = v_load(c + v * VMATH_LANES);
        const vfloat h = lstm_cell(sums[v], sums[vectors + v], sums[2 * vectors + v],
                                   sums[3 * vectors + v], &cell);
        v_store(c + v * VMATH_LANES, cell);
        v_store_some(p->h_next + v * VMATH_LANES, h, p->left - v * VMATH_LANES);
    }
}

static void run(const struct instance *in)
{
    const int64_t H = in->dims.H, padded = padded_cells(H);
    float *c = in->scratch[CELLS];
    for (int64_t b = 0; b < in->dims.B; b++) {
        memcpy(c + b * padded, in->t[LSTM_C0] + b * H, (size_t)H * sizeof(float));
        memset(c + b * padded + H, 0, (size_t)(padded - H) * sizeof(float));
    }
    recurrence_run(in, OF_INPUT, OF_STATE, LSTM_GATES, in->t[LSTM_X], in->t[LSTM_H0], in->t[LSTM_Y],
                   in->scratch + OF_RECURRENCE, panel_start_from_input, update);
    for (int64_t b = 0; b < in->dims.B; b++)
        memcpy(in->t[LSTM_C_LAST] + b * H, c + b * padded, (size_t)H * sizeof(float));
}

const struct algorithm lstm_registers = {
    .name = "lstm/registers",
    .method = "gates of a channel together, activations and update while the sums are in registers",
    .layer = &lstm_layer,
    .batch_rows = BATCH_TOGETHER,
    .needs_panels = true,
    .because = "it updates the cells while the sums of a panel are in registers",
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};
