/*
 * ttt/primal: token by token. k W and q W come from one walk through W; in a second walk the sum
 * of the mini-batch's gradients takes rate k^T g and meets q.
 */
#include <string.h>

#include "ttt.h"
#include "vmath.h"

/* Per head W and the gradients' sum DW [HeadSize,ld], b and DB [ld]; ld is in whole vectors. */
enum { W = TTT_OWN_SCRATCH, DW, B, DB, ROWS };
enum { OF_K, OF_Q, OF_G, GRADIENT, ROW_COUNT }; /* rows of ROWS: k W, q W, q DW, g */
enum { PANEL_VECTORS = 4, PANEL = PANEL_VECTORS * VMATH_LANES };

static int64_t whole_vectors(int64_t n)
{
    return (n + VMATH_LANES - 1) / VMATH_LANES * VMATH_LANES;
}

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const int64_t size = d.H / d.A, ld = whole_vectors(size);
    ttt_scratch(d, out);
    out[W] = (struct tensor){.name = "W", .shape = {d.A, size, ld}};
    out[DW] = (struct tensor){.name = "dW", .shape = {d.A, size, ld}};
    out[B] = (struct tensor){.name = "b", .shape = {d.A, ld}};
    out[DB] = (struct tensor){.name = "db", .shape = {d.A, ld}};
    out[ROWS] = (struct tensor){.name = "rows", .shape = {ROW_COUNT, ld}};
    return ROWS + 1;
}

/* A panel of columns: of_k = k model, of_q = q model, vectors <= PANEL_VECTORS. */
static inline __attribute__((always_inline)) void apply_panel(int vectors, int64_t n, int64_t ld,
                                                              const float *model, const float *k,
                                                              const float *q, float *of_k,
                                                              float *of_q)
{
    vfloat sum_k[PANEL_VECTORS] = {(vfloat){0}}, sum_q[PANEL_VECTORS] = {(vfloat){0}};
    for (int64_t p = 0; p < n; p++)
        for (int v = 0; v < vectors; v++) {
            const vfloat row = v_load(model + p * ld + v * VMATH_LANES);
            sum_k[v] += row * k[p];
            sum_q[v] += row * q[p];
        }
    for (int v = 0; v < vectors; v++) {
        v_store(of_k + v * VMATH_LANES, sum_k[v]);
        v_store(of_q + v * VMATH_LANES, sum_q[v]);
    }
}

/* A panel of columns: sums += rate k^T gradient; of_g = q sums. */
static inline __attribute__((always_inline)) void learn_panel(int vectors, int64_t n, int64_t ld,
                                                              float *sums, const float *k,
                                                              const float *q, float rate,
                                                              const float *gradient, float *of_g)
{
    vfloat g[PANEL_VECTORS], sum_g[PANEL_VECTORS] = {(vfloat){0}};
    for (int v = 0; v < vectors; v++)
        g[v] = v_load(gradient + v * VMATH_LANES) * rate;
    for (int64_t p = 0; p < n; p++)
        for (int v = 0; v < vectors; v++) {
            float *at = sums + p * ld + v * VMATH_LANES;
            const vfloat row = v_load(at) + g[v] * k[p];
            v_store(at, row);
            sum_g[v] += row * q[p];
        }
    for (int v = 0; v < vectors; v++)
        v_store(of_g + v * VMATH_LANES, sum_g[v]);
}

/* of_k = k model, of_q = q model */
static void apply(int64_t n, int64_t ld, const float *model, const float *k, const float *q,
                  float *of_k, float *of_q)
{
    multiply_adds_done += 2 * n * n;
    int64_t j = 0;
    for (; j + PANEL <= ld; j += PANEL)
        apply_panel(PANEL_VECTORS, n, ld, model + j, k, q, of_k + j, of_q + j);
    for (; j < ld; j += VMATH_LANES)
        apply_panel(1, n, ld, model + j, k, q, of_k + j, of_q + j);
}

/* sums += rate k^T gradient; of_g = q sums */
static void learn(int64_t n, int64_t ld, float *sums, const float *k, const float *q, float rate,
                  const float *gradient, float *of_g)
{
    multiply_adds_done += 2 * n * n;
    int64_t j = 0;
    for (; j + PANEL <= ld; j += PANEL)
        learn_panel(PANEL_VECTORS, n, ld, sums + j, k, q, rate, gradient + j, of_g + j);
    for (; j < ld; j += VMATH_LANES)
        learn_panel(1, n, ld, sums + j, k, q, rate, gradient + j, of_g + j);
}

/* state -= sums / TTT_BATCH; sums = 0 */
static void close_batch(int64_t n, float *state, float *sums)
{
    for (int64_t i = 0; i < n; i++) {
        state[i] -= sums[i] * (1.0f / TTT_BATCH);
        sums[i] = 0.0f;
    }
}

static void core(const struct instance *in, const struct ttt_batch *batch)
{
    const int64_t n = in->dims.H / in->dims.A, ld = whole_vectors(n), head = batch->head;
    float *w = in->scratch[W] + head * n * ld, *dw = in->scratch[DW] + head * n * ld;
    float *b = in->scratch[B] + head * ld, *db = in->scratch[DB] + head * ld;
    float *of_k = in->scratch[ROWS] + OF_K * ld, *of_q = in->scratch[ROWS] + OF_Q * ld;
    float *of_g = in->scratch[ROWS] + OF_G * ld, *g = in->scratch[ROWS] + GRADIENT * ld;
    for (int64_t t = 0; t < batch->tokens; t++) {
        const float *q = in->scratch[TTT_Q] + t * n, *k = in->scratch[TTT_K] + t * n;
        const float rate = batch->rates[t], share = 1.0f / (float)(t + 1);
        apply(n, ld, w, k, q, of_k, of_q);
        ttt_gradient(in, head, b, k, batch->v + t * batch->stride, of_k, g);
        learn(n, ld, dw, k, q, rate, g, of_g);
        for (int64_t j = 0; j < n; j++) {
            db[j] += rate * g[j];
            of_q[j] -= share * (of_g[j] + db[j]);
        }
        ttt_output(in, head, b, q, of_q, batch->out + t * batch->stride);
    }
    if (batch->tokens == TTT_BATCH) {
        close_batch(n * ld, w, dw);
        close_batch(n, b, db);
    }
}

static void run(const struct instance *in)
{
    const int64_t A = in->dims.A, n = in->dims.H / A, ld = whole_vectors(n);
    memset(in->scratch[W], 0, (size_t)(A * n * ld) * sizeof(float));
    memset(in->scratch[DW], 0, (size_t)(A * n * ld) * sizeof(float));
    memset(in->scratch[DB], 0, (size_t)(A * ld) * sizeof(float));
    memset(in->scratch[ROWS], 0, (size_t)(ROW_COUNT * ld) * sizeof(float));
    for (int64_t row = 0; row < A * n; row++)
        memcpy(in->scratch[W] + row * ld, in->t[TTT_W0] + row * n, (size_t)n * sizeof(float));
    for (int64_t a = 0; a < A; a++)
        memcpy(in->scratch[B] + a * ld, in->t[TTT_B0] + a * n, (size_t)n * sizeof(float));
    ttt_run(in, core);
}

const struct algorithm ttt_primal = {
    .name = "ttt/primal",
    .method = "token by token: W and the sum of its gradients are walked through once per token",
    .layer = &ttt_layer,
    .maps = ttt_maps,
    .map_count = TTT_MAPS,
    .prepared = ttt_prepared,
    .prepare = ttt_prepare,
    .scratch = scratch,
    .run = run,
};
