/* lstm/onednn: oneDNN's LSTM primitive, whose gates are in our order. */
#include "lstm/lstm.h"
#include "peers/onednn.h"

/* The primitive gives the last h and c together or neither. */
static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "h_last", .shape = {d.B, d.H}};
    return 1;
}

static void prepare(struct instance *in)
{
    const struct onednn_recurrent r =
        onednn_recurrent(in->dims, 4, 4, onednn_sequence_layout(in->dims));
    dnnl_rnn_desc_t op;
    onednn_check(dnnl_lstm_forward_desc_init(
                     &op, dnnl_forward_inference, dnnl_unidirectional_left2right, &r.input,
                     &r.state, &r.state, &r.weights_of_input, &r.weights_of_state, &r.bias,
                     &r.output, &r.state, &r.state, dnnl_rnn_flags_undef),
                 "dnnl_lstm_forward_desc_init");
    struct onednn *p = onednn_open_recurrent(&op, &r, in->t[LSTM_X], in->t[LSTM_H0], in->t[LSTM_W],
                                             in->t[LSTM_U], in->t[LSTM_B], in->t[LSTM_Y]);
    onednn_bind(p, DNNL_ARG_SRC_ITER_C, in->t[LSTM_C0]);
    onednn_bind(p, DNNL_ARG_DST_ITER, in->scratch[0]);
    onednn_bind(p, DNNL_ARG_DST_ITER_C, in->t[LSTM_C_LAST]);
    in->handle = p;
}

static void run(const struct instance *in)
{
    const struct dims d = in->dims;
    multiply_adds_done += 4 * token_rows(d) * d.H * (input_size(d) + d.H);
    onednn_execute(in->handle);
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
