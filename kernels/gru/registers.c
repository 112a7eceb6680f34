/*
 * gru/registers: the three gates of a channel side by side; W x chunk by chunk, then per panel U h,
 * activations and update while the sums are in registers. Odd steps walk through U backward, over
 * what the step before read last. Several sequences: see recurrence.h.
 */
#include "common/recurrence.h"
#include "gru.h"

enum { GATE_VECTORS = WALK_VECTORS / GRU_GATES };

enum { OF_INPUT, OF_STATE };
static const struct map maps[] = {
    [OF_INPUT] = {GRU_W, .bias = GRU_B, .gates = GRU_GATES, .gate_vectors = GATE_VECTORS},
    [OF_STATE] = {GRU_U, .one_row = true, .gates = GRU_GATES, .gate_vectors = GATE_VECTORS},
};

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    return recurrence_scratch(d, &maps[OF_INPUT], &maps[OF_STATE], GRU_GATES, out);
}

/* r and z start from W x, U_n h from bn: r multiplies it before W_n x is added. */
static inline void start(const struct instance *in, const struct panel *p, vfloat *sums)
{
    const float *bn = in->t[GRU_BN] + p->channel;
    const int64_t vectors = p->vectors / GRU_GATES;
    for (int64_t v = 0; v < 2 * vectors; v++)
        sums[v] = v_load(p->wx + v * VMATH_LANES);
    for (int64_t v = 0; v < vectors; v++)
        sums[2 * vectors + v] = v_load_some(bn + v * VMATH_LANES, p->left - v * VMATH_LANES);
}

static inline void update(const struct instance *in, const struct panel *p, const vfloat *sums)
{
    const int64_t vectors = p->vectors / GRU_GATES;
    const float *wx_n = p->wx + 2 * vectors * VMATH_LANES;
    (void)in;
    for (int64_t v = 0; v < vectors; v++) {
        const int64_t at = v * VMATH_LANES, left = p->left - at;
        const vfloat next = gru_cell(sums[v], sums[vectors + v], v_load(wx_n + at),
                                     sums[2 * vectors + v], v_load_some(p->h + at, left));
        v_store_some(p->h_next + at, next, left);
    }
}

static void run(const struct instance *in)
{
    recurrence_run(in, OF_INPUT, OF_STATE, GRU_GATES, in->t[GRU_X], in->t[GRU_H0], in->t[GRU_Y],
                   in->scratch, start, update);
}

const struct algorithm gru_registers = {
    .name = "gru/registers",
    .method = "gates of a channel together, activations and update while the sums are in registers",
    .layer = &gru_layer,
    .batch_rows = BATCH_TOGETHER,
    .needs_panels = true,
    .because = "it updates the state while the sums of a panel are in registers",
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};
