/*
 * rwkv7/recurrent, rwkv7.step: tile after tile of tokens; token by token, head after head, so that
 * the state of a head stays in L1 through a tile. S is walked through once per token: as
 * o = S^T (w r) - (r q a) S^T q + (r k) v, both products are with the S before the update, and are
 * summed up during the walk of the token before.
 */
#include <math.h>
#include <string.h>

#include "common/state_walk.h"
#include "rwkv7.h"

enum {
    OF_R,
    OF_K,
    OF_V,
    TO_DECAY,
    OF_DECAY,
    TO_RATE,
    OF_RATE,
    TO_GATE,
    OF_GATE,
    OF_OUTPUT,
};
static const struct map maps[] = {
    [OF_R] = {.matrix = RWKV7_WR},
    [OF_K] = {.matrix = RWKV7_WK},
    [OF_V] = {.matrix = RWKV7_WV},
    [TO_DECAY] = {.matrix = RWKV7_DECAY_1},
    [OF_DECAY] = {RWKV7_DECAY_2, .bias = RWKV7_DECAY_0},
    [TO_RATE] = {.matrix = RWKV7_RATE_1},
    [OF_RATE] = {RWKV7_RATE_2, .bias = RWKV7_RATE_0},
    [TO_GATE] = {.matrix = RWKV7_GATE_1},
    [OF_GATE] = {.matrix = RWKV7_GATE_2},
    [OF_OUTPUT] = {.matrix = RWKV7_WO},
};

static const float norm_epsilon = 64e-5f, shortest = 1e-12f;

/* Rows of a tile, each [TILE,H] but LOW, which is [TILE,2R]; the last three are of a head. */
enum { R, K, V, W, RATE, GATE, Q, MIXED, LOW, WR, OF_Q, OF_RW };
enum { TILE = 96 };

static int scratch(struct dims d, struct tensor out[SCRATCH_MAX])
{
    static const char *const names[] = {"r", "k", "v", "w", "a", "gate", "q", "mixed"};
    const int64_t T = at_most(d.S, TILE);
    for (int i = R; i <= MIXED; i++)
        out[i] = (struct tensor){.name = names[i], .shape = {T, d.H}};
    out[LOW] = (struct tensor){.name = "low", .shape = {T, 2 * rwkv7_rank(d.H)}};
    out[WR] = (struct tensor){.name = "wr", .shape = {d.H / d.A}};
    out[OF_Q] = (struct tensor){.name = "S^T q", .shape = {d.H / d.A}};
    out[OF_RW] = (struct tensor){.name = "S^T wr", .shape = {d.H / d.A}};
    return OF_RW + 1;
}

/* A tile: x of its tokens, and of the one before them. */
struct tile {
    int64_t tokens;
    const float *x, *before;
};

static inline __attribute__((always_inline)) void
mix_vector(int64_t lanes, const float *x, const float *before, const float *mu, float *mixed)
{
    const vfloat now = v_load_head(x, lanes, 0.0f), then = v_load_head(before, lanes, 0.0f);
    v_store_head(mixed, now + (then - now) * v_load_head(mu, lanes, 0.0f), lanes);
}

/* MIXED = x + (x' - x) mu */
static void mix(const struct instance *in, const struct tile *tile, int mu)
{
    const int64_t H = in->dims.H;
    const float *before = tile->before;
    for (int64_t t = 0; t < tile->tokens; t++) {
        const float *x = tile->x + t * H;
        float *mixed = in->scratch[MIXED] + t * H;
        V_EACH(c, lanes, H, mix_vector(lanes, x + c, before + c, in->t[mu] + c, mixed + c));
        before = x;
    }
}

static vfloat decay_of(vfloat sum)
{
    return v_exp2_decay(v_sigmoid(sum) * -0.87503926f); /* e^(-1/2) log2 e */
}

static vfloat same(vfloat x)
{
    return x;
}

/* Two maps with a function between them, from the x that mu mixes. */
static inline __attribute__((always_inline)) void low_rank(const struct instance *in,
                                                           const struct tile *tile, int mu,
                                                           int first_map, vfloat (*between)(vfloat),
                                                           float *out)
{
    const int64_t rank = in->weights[first_map].rows;
    float *low = in->scratch[LOW];
    mix(in, tile, mu);
    product_rows(in, first_map, tile->tokens, in->scratch[MIXED], low);
    vmath_map(tile->tokens * rank, low, low, between);
    product_rows(in, first_map + 1, tile->tokens, low, out);
}

/* A vector of channels: q = k k_k, k = k (1 + (a - 1) k_a); returns q^2. */
static inline __attribute__((always_inline)) vfloat
prepare_vector(const struct instance *in, int64_t lanes, int64_t at, int64_t c)
{
    float *const *s = in->scratch;
    const vfloat k = v_load_head(s[K] + at, lanes, 0.0f);
    const vfloat rate = v_load_head(s[RATE] + at, lanes, 0.0f);
    const vfloat q = k * v_load_head(in->t[RWKV7_K_K] + c, lanes, 0.0f);
    v_store_head(s[Q] + at, q, lanes);
    v_store_head(s[K] + at, k + k * (rate - 1.0f) * v_load_head(in->t[RWKV7_K_A] + c, lanes, 0.0f),
                 lanes);
    return q * q;
}

/* q divided by its length; MIXED = q a, negative. */
static void prepare_head(const struct instance *in, int64_t at, int64_t c, int64_t size)
{
    float *q = in->scratch[Q] + at, *replaced = in->scratch[MIXED] + at;
    const float *rate = in->scratch[RATE] + at;
    vfloat squares = {0};
    V_EACH(i, lanes, size, squares += prepare_vector(in, lanes, at + i, c + i));
    const float length = sqrtf(vmath_sum_lanes(squares));
    const float scale = 1.0f / (length > shortest ? length : shortest);
    for (int64_t i = 0; i < size; i++) {
        q[i] *= scale;
        replaced[i] = -q[i] * rate[i];
    }
}

static void project(const struct instance *in, const struct tile *tile)
{
    const int64_t H = in->dims.H, rows = tile->tokens, size = H / in->dims.A;
    float *const *s = in->scratch;
    for (int n = 0; n < 3; n++) {
        mix(in, tile, RWKV7_MU_R + n);
        product_rows(in, OF_R + n, rows, s[MIXED], s[R + n]);
    }
    low_rank(in, tile, RWKV7_MU_W, TO_DECAY, v_tanh, s[W]);
    low_rank(in, tile, RWKV7_MU_A, TO_RATE, same, s[RATE]);
    low_rank(in, tile, RWKV7_MU_G, TO_GATE, v_sigmoid, s[GATE]);
    vmath_map(rows * H, s[W], s[W], decay_of);
    vmath_sigmoid(rows * H, s[RATE], s[RATE]);
    for (int64_t t = 0; t < rows; t++)
        for (int64_t c = 0; c < H; c += size)
            prepare_head(in, t * H + c, c, size);
}

/* o = S^T (w r) - (r q a) S^T q + (r k) v. replaced: -(r q a) */
static inline __attribute__((always_inline)) void answer_vector(int64_t lanes, float replaced,
                                                                float along, const float *of_q,
                                                                const float *of_rw, const float *v,
                                                                float *o)
{
    v_store_head(o,
                 v_load_head(of_rw, lanes, 0.0f) + replaced * v_load_head(of_q, lanes, 0.0f) +
                     along * v_load_head(v, lanes, 0.0f),
                 lanes);
}

/* The norm of o, and the bonus: o becomes ln_g LN(o) + ln_b + bonus v, times the gate. */
static void finish_head(const struct instance *in, int64_t at, int64_t c, int64_t size,
                        const float *r, const float *v, float *o)
{
    const float *k = in->scratch[K] + at, *r_k = in->t[RWKV7_R_K] + c;
    const float *gain = in->t[RWKV7_LN_G] + c, *bias = in->t[RWKV7_LN_B] + c;
    const float *gate = in->scratch[GATE] + at;
    vfloat sum = {0};
    V_EACH(i, lanes, size,
           sum += v_load_head(r + i, lanes, 0.0f) * v_load_head(k + i, lanes, 0.0f) *
                  v_load_head(r_k + i, lanes, 0.0f));
    const float bonus = vmath_sum_lanes(sum);
    vmath_layer_norm(size, o, gain, bias, norm_epsilon, o);
    for (int64_t i = 0; i < size; i++)
        o[i] = (o[i] + bonus * v[i]) * gate[i];
}

/* A head of a tile: o in the place of RATE. */
static void core(const struct instance *in, int64_t c, int64_t size, int64_t tokens)
{
    static const struct state_pass ask = {.asks = true},
                                   update = {.updates = 2, .decays = true, .decays_rows = true},
                                   both = {.updates = 2,
                                           .decays = true,
                                           .decays_rows = true,
                                           .asks = true};
    const int64_t H = in->dims.H;
    float *const *s = in->scratch;
    float *of_q = s[OF_Q], *of_rw = s[OF_RW], *wr = s[WR];
    struct state_walk walk = {.rows = size,
                              .columns = size,
                              .value = {of_q},
                              .ask = {s[Q] + c, wr},
                              .answer = {of_q, of_rw},
                              .state = in->t[RWKV7_S_LAST] + c * size};
    for (int64_t i = 0; i < size; i++)
        wr[i] = s[W][c + i] * s[R][c + i];
    state_walk(&walk, ask);
    for (int64_t t = 0; t < tokens; t++) {
        const int64_t at = t * H + c, next = at + H;
        const float replaced = vmath_dot(size, s[R] + at, s[MIXED] + at);
        const float along = vmath_dot(size, s[R] + at, s[K] + at);
        float *o = s[RATE] + at;
        V_EACH(i, lanes, size,
               answer_vector(lanes, replaced, along, of_q + i, of_rw + i, s[V] + at + i, o + i));
        walk.decay = s[W] + at;
        walk.key[0] = s[MIXED] + at;
        walk.key[1] = s[K] + at;
        walk.value[1] = s[V] + at;
        walk.ask[0] = s[Q] + next;
        if (t + 1 < tokens) {
            for (int64_t i = 0; i < size; i++)
                wr[i] = s[W][next + i] * s[R][next + i];
            state_walk(&walk, both);
        } else {
            state_walk(&walk, update);
        }
        finish_head(in, at, c, size, s[R] + at, s[V] + at, o);
    }
    multiply_adds_done += tokens * size * (4 * size + 4);
}

static void run(const struct instance *in)
{
    const int64_t S = in->dims.S, H = in->dims.H, size = H / in->dims.A;
    const float *x = in->t[RWKV7_X];
    struct tile tile = {.before = in->t[RWKV7_X_BEFORE]};
    vmath_copy(H * size, in->t[RWKV7_S0], in->t[RWKV7_S_LAST]);
    for (int64_t first = 0; first < S; first += TILE) {
        tile.tokens = at_most(S - first, TILE);
        tile.x = x + first * H;
        project(in, &tile);
        for (int64_t c = 0; c < H; c += size)
            core(in, c, size, tile.tokens);
        product_rows(in, OF_OUTPUT, tile.tokens, in->scratch[RATE], in->t[RWKV7_Y] + first * H);
        tile.before = tile.x + (tile.tokens - 1) * H;
    }
    vmath_copy(H, tile.before, in->t[RWKV7_X_LAST]);
}

const struct algorithm rwkv7_recurrent = {
    .name = "rwkv7/recurrent",
    .method = "tiles of 96 tokens; token by token, head by head, the state of a head in L1 and "
              "walked through once per token",
    .layer = &rwkv7_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};

const struct algorithm rwkv7_step = {
    .name = "rwkv7.step",
    .method = "one step of rwkv7/recurrent",
    .layer = &rwkv7_layer,
    .batch_rows = BATCH_ONE_BY_ONE,
    .products = PRODUCTS_STEP,
    .is_step = true,
    MAPS(maps),
    .scratch = scratch,
    .run = run,
};
