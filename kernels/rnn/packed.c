/*
 * rnn/packed: weights packed once; X W^T chunk by chunk, then U h panel by panel with tanh while
 * the sums are in registers. Odd steps walk through U backward, over what the step before read
 * last. Labels: layer.c.
 */
#include <string.h>

#include "packed.h"
#include "rnn.h"

enum { PACKED_W, PACKED_U, PACKED_B };
enum { CHUNK, H0 };
enum { CHUNK_STEPS = 96 }; /* W x of so many steps is worked out at once */

static struct packed input_weights(struct dims d)
{
    return (struct packed){1, d.H, VMATH_LANES, d.H, PACKED_VECTORS, 0};
}

static struct packed recurrent_weights(struct dims d)
{
    return (struct packed){1, d.H, VMATH_LANES, d.H, PACKED_STEP_VECTORS, 0};
}

static int prepared(struct dims d, struct tensor out[PREPARED_MAX])
{
    const struct packed W = input_weights(d), U = recurrent_weights(d);
    out[PACKED_W] = packed_tensor("packed_W", &W);
    out[PACKED_U] = packed_tensor("packed_U", &U);
    out[PACKED_B] = packed_vector("packed_b", &W);
    return PACKED_B + 1;
}

static void prepare(struct instance *in)
{
    const struct packed W = input_weights(in->dims), U = recurrent_weights(in->dims);
    packed_fill(&W, in->t[RNN_W], in->dims.H, 1.0f, in->prepared[PACKED_W]);
    packed_fill(&U, in->t[RNN_U], in->dims.H, 1.0f, in->prepared[PACKED_U]);
    packed_fill_vector(&W, in->t[RNN_B], 1.0f, in->prepared[PACKED_B]);
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const struct packed W = input_weights(d);
    out[CHUNK] = (struct tensor){.name = "chunk", .shape = {CHUNK_STEPS, packed_rows(&W)}};
    out[H0] = (struct tensor){.name = "h0", .shape = {d.H}};
    return H0 + 1;
}

/* y = tanh(wx + U h); wx[packed_rows(U)] */
static void step(const struct packed *U, bool backward, const float *wx, const float *h, float *y)
{
    const int64_t rows = packed_rows(U), width = U->vectors * VMATH_LANES;
    const int64_t panels = (rows + width - 1) / width;
    for (int64_t p = 0; p < panels; p++) {
        const int64_t first = (backward ? panels - 1 - p : p) * width;
        const int64_t vectors = (rows - first < width ? rows - first : width) / VMATH_LANES;
        vfloat sum[PACKED_STEP_VECTORS];
        for (int64_t v = 0; v < vectors; v++)
            sum[v] = v_load(wx + first + v * VMATH_LANES);
        packed_step(vectors, backward, U->in, U->panels + first * U->in, h, sum);
        for (int64_t v = 0; v < vectors; v++) {
            const int64_t at = first + v * VMATH_LANES, left = U->hid - at;
            v_store_some(y + at, v_tanh(sum[v]), left);
        }
    }
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    struct packed W = input_weights(in->dims), U = recurrent_weights(in->dims);
    const int64_t row = packed_rows(&W);
    const float *h = in->scratch[H0];
    float *y = in->t[RNN_Y], *chunk = in->scratch[CHUNK];
    W.panels = in->prepared[PACKED_W];
    U.panels = in->prepared[PACKED_U];

    memset(in->scratch[H0], 0, (size_t)H * sizeof(float));
    multiply_adds_done += S * H * H;
    for (int64_t first = 0; first < S; first += CHUNK_STEPS) {
        const int64_t steps = S - first < CHUNK_STEPS ? S - first : CHUNK_STEPS;
        packed_linear(steps, row, &W, in->t[RNN_X] + first * H, H, in->prepared[PACKED_B], 0,
                      THEN_NOTHING, chunk, row);
        for (int64_t s = 0; s < steps; s++) {
            step(&U, s % 2, chunk + s * row, h, y + (first + s) * H);
            h = y + (first + s) * H;
        }
    }
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
