/*
 * rnn/onednn, rnn/onednn_bf16: oneDNN's vanilla RNN primitive. It has none of int8. bfloat16: input
 * and output are converted within the time.
 */
#include "rnn/rnn.h"
#include "peers/onednn.h"

static void open(struct instance *in, struct onednn_types types)
{
    const struct onednn_recurrent r =
        onednn_recurrent(types, in->dims, 1, 1, onednn_sequence_layout(in->dims));
    float *const *t = in->t, *const *room = in->scratch;
    struct onednn_chain *chain = onednn_chain(in);
    dnnl_rnn_desc_t op;
    onednn_check(dnnl_vanilla_rnn_forward_desc_init(
                     &op, dnnl_forward_inference, dnnl_eltwise_tanh, dnnl_unidirectional_left2right,
                     &r.input, &r.state, &r.weights_of_input, &r.weights_of_state, &r.bias,
                     &r.output, NULL, dnnl_rnn_flags_undef, 0.0f, 0.0f),
                 "dnnl_vanilla_rnn_forward_desc_init");
    const void *x = onednn_taken(chain, r.input, t[RNN_X], room[ONEDNN_X]);
    const void *h0 = onednn_taken(chain, r.state, t[RNN_H0], room[ONEDNN_H0]);
    onednn_chain_add(chain,
                     onednn_open_recurrent(&op, &r, NULL, x, h0, t[RNN_W], t[RNN_U], t[RNN_B],
                                           onednn_made(r.output, t[RNN_Y], room[ONEDNN_Y])));
    onednn_give_back(chain, r.output, room[ONEDNN_Y], t[RNN_Y]);
}

static void prepare(struct instance *in)
{
    open(in, ONEDNN_FLOAT32);
}

static void prepare_bf16(struct instance *in)
{
    open(in, ONEDNN_BF16);
}

static void run(const struct instance *in)
{
    const struct dims d = in->dims;
    multiply_adds_done += token_rows(d) * d.H * (input_size(d) + d.H);
    onednn_chain_run(in->handle);
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

const struct algorithm rnn_onednn_bf16 = {
    .name = "rnn/onednn_bf16",
    .method = "oneDNN's vanilla RNN primitive in bfloat16",
    .layer = &rnn_layer,
    BY_ONEDNN_BF16,
    .tolerance = ONEDNN_BF16_TOLERANCE,
    .scratch = onednn_rooms,
    .prepare = prepare_bf16,
    .release = onednn_release,
    .run = run,
};
