/*
 * gated_deltanet/recurrent, gated_deltanet.step: token after token, head after head, so that the
 * state of a head stays in L1 through a tile. S is walked through once per token: as
 * o = e^g S^T q + (k q) u and u = b (v - e^g S^T k), both products are with the S before the update,
 * and are summed up during the walk of the token before.
 */
#include <math.h>

#include "common/state_walk.h"
#include "gated_deltanet.h"

enum { OF_KEY = DELTANET_OWN_SCRATCH, OF_QUERY, UPDATE };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const int64_t size = d.H / d.A;
    deltanet_scratch(d, out);
    out[OF_KEY] = (struct tensor){.name = "S^T k", .shape = {size}};
    out[OF_QUERY] = (struct tensor){.name = "S^T q", .shape = {size}};
    out[UPDATE] = (struct tensor){.name = "u", .shape = {size}};
    return UPDATE + 1;
}

/* A vector of channels: u, and o in the place of v. */
static inline __attribute__((always_inline)) void
answer_vector(int64_t lanes, float decay, float rate, float along, const float *of_key,
              const float *of_query, float *v, float *u)
{
    const vfloat seen = decay * v_load_head(of_key, lanes, 0.0f);
    const vfloat update = rate * (v_load_head(v, lanes, 0.0f) - seen);
    v_store_head(u, update, lanes);
    v_store_head(v, decay * v_load_head(of_query, lanes, 0.0f) + along * update, lanes);
}

static void core(const struct instance *in, const struct deltanet_tile *tile)
{
    static const struct state_pass ask = {.asks = true}, update = {.updates = 1, .decays = true},
                                   both = {.updates = 1, .decays = true, .asks = true};
    const int64_t size = tile->size, row = tile->row;
    float *of_key = in->scratch[OF_KEY], *of_query = in->scratch[OF_QUERY];
    float *u = in->scratch[UPDATE], decays[DELTANET_TILE];
    struct state_walk walk = {.rows = size,
                              .columns = size,
                              .value = {u},
                              .ask = {tile->k, tile->q},
                              .answer = {of_key, of_query},
                              .state = tile->S};
    for (int64_t t = 0; t < tile->tokens; t++)
        decays[t] = tile->log_decay[t * tile->heads];
    vmath_exp(tile->tokens, decays, decays);
    state_walk(&walk, ask);
    for (int64_t t = 0; t < tile->tokens; t++) {
        const float *q = tile->q + t * row, *k = tile->k + t * row;
        const float along = vmath_dot(size, k, q), rate = tile->rate[t * tile->heads];
        float *v = tile->v + t * row;
        V_EACH(
            c, lanes, size,
            answer_vector(lanes, decays[t], rate, along, of_key + c, of_query + c, v + c, u + c));
        walk.decay = &decays[t];
        walk.key[0] = k;
        walk.ask[0] = k + row;
        walk.ask[1] = q + row;
        if (t + 1 < tile->tokens)
            state_walk(&walk, both);
        else
            state_walk(&walk, update);
    }
    multiply_adds_done += tile->tokens * size * (3 * size + 1);
}

static void run(const struct instance *in)
{
    deltanet_run(in, core);
}

const struct algorithm gated_deltanet_recurrent = {
    .name = "gated_deltanet/recurrent",
    .method = "projections; token by token, head by head, the state of a head in L1 and walked "
              "through once per token",
    .layer = &gated_deltanet_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    .maps = deltanet_maps,
    .map_count = DELTANET_MAPS,
    .prepared = deltanet_prepared,
    .prepare = deltanet_prepare,
    .scratch = scratch,
    .run = run,
};

const struct algorithm gated_deltanet_step = {
    .name = "gated_deltanet.step",
    .method = "one step of gated_deltanet/recurrent",
    .layer = &gated_deltanet_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    .products = PRODUCTS_STEP,
    .is_step = true,
    .maps = deltanet_maps,
    .map_count = DELTANET_MAPS,
    .prepared = deltanet_prepared,
    .prepare = deltanet_prepare,
    .scratch = scratch,
    .run = run,
};
