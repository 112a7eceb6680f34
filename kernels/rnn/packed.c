/*
 * rnn/packed: weights packed once; X W^T chunk by chunk, then U h panel by panel with tanh while
 * the sums are in registers. Odd steps walk through U backward, over what the step before read
 * last. Labels: layer.c.
 */
#include <string.h>

#include "packed.h"
#include "rnn.h"

enum { CHUNK, H0 };

static struct packed weights(struct dims d, int64_t vectors, const float *panels)
{
    return (struct packed){1, d.H, VMATH_LANES, d.H, vectors, panels};
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
    const float *const from[] = {in->t[RNN_W], in->t[RNN_U], in->t[RNN_B]};
    packed_recurrence_fill(&W, &U, from, in->prepared);
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const struct packed W = weights(d, PACKED_VECTORS, 0);
    out[CHUNK] = (struct tensor){.name = "chunk", .shape = {PACKED_CHUNK_STEPS, packed_rows(&W)}};
    out[H0] = (struct tensor){.name = "h0", .shape = {d.H}};
    return H0 + 1;
}

/* y_s = tanh(wx + U h) */
static void step(const struct instance *in, int64_t s, const float *wx)
{
    const int64_t H = in->dims.H;
    const struct packed U = weights(in->dims, PACKED_STEP_VECTORS, in->prepared[PACKED_U]);
    const float *h = s ? in->t[RNN_Y] + (s - 1) * H : in->scratch[H0];
    float *y = in->t[RNN_Y] + s * H;
    const int64_t rows = packed_rows(&U), width = U.vectors * VMATH_LANES;
    const int64_t panels = (rows + width - 1) / width;
    const bool backward = s % 2;
    for (int64_t p = 0; p < panels; p++) {
        const int64_t first = (backward ? panels - 1 - p : p) * width;
        const int64_t vectors = at_most(rows - first, width) / VMATH_LANES;
        vfloat sum[PACKED_STEP_VECTORS];
        for (int64_t v = 0; v < vectors; v++)
            sum[v] = v_load(wx + first + v * VMATH_LANES);
        packed_step(vectors, backward, H, U.panels + first * H, h, sum);
        for (int64_t v = 0; v < vectors; v++) {
            const int64_t at = first + v * VMATH_LANES;
            v_store_some(y + at, v_tanh(sum[v]), H - at);
        }
    }
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const struct packed W = weights(in->dims, PACKED_VECTORS, in->prepared[PACKED_W]);
    memset(in->scratch[H0], 0, (size_t)H * sizeof(float));
    packed_recurrence(in, &W, in->t[RNN_X], in->prepared[PACKED_B], in->scratch[CHUNK], step);
    multiply_adds_done += S * H * H;
}

const struct kernel rnn_packed = {
    .name = "rnn/packed",
    .method =
        "weights packed once, register-blocked products, U walked forward and backward in turn",
    .layer = &rnn_layer,
    .engine = PACKED,
    .prepared = prepared,
    .prepare = prepare,
    .scratch = scratch,
    .run = run,
};
