/*
 * gru/onednn, gru/onednn_bf16: oneDNN's GRU primitive with the reset after the product; it has none
 * of int8. bfloat16: input and output are converted within the time.
 * Its gate order is z, r, n, and its fourth bias is bn. Several sequences are copied step by step
 * into [S,B,H] and back, within the time that counts: at H=1024 oneDNN's GRU takes 2.4 times as long
 * when it reads 4 sequences as [B,S,H]; its RNN and LSTM lose as often as they gain.
 */
#include <stdlib.h>
#include <string.h>

#include "gru/gru.h"
#include "peers/onednn.h"

static int prepared(struct dims d, struct tensor out[OWN_PREPARED_MAX])
{
    out[0] = (struct tensor){.name = "bias", .shape = {4 * d.H}};
    return 1;
}

enum { X_BY_STEP, Y_BY_STEP };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    if (d.B == 1)
        return 0;
    out[X_BY_STEP] = (struct tensor){.name = "x_by_step", .shape = {d.S, d.B, input_size(d)}};
    out[Y_BY_STEP] = (struct tensor){.name = "y_by_step", .shape = {d.S, d.B, d.H}};
    return Y_BY_STEP + 1;
}

/* to[columns,rows,n] = from[rows,columns,n], rows and columns exchanged. */
static void exchange(int64_t rows, int64_t columns, int64_t n, const float *from, float *to)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            memcpy(to + (c * rows + r) * n, from + (r * columns + c) * n,
                   (size_t)n * sizeof(float));
}

/* Rows r, z, n of so many columns as z, r, n. */
static void reorder_gates(int64_t H, int64_t columns, const float *from, float *to)
{
    const size_t gate = (size_t)(H * columns);
    memcpy(to, from + gate, gate * sizeof(float));
    memcpy(to + gate, from, gate * sizeof(float));
    memcpy(to + 2 * gate, from + 2 * gate, gate * sizeof(float));
}

static void open(struct instance *in, struct onednn_types types)
{
    const int64_t H = in->dims.H, In = input_size(in->dims);
    const struct onednn_recurrent r = onednn_recurrent(types, in->dims, GRU_GATES, 4, dnnl_tnc);
    struct onednn_chain *chain = onednn_chain(in);
    float *const *room = in->scratch;
    const bool one = in->dims.B == 1;
    const void *x =
        one ? onednn_taken(chain, r.input, in->t[GRU_X], room[ONEDNN_X]) : room[X_BY_STEP];
    const void *h0 = onednn_taken(chain, r.state, in->t[GRU_H0], room[ONEDNN_H0]);
    void *y = one ? onednn_made(r.output, in->t[GRU_Y], room[ONEDNN_Y]) : room[Y_BY_STEP];
    float *W = malloc((size_t)(3 * H * (In + H)) * sizeof(float)), *bias = in->prepared[0];
    dnnl_rnn_desc_t op;
    if (!W)
        abort();
    reorder_gates(H, In, in->t[GRU_W], W);
    reorder_gates(H, H, in->t[GRU_U], W + 3 * H * In);
    reorder_gates(H, 1, in->t[GRU_B], bias);
    memcpy(bias + 3 * H, in->t[GRU_BN], (size_t)H * sizeof(float));
    onednn_check(dnnl_lbr_gru_forward_desc_init(&op, dnnl_forward_inference,
                                                dnnl_unidirectional_left2right, &r.input, &r.state,
                                                &r.weights_of_input, &r.weights_of_state, &r.bias,
                                                &r.output, NULL, dnnl_rnn_flags_undef),
                 "dnnl_lbr_gru_forward_desc_init");
    onednn_chain_add(chain,
                     onednn_open_recurrent(&op, &r, NULL, x, h0, W, W + 3 * H * In, bias, y));
    onednn_give_back(chain, r.output, y, in->t[GRU_Y]);
    free(W);
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
    multiply_adds_done += 3 * token_rows(d) * d.H * (input_size(d) + d.H);
    if (d.B > 1)
        exchange(d.B, d.S, input_size(d), in->t[GRU_X], in->scratch[X_BY_STEP]);
    onednn_chain_run(in->handle);
    if (d.B > 1)
        exchange(d.S, d.B, d.H, in->scratch[Y_BY_STEP], in->t[GRU_Y]);
}

const struct algorithm gru_onednn = {
    .name = "gru/onednn",
    .method = "oneDNN's GRU primitive (linear before reset), weights in the layout it asks for",
    .layer = &gru_layer,
    BY_ONEDNN,
    .batch_rows = BATCH_TOGETHER,
    .scratch = scratch,
    .prepared = prepared,
    .prepare = prepare,
    .release = onednn_release,
    .run = run,
};

const struct algorithm gru_onednn_bf16 = {
    .name = "gru/onednn_bf16",
    .method = "oneDNN's GRU primitive (linear before reset) in bfloat16",
    .layer = &gru_layer,
    BY_ONEDNN_BF16,
    .tolerance = ONEDNN_BF16_TOLERANCE,
    .scratch = onednn_rooms,
    .prepared = prepared,
    .prepare = prepare_bf16,
    .release = onednn_release,
    .run = run,
};
