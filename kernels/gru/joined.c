/*
 * gru/joined: W with b, and U with bn, side by side, see joined.h; a step is two products and one
 * pass over the state.
 */
#include "common/joined.h"
#include "gru.h"

enum { WB, UB };
static const struct map maps[] = {[WB] = JOINED_MAP(WB), [UB] = JOINED_MAP(UB)};

static int prepared(struct dims d, struct tensor out[OWN_PREPARED_MAX])
{
    out[WB] = (struct tensor){.name = "W b", .shape = {GRU_GATES * d.H, input_size(d) + 1}};
    out[UB] = (struct tensor){.name = "U bn", .shape = {GRU_GATES * d.H, d.H + 1}};
    return UB + 1;
}

static void prepare(struct instance *in)
{
    const int64_t H = in->dims.H, In = input_size(in->dims);
    for (int64_t r = 0; r < GRU_GATES * H; r++) {
        float *wb = in->prepared[WB] + r * (In + 1), *ub = in->prepared[UB] + r * (H + 1);
        memcpy(wb, in->t[GRU_W] + r * In, (size_t)In * sizeof(float));
        memcpy(ub, in->t[GRU_U] + r * H, (size_t)H * sizeof(float));
        wb[In] = in->t[GRU_B][r];
        ub[H] = r < 2 * H ? 0.0f : in->t[GRU_BN][r - 2 * H];
    }
}

enum { X1, H1, OF_X, OF_H };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const int64_t room = joined_room(&maps[WB], GRU_GATES * d.H);
    out[X1] = (struct tensor){.name = "x1", .shape = {input_size(d) + 1}};
    out[H1] = (struct tensor){.name = "h1", .shape = {d.H + 1}};
    out[OF_X] = (struct tensor){.name = "of x", .shape = {room}};
    out[OF_H] = (struct tensor){.name = "of h", .shape = {room}};
    return OF_H + 1;
}

/* of_x[3H] of_h[3H] last[H] -> h[H] */
static void update(int64_t H, const float *of_x, const float *of_h, const float *last, float *h)
{
    for (int64_t k = 0; k < H; k += VMATH_LANES) {
        const vfloat next = gru_cell(
            v_load(of_x + k) + v_load(of_h + k), v_load(of_x + H + k) + v_load(of_h + H + k),
            v_load(of_x + 2 * H + k), v_load(of_h + 2 * H + k), v_load_some(last + k, H - k));
        v_store_some(h + k, next, H - k);
    }
}

static void run(const struct instance *in)
{
    const int64_t H = in->dims.H, In = input_size(in->dims);
    float *x1 = in->scratch[X1], *h1 = in->scratch[H1];
    float *of_x = in->scratch[OF_X], *of_h = in->scratch[OF_H];
    const float *h = in->t[GRU_H0];
    x1[In] = h1[H] = 1.0f;
    for (int64_t s = 0; s < in->dims.S; s++) {
        const bool backward = joined_backward(in, s, GRU_GATES * H * (In + H + 2));
        float *y = in->t[GRU_Y] + s * H;
        vmath_copy(In, in->t[GRU_X] + s * In, x1);
        vmath_copy(H, h, h1);
        joined_product(in, backward ? UB : WB, backward, backward ? h1 : x1,
                       backward ? of_h : of_x);
        joined_product(in, backward ? WB : UB, backward, backward ? x1 : h1,
                       backward ? of_x : of_h);
        update(H, of_x, of_h, h, y);
        h = y;
    }
    multiply_adds_done += in->dims.S * GRU_GATES * H * (In + H);
}

const struct algorithm gru_joined = {
    .name = "gru/joined",
    .method = "W with b and U with bn, each walked through once per step",
    .layer = &gru_layer,
    .products = PRODUCTS_STEP,
    .needs_panels = true,
    .because = "it walks through panels, forward and backward in turn",
    MAPS(maps),
    .prepared = prepared,
    .prepare = prepare,
    .scratch = scratch,
    .run = run,
};
