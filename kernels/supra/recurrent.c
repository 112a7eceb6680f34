/*
 * supra/recurrent: token after token, one head through the whole sequence at a time, so that its
 * state stays in L1.
 */
#include <string.h>

#include "common/state.h"
#include "supra.h"

enum { CONTEXT = SUPRA_SCRATCH };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const int count = supra_scratch(d, out);
    out[CONTEXT] = (struct tensor){.name = "context", .shape = {d.S, d.H}};
    return count + 1;
}

static void run(const struct instance *in)
{
    const struct dims d = in->dims;
    const int64_t SH = d.S * d.H, size = d.H / d.A;
    const float *q = in->scratch[SUPRA_FEATURES], *v = in->scratch[SUPRA_QKV] + 2 * SH;
    float *M = in->scratch[SUPRA_STATE], *context = in->scratch[CONTEXT];

    supra_begin(in);
    for (int64_t head = 0; head < d.A; head++) {
        const float decay = supra_powers(in, head)[1];
        memset(M, 0, (size_t)(size * size) * sizeof(float));
        for (int64_t at = head * size; at < SH; at += d.H)
            state_step(size, size, decay, q + SH + at, v + at, q + at, M, context + at);
    }
    multiply_adds_done += 2 * SH * size;
    supra_finish(in, context);
}

const struct algorithm supra_recurrent = {
    .name = "supra/recurrent",
    .method = "maps, then per head and token M = g M + k v^T and M^T q",
    .layer = &supra_layer,
    .maps = supra_maps,
    .map_count = SUPRA_MAPS,
    .prepared = supra_prepared,
    .prepare = supra_prepare,
    .scratch = scratch,
    .run = run,
};
