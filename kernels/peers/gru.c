/*
 * gru/onednn: oneDNN's GRU primitive with the reset after the product.
 * Its gate order is z, r, n, and its fourth bias is bn.
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

/* Rows r, z, n of so many columns as z, r, n. */
static void reorder_gates(int64_t H, int64_t columns, const float *from, float *to)
{
    const size_t gate = (size_t)(H * columns);
    memcpy(to, from + gate, gate * sizeof(float));
    memcpy(to + gate, from, gate * sizeof(float));
    memcpy(to + 2 * gate, from + 2 * gate, gate * sizeof(float));
}

static void prepare(struct instance *in)
{
    const int64_t H = in->dims.H;
    const struct onednn_recurrent r = onednn_recurrent(in->dims, 3, 4);
    float *W = malloc((size_t)(6 * H * H) * sizeof(float)), *bias = in->prepared[0];
    dnnl_rnn_desc_t op;
    if (!W)
        abort();
    reorder_gates(H, H, in->t[GRU_W], W);
    reorder_gates(H, H, in->t[GRU_U], W + 3 * H * H);
    reorder_gates(H, 1, in->t[GRU_B], bias);
    memcpy(bias + 3 * H, in->t[GRU_BN], (size_t)H * sizeof(float));
    onednn_check(dnnl_lbr_gru_forward_desc_init(&op, dnnl_forward_inference,
                                                dnnl_unidirectional_left2right, &r.sequence,
                                                &r.state, &r.weights, &r.weights, &r.bias,
                                                &r.sequence, NULL, dnnl_rnn_flags_undef),
                 "dnnl_lbr_gru_forward_desc_init");
    in->handle = onednn_open_recurrent(&op, &r, in->t[GRU_X], in->t[GRU_H0], W, W + 3 * H * H, bias,
                                       in->t[GRU_Y]);
    free(W);
}

static void run(const struct instance *in)
{
    multiply_adds_done += 6 * token_rows(in->dims) * in->dims.H * in->dims.H;
    onednn_execute(in->handle);
}

const struct algorithm gru_onednn = {
    .name = "gru/onednn",
    .method = "oneDNN's GRU primitive (linear before reset), weights in the layout it asks for",
    .layer = &gru_layer,
    BY_ONEDNN,
    .batch_rows = BATCH_TOGETHER,
    .prepared = prepared,
    .prepare = prepare,
    .release = onednn_release,
    .run = run,
};
