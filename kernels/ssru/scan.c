/*
 * ssru/scan: tile after tile of tokens, so that their gates stay in cache; through a tile the state
 * of a vector of channels stays in a register.
 */
#include "ssru.h"

enum { TILE = 96 };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    out[0] = (struct tensor){.name = "gates", .shape = {TILE, 2 * d.H}};
    return 1;
}

/* All tokens of channels k .. k + lanes; c_next may be c. */
static inline __attribute__((always_inline)) void scan(int64_t H, int64_t tokens, int64_t k,
                                                       int64_t lanes, const float *gates,
                                                       const float *c, float *c_next, float *y)
{
    vfloat state = v_load_head(c + k, lanes, 0.0f);
    for (int64_t t = 0; t < tokens; t++) {
        state = ssru_next(H, lanes, gates + t * 2 * H + k, state);
        v_store_head(y + t * H + k, v_max(state, (vfloat){0}), lanes);
    }
    v_store_head(c_next + k, state, lanes);
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H;
    const float *c = in->t[SSRU_C0];
    float *gates = in->scratch[0], *c_next = in->t[SSRU_C_LAST];
    for (int64_t first = 0; first < S; first += TILE) {
        const int64_t tokens = at_most(S - first, TILE);
        float *y = in->t[SSRU_Y] + first * H;
        ssru_project(in, tokens, in->t[SSRU_X] + first * H, gates);
        V_EACH(k, lanes, H, scan(H, tokens, k, lanes, gates, c, c_next, y));
        c = c_next;
    }
}

const struct algorithm ssru_scan = {
    .name = "ssru/scan",
    .method = "tiles of 96 tokens; through a tile the state of a vector of channels stays in a "
              "register",
    .layer = &ssru_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    .maps = ssru_maps,
    .map_count = SSRU_MAPS,
    .scratch = scratch,
    .run = run,
};
