/*
 * tcn/im2col: the tokens that a convolution sees side by side, S x K H floats, then one product.
 * The weights are laid out [out][K H] beforehand.
 */
#include <string.h>

#include "tcn.h"

enum { WIDE1, WIDE2 };
enum { FIRST, SECOND };
static const struct map maps[] = {
    [FIRST] = {.is_made = true, .matrix = WIDE1, .bias = TCN_B1, .relu = true},
    [SECOND] = {.is_made = true, .matrix = WIDE2, .bias = TCN_B2},
};
enum { COLUMNS, HIDDEN };

static int prepared(struct dims d, struct tensor out[OWN_PREPARED_MAX])
{
    out[WIDE1] = (struct tensor){.name = "wide1", .shape = {d.H, TCN_TAPS * d.H}};
    out[WIDE2] = (struct tensor){.name = "wide2", .shape = {d.H, TCN_TAPS * d.H}};
    return WIDE2 + 1;
}

/* W[K,H,H] -> wide[H,K H] */
static void widen(int64_t H, const float *W, float *wide)
{
    for (int64_t o = 0; o < H; o++)
        for (int64_t tap = 0; tap < TCN_TAPS; tap++)
            memcpy(wide + (o * TCN_TAPS + tap) * H, W + (tap * H + o) * H,
                   (size_t)H * sizeof(float));
}

static void prepare(struct instance *in)
{
    widen(in->dims.H, in->t[TCN_W1], in->prepared[WIDE1]);
    widen(in->dims.H, in->t[TCN_W2], in->prepared[WIDE2]);
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[COLUMNS] = (struct tensor){.name = "columns", .shape = {d.S, TCN_TAPS * d.H}};
    out[HIDDEN] = (struct tensor){.name = "hidden", .shape = {d.S, d.H}};
    return HIDDEN + 1;
}

/* Zeros where a tap looks before the start. Both convolutions leave them as they are. */
static void clear_before_start(struct dims d, float *columns)
{
    for (int64_t tap = 0; tap < TCN_TAPS; tap++)
        for (int64_t s = 0; s < d.S && s < tcn_delay(tap); s++)
            memset(columns + (s * TCN_TAPS + tap) * d.H, 0, (size_t)d.H * sizeof(float));
}

/* Token s to every place from which a tap sees it. */
static void place_token(struct dims d, int64_t s, const float *token, float *columns)
{
    for (int64_t tap = 0; tap < TCN_TAPS; tap++)
        if (s + tcn_delay(tap) < d.S)
            memcpy(columns + ((s + tcn_delay(tap)) * TCN_TAPS + tap) * d.H, token,
                   (size_t)d.H * sizeof(float));
}

static void run(const struct instance *in)
{
    const struct dims d = in->dims;
    const int64_t H = d.H;
    float *columns = in->scratch[COLUMNS], *hidden = in->scratch[HIDDEN];

    clear_before_start(d, columns);
    for (int64_t s = 0; s < d.S; s++)
        place_token(d, s, in->t[TCN_X] + s * H, columns);
    product_rows(in, FIRST, d.S, columns, hidden);
    for (int64_t s = 0; s < d.S; s++)
        place_token(d, s, hidden + s * H, columns);
    product_rows(in, SECOND, d.S, columns, in->t[TCN_Y]);
    tcn_add_residual(d.S * H, in->t[TCN_Y], in->t[TCN_X], in->t[TCN_Y]);
}

const struct algorithm tcn_im2col = {
    .name = "tcn/im2col",
    .method = "per convolution the K tokens of each output copied side by side, then one product",
    .layer = &tcn_layer,
    MAPS(maps),
    .prepared = prepared,
    .prepare = prepare,
    .scratch = scratch,
    .run = run,
};
