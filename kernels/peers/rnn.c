/* rnn/onednn: oneDNN's vanilla RNN primitive. */
#include "rnn/rnn.h"
#include "peers/onednn.h"

static void prepare(struct instance *in)
{
    const struct onednn_recurrent r =
        onednn_recurrent(in->dims, 1, 1, onednn_sequence_layout(in->dims));
    dnnl_rnn_desc_t op;
    onednn_check(dnnl_vanilla_rnn_forward_desc_init(
                     &op, dnnl_forward_inference, dnnl_eltwise_tanh, dnnl_unidirectional_left2right,
                     &r.input, &r.state, &r.weights_of_input, &r.weights_of_state, &r.bias,
                     &r.output, NULL, dnnl_rnn_flags_undef, 0.0f, 0.0f),
                 "dnnl_vanilla_rnn_forward_desc_init");
    in->handle = onednn_open_recurrent(&op, &r, in->t[RNN_X], in->t[RNN_H0], in->t[RNN_W],
                                       in->t[RNN_U], in->t[RNN_B], in->t[RNN_Y]);
}

static void run(const struct instance *in)
{
    const struct dims d = in->dims;
    multiply_adds_done += token_rows(d) * d.H * (input_size(d) + d.H);
    onednn_execute(in->handle);
}

const struct algorithm rnn_onednn = {
    .name = "rnn/onednn",
    .method = "oneDNN's vanilla RNN primitive with weights in the layout it asks for",
    .layer = &rnn_layer,
    BY_ONEDNN,
    .batch_rows = BATCH_TOGETHER,
    .prepare = prepare,
    .release = onednn_release,
    .run = run,
};
