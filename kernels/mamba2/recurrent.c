/*
 * mamba2/recurrent: h = a h + dt x B^T token by token, head after head, so that the state of a head
 * (16 KiB) stays in L1 through a tile of tokens.
 */
#include <string.h>

#include "mamba2.h"
#include "vmath.h"

enum { STATE = MAMBA2_OWN_SCRATCH, DECAY };
enum { P = MAMBA2_HEAD_SIZE, N = MAMBA2_STATES };
/* Channels at once: their inputs and their sums stay in 8 registers. */
enum { PANEL_VECTORS = 4, PANEL = PANEL_VECTORS * VMATH_LANES };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const struct mamba2_sizes s = mamba2_sizes(d);
    mamba2_scratch(d, out);
    out[STATE] = (struct tensor){.name = "h", .shape = {s.heads, N, P}};
    out[DECAY] = (struct tensor){.name = "decay", .shape = {MAMBA2_TILE, s.heads}};
    return DECAY + 1;
}

/* One token, PANEL channels: y[PANEL] = C h after h[N,P] = decay h + dt x B. */
static inline void step(const float *x, float dt, float decay, const float *B, const float *C,
                        float *h, float *y)
{
    vfloat dt_x[PANEL_VECTORS], sum[PANEL_VECTORS] = {(vfloat){0}};
    for (int v = 0; v < PANEL_VECTORS; v++)
        dt_x[v] = v_load(x + v * VMATH_LANES) * dt;
    for (int64_t n = 0; n < N; n++)
        for (int v = 0; v < PANEL_VECTORS; v++) {
            float *at = h + n * P + v * VMATH_LANES;
            const vfloat next = v_load(at) * decay + dt_x[v] * B[n];
            v_store(at, next);
            sum[v] += next * C[n];
        }
    for (int v = 0; v < PANEL_VECTORS; v++)
        v_store(y + v * VMATH_LANES, sum[v]);
}

static void core(const struct instance *in, const struct mamba2_tile *tile)
{
    const struct mamba2_sizes s = mamba2_sizes(in->dims);
    float *decay = in->scratch[DECAY];
    vmath_exp(tile->tokens * s.heads, tile->log_decay, decay);
    for (int64_t head = 0; head < s.heads; head++)
        for (int64_t p = 0; p < P; p += PANEL) {
            float *h = in->scratch[STATE] + head * N * P + p;
            for (int64_t t = 0; t < tile->tokens; t++) {
                const float *xbc = tile->xbc + t * s.convolved, *B = xbc + s.D;
                step(xbc + head * P + p, tile->dt[t * s.heads + head], decay[t * s.heads + head], B,
                     B + N, h, tile->y + t * s.D + head * P + p);
            }
        }
}

static void run(const struct instance *in)
{
    memset(in->scratch[STATE], 0, (size_t)(mamba2_sizes(in->dims).heads * N * P) * sizeof(float));
    mamba2_run(in, core);
}

const struct algorithm mamba2_recurrent = {
    .name = "mamba2/recurrent",
    .method = "projections; token by token, head by head, the state of a head in L1",
    .layer = &mamba2_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    .maps = mamba2_maps,
    .map_count = MAMBA2_MAPS,
    .prepared = mamba2_prepared,
    .prepare = mamba2_prepare,
    .scratch = scratch,
    .run = run,
};
