/*
 * lstm/onednn, lstm/onednn_bf16, lstm/onednn_int8: oneDNN's LSTM primitive, whose gates are in our
 * order. bfloat16 and int8: input and output are converted within the time.
 */
#include "lstm/lstm.h"
#include "peers/onednn.h"

/* The primitive gives the last h and c together or neither. */
enum { H_LAST, ROOMS };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[H_LAST] = (struct tensor){.name = "h_last", .shape = {d.B, d.H}};
    return H_LAST + 1;
}

static int narrow_scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    return scratch(d, out) + onednn_rooms(d, out + ROOMS);
}

static void open(struct instance *in, struct onednn_types types)
{
    const struct dims d = in->dims;
    const struct onednn_recurrent r =
        onednn_recurrent(types, d, LSTM_GATES, LSTM_GATES, onednn_sequence_layout(d));
    float *const *t = in->t, *const *room = in->scratch + ROOMS;
    struct onednn_chain *chain = onednn_chain(in);
    dnnl_rnn_desc_t op;
    onednn_check(dnnl_lstm_forward_desc_init(
                     &op, dnnl_forward_inference, dnnl_unidirectional_left2right, &r.input,
                     &r.state, &r.cell, &r.weights_of_input, &r.weights_of_state, &r.bias,
                     &r.output, &r.state, &r.cell, dnnl_rnn_flags_undef),
                 "dnnl_lstm_forward_desc_init");
    dnnl_primitive_attr_t scales =
        onednn_recurrent_scales(types, d, LSTM_GATES, t[LSTM_W], t[LSTM_U]);
    const void *x = onednn_taken(chain, r.input, t[LSTM_X], room[ONEDNN_X]);
    const void *h0 = onednn_taken(chain, r.state, t[LSTM_H0], room[ONEDNN_H0]);
    struct onednn *p =
        onednn_open_recurrent(&op, &r, scales, x, h0, t[LSTM_W], t[LSTM_U], t[LSTM_B],
                              onednn_made(r.output, t[LSTM_Y], room[ONEDNN_Y]));
    onednn_bind(p, DNNL_ARG_SRC_ITER_C, t[LSTM_C0]);
    onednn_bind(p, DNNL_ARG_DST_ITER, in->scratch[H_LAST]);
    onednn_bind(p, DNNL_ARG_DST_ITER_C, t[LSTM_C_LAST]);
    onednn_chain_add(chain, p);
    onednn_give_back(chain, r.output, room[ONEDNN_Y], t[LSTM_Y]);
    if (scales)
        dnnl_primitive_attr_destroy(scales);
}

static void prepare(struct instance *in)
{
    open(in, ONEDNN_FLOAT32);
}

static void prepare_bf16(struct instance *in)
{
    open(in, ONEDNN_BF16);
}

static void prepare_int8(struct instance *in)
{
    open(in, ONEDNN_INT8);
}

static void run(const struct instance *in)
{
    const struct dims d = in->dims;
    multiply_adds_done += LSTM_GATES * token_rows(d) * d.H * (input_size(d) + d.H);
    onednn_chain_run(in->handle);
}

const struct algorithm lstm_onednn = {
    .name = "lstm/onednn",
    .method = "oneDNN's LSTM primitive with weights in the layout it asks for",
    .layer = &lstm_layer,
    BY_ONEDNN,
    .batch_rows = BATCH_TOGETHER,
    .scratch = scratch,
    .prepare = prepare,
    .release = onednn_release,
    .run = run,
};

const struct algorithm lstm_onednn_bf16 = {
    .name = "lstm/onednn_bf16",
    .method = "oneDNN's LSTM primitive in bfloat16",
    .layer = &lstm_layer,
    BY_ONEDNN_BF16,
    .tolerance = ONEDNN_BF16_TOLERANCE,
    .scratch = narrow_scratch,
    .prepare = prepare_bf16,
    .release = onednn_release,
    .run = run,
};

const struct algorithm lstm_onednn_int8 = {
    .name = "lstm/onednn_int8",
    .method =
        "oneDNN's LSTM primitive with weights of int8, a scale per row, inputs and h of 8 bits",
    .layer = &lstm_layer,
    BY_ONEDNN_INT8,
    .tolerance = ONEDNN_INT8_TOLERANCE,
    .scratch = narrow_scratch,
    .prepare = prepare_int8,
    .release = onednn_release,
    .run = run,
};
