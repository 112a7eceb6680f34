/*
 * rnn/registers: W x chunk by chunk, then U h panel by panel, with tanh while the sums are in
 * registers. Odd steps walk through U backward, over what the step before read last. Several
 * sequences: see recurrence.h.
 */
#include "common/recurrence.h"
#include "rnn.h"

enum { OF_INPUT, OF_STATE };
static const struct map maps[] = {
    [OF_INPUT] = {.matrix = RNN_W, .bias = RNN_B, .gates = 1, .gate_vectors = 1},
    [OF_STATE] = {.matrix = RNN_U, .one_row = true, .gates = 1, .gate_vectors = 1},
};

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    return recurrence_scratch(d, &maps[OF_INPUT], &maps[OF_STATE], 1, out);
}

static inline void update(const struct instance *in, const struct panel *p, const vfloat *sums)
{
    (void)in;
    for (int64_t v = 0; v < p->vectors; v++)
        v_store_some(p->h_next + v * VMATH_LANES, v_tanh(sums[v]), p->left - v * VMATH_LANES);
}

static void run(const struct instance *in)
{
    recurrence_run(in, OF_INPUT, OF_STATE, 1, in->t[RNN_X], in->t[RNN_H0], in->t[RNN_Y],
                   in->scratch, panel_start_from_input, update);
}

const struct algorithm rnn_registers = {
    .name = "rnn/registers",
    .method = "per panel of U: product and tanh in registers, forward and backward in turn",
    .layer = &rnn_layer,
    .batch_rows = BATCH_TOGETHER,
    .needs_panels = true,
    .because = "it applies tanh to the sums of a panel while they are in registers",
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};
