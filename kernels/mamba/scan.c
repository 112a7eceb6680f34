/*
 * mamba/scan, mamba.step: in_proj and out_proj over the whole sequence, what is between them in
 * tiles of tokens that stay in cache; the state of a vector of channels stays in registers through
 * a tile.
 */
#include "mamba.h"

static const struct map maps[MAMBA_MAPS] = {
    [MAMBA_OF_INPUT] = {.matrix = MAMBA_WIN},
    [MAMBA_OF_SELECTORS] = {.matrix = MAMBA_WX},
    [MAMBA_OF_DT] = {.matrix = MAMBA_WDT},
    [MAMBA_OF_OUTPUT] = {.matrix = MAMBA_WOUT},
};

enum { UZ, U, DT, SELECTORS };
enum { TILE = 64 };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const int64_t D = MAMBA_EXPAND * d.H, T = at_most(d.S, TILE);
    out[UZ] = (struct tensor){.name = "uz", .shape = {d.S, 2 * D}};
    out[U] = (struct tensor){.name = "u", .shape = {T, D}};
    out[DT] = (struct tensor){.name = "dt", .shape = {T, D}};
    out[SELECTORS] = (struct tensor){.name = "selectors", .shape = {T, mamba_selectors(d.H)}};
    return SELECTORS + 1;
}

/* Tokens first .. first + tokens of uz[S,2D]: z becomes what out_proj reads. */
static void tile(const struct instance *in, int64_t first, int64_t tokens)
{
    const int64_t D = MAMBA_EXPAND * in->dims.H;
    float *uz = in->scratch[UZ], *u = in->scratch[U], *h = in->t[MAMBA_H_LAST];
    for (int64_t t = 0; t < tokens; t++) {
        const float *rows[CONV_TAPS];
        conv_window(CONV_TAPS, uz, 2 * D, first + t, in->t[MAMBA_WINDOW], D, rows);
        conv_silu(D, rows, in->prepared[MAMBA_TAPS], in->t[MAMBA_CONV_B], u + t * D);
    }
    mamba_select(in, tokens, first > 0 ? h : in->t[MAMBA_H0], h, in->scratch[DT],
                 in->scratch[SELECTORS], u);
    for (int64_t t = 0; t < tokens; t++)
        mamba_gate(D, u + t * D, uz + (first + t) * 2 * D + D);
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, D = MAMBA_EXPAND * in->dims.H;
    float *uz = in->scratch[UZ];
    product_rows(in, MAMBA_OF_INPUT, S, in->t[MAMBA_X], uz);
    for (int64_t first = 0; first < S; first += TILE)
        tile(in, first, at_most(S - first, TILE));
    conv_keep_window(CONV_TAPS, D, uz, 2 * D, S, in->t[MAMBA_WINDOW], in->t[MAMBA_WINDOW_LAST]);
    product(in, MAMBA_OF_OUTPUT, S, uz + D, 2 * D, NULL, in->t[MAMBA_Y], in->dims.H);
}

const struct algorithm mamba_scan = {
    .name = "mamba/scan",
    .method = "projections; then token by token, a vector of channels and its 16 states at once",
    .layer = &mamba_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    MAPS(maps),
    .prepared = mamba_prepared,
    .prepare = mamba_prepare,
    .scratch = scratch,
    .run = run,
};

const struct algorithm mamba_step = {
    .name = "mamba.step",
    .method = "one step of mamba/scan",
    .layer = &mamba_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    .products = PRODUCTS_STEP,
    .is_step = true,
    MAPS(maps),
    .prepared = mamba_prepared,
    .prepare = mamba_prepare,
    .scratch = scratch,
    .run = run,
};
