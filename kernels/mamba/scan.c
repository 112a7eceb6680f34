/*
 * mamba/scan: in_proj and out_proj over the whole sequence, what is between them in tiles of tokens
 * that stay in cache; the state of a vector of channels in registers through a tile. Labels:
 * layer.c.
 */
#include <string.h>

#include "blas.h"
#include "mamba.h"

enum { UZ, U, DT, SELECTORS, STATE, ZEROS };
enum { TILE = 64 };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const int64_t D = MAMBA_EXPAND * d.H;
    out[UZ] = (struct tensor){.name = "uz", .shape = {d.S, 2 * D}};
    out[U] = (struct tensor){.name = "u", .shape = {TILE, D}};
    out[DT] = (struct tensor){.name = "dt", .shape = {TILE, D}};
    out[SELECTORS] = (struct tensor){.name = "selectors", .shape = {TILE, mamba_selectors(d.H)}};
    out[STATE] = (struct tensor){.name = "h", .shape = {MAMBA_STATES, D}};
    out[ZEROS] = (struct tensor){.name = "zeros", .shape = {D}};
    return ZEROS + 1;
}

/* Tokens first .. first + tokens of uz[S,2D]: z becomes what out_proj reads. */
static void tile(const struct instance *in, int64_t first, int64_t tokens)
{
    const int64_t D = MAMBA_EXPAND * in->dims.H;
    float *uz = in->scratch[UZ], *u = in->scratch[U], *h = in->scratch[STATE];
    for (int64_t t = 0; t < tokens; t++) {
        const float *rows[CONV_TAPS];
        conv_window(uz, 2 * D, first + t, in->scratch[ZEROS], rows);
        conv_silu(D, rows, in->prepared[MAMBA_TAPS], in->t[MAMBA_CONV_B], u + t * D);
    }
    mamba_select(in, tokens, h, h, in->scratch[DT], in->scratch[SELECTORS], u);
    for (int64_t t = 0; t < tokens; t++)
        mamba_gate(D, u + t * D, uz + (first + t) * 2 * D + D);
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H, D = MAMBA_EXPAND * H;
    float *uz = in->scratch[UZ];
    memset(in->scratch[STATE], 0, (size_t)(MAMBA_STATES * D) * sizeof(float));
    memset(in->scratch[ZEROS], 0, (size_t)D * sizeof(float));
    blas_sgemm_nt(S, 2 * D, H, 1.0f, in->t[MAMBA_X], H, in->t[MAMBA_WIN], H, 0.0f, uz, 2 * D);
    for (int64_t first = 0; first < S; first += TILE)
        tile(in, first, at_most(S - first, TILE));
    blas_sgemm_nt(S, H, D, 1.0f, uz + D, 2 * D, in->t[MAMBA_WOUT], D, 0.0f, in->t[MAMBA_Y], H);
}

const struct kernel mamba_scan = {
    .name = "mamba/scan",
    .method =
        "projections by sgemm; token by token, a vector of channels and its 16 states at once",
    .layer = &mamba_layer,
    .prepared = mamba_prepared,
    .prepare = mamba_prepare,
    .scratch = scratch,
    .run = run,
};
