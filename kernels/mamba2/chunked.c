/*
 * mamba2/chunked: 64 tokens at once, as matrix products. With w(i,j) = a_{j+1} .. a_i, the decay
 * from token j to token i, and h the state before the chunk:
 *     y_i = w(i,-1) C_i h + sum over j <= i of w(i,j) (C_i B_j) dt_j x_j
 *     h' = w(last,-1) h + sum over j of w(last,j) B_j^T dt_j x_j
 * w is a running product down each column: it never grows and takes no exp.
 * Flops       per chunk of q tokens 2 q q N and per head 2 q P (q + N) + 2 q N P in products,
 *             q (q + 1) + q (N + P) + N P elementwise on top of what both algorithms do
 */
#include <string.h>

#include "mamba2.h"
#include "products.h"
#include "vmath.h"

enum { LEFT = MAMBA2_OWN_SCRATCH, RIGHT, CB, DECAY, WEIGHT };
enum { P = MAMBA2_HEAD_SIZE, N = MAMBA2_STATES, CHUNK = MAMBA2_TILE };
enum { INNER = N + CHUNK }; /* columns of LEFT, rows of RIGHT: states, then tokens of the chunk */

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    const struct mamba2_sizes s = mamba2_sizes(d);
    mamba2_scratch(d, out);
    out[LEFT] = (struct tensor){.name = "left", .shape = {CHUNK, INNER}};
    out[RIGHT] = (struct tensor){.name = "right", .shape = {s.heads, INNER, P}};
    out[CB] = (struct tensor){.name = "cb", .shape = {CHUNK, CHUNK}};
    out[DECAY] = (struct tensor){.name = "decay", .shape = {CHUNK, s.heads}};
    out[WEIGHT] = (struct tensor){.name = "weight", .shape = {CHUNK}};
    return WEIGHT + 1;
}

static struct cost cost(struct dims d)
{
    const struct mamba2_sizes s = mamba2_sizes(d);
    struct cost cost = mamba2_common_cost(d);
    for (int64_t first = 0; first < d.S; first += CHUNK) {
        const int64_t q = at_most(d.S - first, CHUNK);
        cost.multiply_adds += q * q * N + s.heads * q * P * (q + 2 * N);
        cost.elementwise += s.heads * (q * (q + 1) + q * (N + P) + N * P);
        cost.sequential += s.heads * (4 * q * N * P + N * P);
    }
    return cost;
}

/*
 * left[tokens,INNER]: row i holds w(i,-1) C_i, then w(i,j) (C_i B_j) up to j = i, then zeros.
 * weight[j] ends as w(last,j); returns w(last,-1). decay is stride floats apart.
 */
static float weigh(int64_t tokens, const float *C, int64_t stride_c, const float *cb,
                   const float *decay, int64_t stride, float *weight, float *left)
{
    float start = 1.0f;
    for (int64_t i = 0; i < tokens; i++) {
        const float a = decay[i * stride];
        const float *c = C + i * stride_c, *products = cb + i * tokens;
        float *of_state = left + i * INNER, *of_tokens = of_state + N;
        start *= a;
        for (int64_t n = 0; n < N; n++)
            of_state[n] = start * c[n];
        weight[i] = 1.0f;
        for (int64_t j = 0; j < i; j++)
            weight[j] *= a;
        for (int64_t j = 0; j <= i; j++)
            of_tokens[j] = weight[j] * products[j];
        memset(of_tokens + i + 1, 0, (size_t)(tokens - i - 1) * sizeof(float));
    }
    return start;
}

/* out[rows,P] = row r of in times scale[r] */
static void scale_rows(int64_t rows, const float *scale, int64_t stride, const float *in,
                       int64_t ld_in, float *out)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t p = 0; p < P; p++)
            out[r * P + p] = scale[r * stride] * in[r * ld_in + p];
}

static void core(const struct instance *in, const struct mamba2_tile *tile)
{
    const struct mamba2_sizes s = mamba2_sizes(in->dims);
    const int64_t q = tile->tokens, E = s.convolved;
    const float *x = tile->xbc, *B = x + s.D, *C = B + N;
    float *left = in->scratch[LEFT], *cb = in->scratch[CB], *decay = in->scratch[DECAY];
    float *weight = in->scratch[WEIGHT];

    vmath_exp(q * s.heads, tile->log_decay, decay);
    sgemm_nt(q, q, N, 1.0f, C, E, B, E, 0.0f, cb, q);
    for (int64_t head = 0; head < s.heads; head++) {
        float *h = in->scratch[RIGHT] + head * INNER * P, *dt_x = h + N * P;
        const float start = weigh(q, C, E, cb, decay + head, s.heads, weight, left);
        scale_rows(q, tile->dt + head, s.heads, x + head * P, E, dt_x);
        sgemm_nn(q, P, N + q, left, INNER, h, P, 0.0f, tile->y + head * P, s.D);
        scale_rows(q, weight, 1, dt_x, P, dt_x);
        sgemm_tn(N, P, q, B, E, dt_x, P, start, h, P);
    }
}

static void run(const struct instance *in)
{
    const int64_t heads = mamba2_sizes(in->dims).heads;
    for (int64_t head = 0; head < heads; head++)
        memset(in->scratch[RIGHT] + head * INNER * P, 0, N * P * sizeof(float));
    mamba2_run(in, core);
}

const struct algorithm mamba2_chunked = {
    .name = "mamba2/chunked",
    .method = "chunks of tokens by sgemm: decayed C B^T and the state in one product per head",
    .layer = &mamba2_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    .maps = mamba2_maps,
    .map_count = MAMBA2_MAPS,
    .cost = cost,
    .prepared = mamba2_prepared,
    .prepare = mamba2_prepare,
    .scratch = scratch,
    .run = run,
};
