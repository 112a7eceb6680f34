/* gru/literal: six sgemv per step, as the textbook writes the gates. Labels: layer.c. */
#include <string.h>

#include "blas.h"
#include "gru.h"
#include "vmath.h"

enum { GATES, WX, UH, H0 };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[GATES] = (struct tensor){.name = "gates", .shape = {3 * d.H}};
    out[WX] = (struct tensor){.name = "wx", .shape = {d.H}};
    out[UH] = (struct tensor){.name = "uh", .shape = {d.H}};
    out[H0] = (struct tensor){.name = "h0", .shape = {d.H}};
    return H0 + 1;
}

/* h_next of one step; x, h: H floats each. */
static void step(const struct instance *in, const float *x, const float *h, float *h_next)
{
    const int64_t H = in->dims.H;
    const float *W = in->t[GRU_W], *U = in->t[GRU_U], *b = in->t[GRU_B], *bn = in->t[GRU_BN];
    float *wx = in->scratch[WX], *uh = in->scratch[UH];
    float *r = in->scratch[GATES], *z = r + H, *n = z + H;

    for (int64_t gate = 0; gate < 2; gate++) {
        blas_sgemv(H, H, W + gate * H * H, H, x, 0.0f, wx);
        blas_sgemv(H, H, U + gate * H * H, H, h, 0.0f, uh);
        for (int64_t k = 0; k < H; k++)
            r[gate * H + k] = wx[k] + uh[k] + b[gate * H + k];
    }
    vmath_sigmoid(2 * H, r, r);
    blas_sgemv(H, H, W + 2 * H * H, H, x, 0.0f, wx);
    blas_sgemv(H, H, U + 2 * H * H, H, h, 0.0f, uh);
    for (int64_t k = 0; k < H; k++)
        n[k] = wx[k] + b[2 * H + k] + r[k] * (uh[k] + bn[k]);
    vmath_tanh(H, n, n);
    for (int64_t k = 0; k < H; k++)
        h_next[k] = n[k] + z[k] * (h[k] - n[k]);
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *x = in->t[GRU_X], *h = in->scratch[H0];
    float *y = in->t[GRU_Y];

    memset(in->scratch[H0], 0, (size_t)H * sizeof(float));
    for (int64_t s = 0; s < S; s++) {
        step(in, x + s * H, h, y + s * H);
        h = y + s * H;
    }
}

const struct kernel gru_literal = {
    .name = "gru/literal",
    .method = "per step six sgemv, W x and U h for each of r, z, n, then activations and update",
    .layer = &gru_layer,
    .scratch = scratch,
    .run = run,
};
